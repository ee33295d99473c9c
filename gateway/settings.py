"""Settings of the gateway, read from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from servicekit.settings import Address, ServiceSettings


class GatewaySettings(ServiceSettings):
    """What the gateway can be told; variables begin with `GATEWAY_`."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True)

    listen_address: Address = Field(
        "127.0.0.1:8080",
        description="`host:port` to serve HTTP on. Anything but loopback needs `API_KEYS_FILE`, "
        "`SERVICE_KEY` or `INSECURE`. Port 0 lets the system choose.",
    )
    orchestrator_address: str = Field("127.0.0.1:50051", description="The orchestrator.")
    safety_address: str = Field("127.0.0.1:50052", description="The safety service.")
    generation_address: str = Field("127.0.0.1:50053", description="The generation service.")
    tracker_address: str = Field("127.0.0.1:50054", description="The tracker.")
    cookie_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Signs the cookies. Unset: kept in `COOKIE_SECRET_FILE`. Replicas need the "
        "same one.",
    )
    cookie_secret_file: Path = Field(
        Path("stellwerk-data/gateway.secret"),
        description="Where a secret is kept that is made at the first start, readable by its "
        "owner alone.",
    )
    secure_cookies: bool = Field(
        False, description="Send cookies over HTTPS only. Set it behind TLS."
    )
    cookie_days: int = Field(30, ge=1, le=365, description="How long a browser is known, in days.")
    heartbeat_seconds: float = Field(
        15.0, gt=0, le=60, description="Longest silence on a stream of events, in seconds."
    )
    stream_seconds: float = Field(
        3600.0, gt=0, description="Longest stream of events, in seconds; then browsers ask anew."
    )
    max_upload_bytes: int = Field(
        20 * 1024 * 1024, ge=1024, description="Largest picture that may be uploaded."
    )
