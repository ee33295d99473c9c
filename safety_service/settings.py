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
        "read from it.",
    )
    policy_dir: Path = Field(
        SHIPPED_POLICIES,
        description="Folder with `policy.json` and the term lists that it names.",
    )
    media_timeout_seconds: float = Field(
        20.0, gt=0, le=300, description="Seconds for fetching one picture."
    )
    decode_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="Seconds for decoding one picture, waiting included."
    )
