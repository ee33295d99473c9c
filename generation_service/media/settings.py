"""Settings about media; part of the generation service's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, SecretStr, model_validator

from generation_service.media.bucket import Bucket
from generation_service.media.description import MadeLimits
from generation_service.media.library import LibraryRules
from generation_service.media.opening import MarkOptions, MediaOptions
from generation_service.media.upload import UploadLimits
from servicekit.settings import ServiceSettings

if TYPE_CHECKING:
    from servicekit.principals import Role

_MIB = 1024 * 1024


class MediaSettings(ServiceSettings):
    """What the media store can be told."""

    upload_max_bytes: int = Field(
        20 * _MIB, ge=1024, description="Largest file that may be uploaded, in bytes."
    )
    upload_max_pixels: int = Field(
        40_000_000, ge=1, description="Largest picture that may be uploaded, width times height."
    )
    made_picture_max_bytes: int = Field(
        20 * _MIB, ge=1024, description="Largest picture that a backend may make, in bytes."
    )
    made_media_max_bytes: int = Field(
        256 * _MIB,
        ge=1024,
        description="Largest sound, film or model that a backend may make, in bytes. It is held "
        "in memory while it is stored.",
    )
    media_store: Literal["folder", "s3"] = Field(
        "folder",
        description="Where the files are: in `DATA_DIR`, or in an S3-compatible bucket (extra "
        "`s3`).",
    )
    media_bucket: str = Field("", description="Name of the bucket, which must be there.")
    media_prefix: str = Field("", description="Put before every key in the bucket.")
    media_endpoint: str = Field(
        "", description="Address of the S3 server, `https://…`. Empty: AWS itself."
    )
    media_region: str = Field("", description="Its region. Empty: the environment's.")
    media_access_key_id: SecretStr | None = Field(
        None, description="Key for the bucket. Unset: the environment's, such as a machine's role."
    )
    media_secret_access_key: SecretStr | None = Field(
        None, description="Its secret. Set both or none."
    )
    media_database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL that knows whose a file is, `postgresql://…` (extra `postgres`), "
        "for processes on several machines. Unset: `DATA_DIR/media.sqlite3`.",
    )
    media_store_seconds: float = Field(
        120,
        ge=0,
        le=3600,
        description="How long what was made waits for a bucket or a ledger that is away, such as "
        "while it restarts, before its job fails. 0: it does not wait.",
    )
    media_url_seconds: float = Field(
        0,
        ge=0,
        le=3600,
        description="`GetMediaInfo` gives an address that opens for so long, where the store is a "
        "bucket. 0: all files pass through the service.",
    )
    mark_media: Literal["models", "all", "off"] = Field(
        "models",
        description="Mark machine-made files when they are delivered (C2PA), if the extra `c2pa` "
        "is installed. `models`: what a trained model made; `all`: also what the embedded "
        "renderers draw by rules, whose downloads then differ with each mark.",
    )
    mark_name: str = Field(
        "A Stellwerk deployment",
        min_length=1,
        max_length=64,
        description="Who marks, in the self-made certificate: a school, a museum. Counts when it "
        "is made, at the first start.",
    )
    mark_certificate: Path | None = Field(
        None,
        description="Certificate chain (PEM) to mark with. Unset: a self-made one in "
        "`DATA_DIR/marking`.",
    )
    mark_key: Path | None = Field(None, description="Its private key (PEM).")

    @model_validator(mode="after")
    def _refuse_half_a_store(self) -> Self:
        if self.media_store == "s3" and not self.media_bucket:
            raise ValueError("GENERATION_MEDIA_STORE=s3 needs GENERATION_MEDIA_BUCKET.")
        if (self.media_access_key_id is None) != (self.media_secret_access_key is None):
            raise ValueError(
                "GENERATION_MEDIA_ACCESS_KEY_ID and GENERATION_MEDIA_SECRET_ACCESS_KEY belong "
                "together."
            )
        if (self.mark_certificate is None) != (self.mark_key is None):
            raise ValueError("GENERATION_MARK_CERTIFICATE and GENERATION_MARK_KEY belong together.")
        return self


def media_options(
    settings: MediaSettings, data_dir: Path, machines: frozenset[Role]
) -> MediaOptions:
    """What the settings mean.

    Args:
        settings: As read.
        data_dir: The service's data folder.
        machines: Roles that may read any file by its hash.
    """
    return MediaOptions(
        data_dir=data_dir,
        rules=LibraryRules(
            uploads=UploadLimits(settings.upload_max_bytes, settings.upload_max_pixels),
            made=MadeLimits(
                picture_bytes=settings.made_picture_max_bytes,
                other_bytes=settings.made_media_max_bytes,
            ),
            machines=machines,
            url_seconds=settings.media_url_seconds,
        ),
        database_url=settings.media_database_url,
        bucket=_bucket(settings) if settings.media_store == "s3" else None,
        mark=MarkOptions(
            enabled=settings.mark_media != "off",
            rules=settings.mark_media == "all",
            name=settings.mark_name,
            certificate=settings.mark_certificate,
            key=settings.mark_key,
        ),
    )


def _bucket(settings: MediaSettings) -> Bucket:
    return Bucket(
        settings.media_bucket,
        endpoint=settings.media_endpoint,
        region=settings.media_region,
        access_key_id=settings.media_access_key_id,
        secret_access_key=settings.media_secret_access_key,
        prefix=settings.media_prefix,
    )
