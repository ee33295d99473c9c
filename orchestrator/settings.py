"""Settings of the orchestrator, read once from the environment (prefix `ORCHESTRATOR_`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import Address, ServiceSettings

Level = Literal["kids", "youth", "adult", "off"]


class OrchestratorSettings(ServiceSettings):
    """Where the neighbours are, how long each stage may take, and how much may run at once."""

    model_config = SettingsConfigDict(env_prefix="ORCHESTRATOR_", frozen=True)

    listen_address: Address = Field(
        "127.0.0.1:50051", description="`host:port` to serve on; see the shared settings."
    )
    owner_address: str = Field(
        "",
        description="`host:port` on which other replicas reach this one; no two may have the "
        "same. Empty: the listen address, with the machine's name where that names no host.",
    )
    safety_address: str = Field("127.0.0.1:50052", description="The safety service.")
    generation_address: str = Field("127.0.0.1:50053", description="The generation service.")
    tracker_address: str = Field("127.0.0.1:50054", description="The tracker.")
    generation_callers_address: str = Field(
        "",
        description="Where people's tools reach the generation service, if elsewhere: with TLS its "
        "`CALLERS_ADDRESS`.",
    )
    tracker_callers_address: str = Field(
        "", description="Where people's tools reach the tracker, if elsewhere."
    )
    configs_dir: Path | None = Field(
        None, description="Folder of configs. Unset: the shipped ones."
    )
    configs_poll_seconds: float = Field(
        2.0, gt=0, le=3600, description="How often changed configs are looked for, in seconds."
    )
    imported_configs_dir: Path = Field(
        Path("stellwerk-data/imported-configs"),
        description="Folder into which `stellwerk configs import` copies folders of the "
        "predecessor's configs; each is loaded on top. It need not exist.",
    )
    spool_dir: Path = Field(
        Path("stellwerk-data/spool"),
        description="Folder in which items wait until the tracker has them. It must outlive the "
        "process.",
    )
    spool_quota_bytes: int = Field(
        1 << 30, ge=1 << 20, description="Most bytes that may wait in the spool."
    )
    default_language: str = Field(
        "de", description="Language of people whose text does not tell, ISO 639-1."
    )
    default_safety_level: Level = Field("kids", description="What clients offer first.")
    max_safety_level: Level = Field("off", description="The laxest level of this deployment.")
    max_executions: int = Field(1_000, ge=1, description="Most executions that run at once.")
    max_executions_per_learner: int = Field(
        20, ge=1, description="Most executions of one learner's session that run at once."
    )
    max_executions_per_caller: int = Field(
        200, ge=1, description="The same for a teacher or researcher."
    )
    max_outputs: int = Field(8, ge=1, le=64, description="Most outputs of one execution.")
    outputs_at_once: int = Field(
        4, ge=1, le=64, description="Outputs of one execution that run at once."
    )
    safety_seconds: float = Field(
        5.0, gt=0, description="Limit for a verdict, repeats included; then the run fails."
    )
    text_seconds: float = Field(120.0, gt=0, description="Limit for one answer of a model.")
    input_check_seconds: float = Field(15.0, gt=0, description="Limit of stage 1.")
    interception_seconds: float = Field(600.0, gt=0, description="Limit of stage 2.")
    output_check_seconds: float = Field(150.0, gt=0, description="Limit of stage 3, per output.")
    generation_seconds: float = Field(900.0, gt=0, description="Limit of stage 4, per output.")
    edit_seconds: float = Field(
        1_800.0,
        gt=0,
        description="How long an execution that is run step by step waits for the next step; then "
        "it ends CANCELLED.",
    )
    reattach_seconds: float = Field(
        20.0,
        ge=0,
        description="How long the generation service is waited for when it is away or breaks off.",
    )
    tracker_seconds: float = Field(2.0, gt=0, description="Limit for a question to the tracker.")
    heartbeat_seconds: float = Field(
        5.0, gt=0, description="Time between two signs of life of a running execution."
    )
    finish_seconds: float = Field(
        6.0, ge=0, description="Seconds that running executions get to finish after SIGTERM."
    )
    keep_finished_seconds: float = Field(
        600.0, ge=0, description="How long a finished execution can be watched without the tracker."
    )
