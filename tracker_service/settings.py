"""Settings of the tracker, read from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from servicekit.settings import Address, ServiceSettings
from tracker_service.retention import RetentionRule

MIN_PSEUDONYM_KEY = 16


class TrackerSettings(ServiceSettings):
    """What the tracker can be told."""

    model_config = SettingsConfigDict(env_prefix="TRACKER_", frozen=True)

    listen_address: Address = Field(
        "127.0.0.1:50054",
        description="`host:port` to serve on. Anything but loopback needs `API_KEYS_FILE`, "
        "`SERVICE_KEY` or `INSECURE`. Port 0 lets the system choose.",
    )
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the database `tracker.sqlite3` and of `research_data/`.",
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="PostgreSQL instead of the SQLite file: "
        "`postgresql://user:password@host/name`. Several trackers may share it.",
    )
    execution_lease_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds without a sign of life after which a running execution counts as "
        "interrupted.",
    )
    files: bool = Field(
        True, description="Also write every record as a JSON file under `research_data/`."
    )
    file_refresh_seconds: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Seconds between renewals of the files of records that are not complete.",
    )
    synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL",
        description="When SQLite calls a commit safe. NORMAL is faster, and a power cut may lose "
        "the last seconds that were acknowledged.",
    )
    retention: tuple[RetentionRule, ...] = Field(
        (),
        description="How long records are kept, as JSON; the first rule that fits decides: "
        '`[{"config": "*", "status": "failed", "days": 30}]`. Empty: for ever.',
    )
    retention_dry_run: bool = Field(
        False, description="Only log how many records `RETENTION` would erase."
    )
    export_workflow_ttl_days: int = Field(
        30,
        ge=0,
        le=36_500,
        description="Days for which export workflows and their documents are kept after their last "
        "record; hashes of the documents stay in the audit. 0: for ever. `RETENTION_DRY_RUN` holds "
        "for them, too.",
    )
    generation_address: str = Field(
        "127.0.0.1:50053",
        description="Where the generation service is, `host:port` or a gRPC target; the media of "
        "exports are read from it, those of imports are brought to it.",
    )
    export_keep_seconds: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="Seconds for which a built export is kept after its last reader, so that a "
        "broken download can go on.",
    )
    pseudonym_key: SecretStr = Field(
        SecretStr(""),
        description="Key of the pseudonyms in exports and in all that researchers read, 16 "
        "characters or more; keep it apart from the data. Empty: a random one is kept in "
        "`DATA_DIR/pseudonym.key`; with PostgreSQL there is none, and researchers read nothing.",
    )

    @field_validator("pseudonym_key")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < MIN_PSEUDONYM_KEY:
            raise ValueError(f"has {MIN_PSEUDONYM_KEY} characters or more")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("begins with postgresql://")
        return value
