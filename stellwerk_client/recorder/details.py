"""What an item may say beyond its place in the record; see `ExecutionItem` for the meanings.

A dictionary on purpose: `record()` has microseconds, and this is how Python hands keywords over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Media(Protocol):
    """A reference to a stored file; `stellwerk.common.v1.MediaRef` is one."""

    @property
    def uri(self) -> str:
        """Key in the media store."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, 64 hexadecimal digits."""

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""

    @property
    def mime_type(self) -> str:
        """MIME type."""

    @property
    def filename(self) -> str:
        """A name for people; empty when there is none."""


class ItemDetails(TypedDict, total=False):
    """The optional fields of an item; what is left out, None or empty is unset.

    Attributes:
        content: The text; None = there is none. Cut at 1 MiB.
        media: The file; None = there is none.
        media_type: Medium of the content, as in the JSON form: `text`, `image`, …
        metadata: A JSON object of up to 1 MiB. Its key `recorder` is ours: it tells of items that
            were dropped before this one (`gap`) and of an item that was kept in memory only for a
            while (`held_in_memory`).
        stage_iteration: Pass of a loop, from 1.
        loop_iteration: The output, from 1.
        config_used: The config as resolved.
        model_used: The model as resolved.
        backend_used: The backend as resolved.
        backend_job_id: The backend's own id of the job.
        run_seconds: Time of the work behind the item, in seconds.
        item_id: An id chosen before; None = a new UUIDv7.
        occur_time: When it happened, aware; None = now.
    """

    content: str | None
    media: Media | None
    media_type: str
    metadata: Mapping[str, Any] | None
    stage_iteration: int | None
    loop_iteration: int | None
    config_used: str
    model_used: str
    backend_used: str
    backend_job_id: str
    run_seconds: float | None
    item_id: str | None
    occur_time: datetime | None
