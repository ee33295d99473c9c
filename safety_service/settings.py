"""Settings of the safety service, read from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from safety_service.policy import SHIPPED_POLICIES
from servicekit.settings import Address, ServiceSettings


class SafetySettings(ServiceSettings):
    """What the safety service can be told."""

    model_config = SettingsConfigDict(env_prefix="SAFETY_", frozen=True)

    listen_address: Address = Field(
        "127.0.0.1:50052",
        description="`host:port` to serve on. Anything but loopback needs `API_KEYS_FILE`, "
        "`SERVICE_KEY` or `INSECURE`. Port 0 lets the system choose.",
    )
    generation_address: str = Field(
        "127.0.0.1:50053",
        description="Where the generation service is, `host:port` or a gRPC target; pictures are "
        "read from it, and guard models asked through it.",
    )
    policy_dir: Path = Field(
        SHIPPED_POLICIES,
        description="Folder with `policy.json` and the term lists that it names.",
    )
    extra_lists: Path | None = Field(
        None,
        description="Folder with term lists that this deployment adds, named "
        "`<category>.<name>.tsv`; those in its folder `law` count at every level.",
    )
    media_timeout_seconds: float = Field(
        20.0, gt=0, le=300, description="Seconds for fetching one picture."
    )
    decode_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="Seconds for decoding one picture, waiting included."
    )
    policy_poll_seconds: float = Field(
        5.0, gt=0, le=3600, description="Seconds between two looks for changed policy files."
    )
    text_guard: bool = Field(
        False,
        description="Ask the guard model that the role `text_guard` of the models file names. When "
        "it is asked, and what follows when it cannot answer, the policy says.",
    )
    image_guard: bool = Field(
        False,
        description="Show pictures to the model of the role `image_guard`. Without it children and "
        "teenagers can neither bring nor receive pictures that may be photographs.",
    )
    guard_timeout_seconds: float = Field(
        30.0, gt=0, le=300, description="Seconds for one answer of a guard, waiting included."
    )
    guard_concurrent: int = Field(
        4, ge=1, le=256, description="Contents that each guard judges at once."
    )
    guard_waiting: int = Field(
        64, ge=0, le=4096, description="Contents that may wait for each guard; more fail at once."
    )
