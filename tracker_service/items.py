"""Items: the single events of which a record is made.

An item is written once and never changed. Times are integers in microseconds, because that is what
is stored and compared; they become dates only where people or files read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MEDIA_TYPES: Final = ("text", "image", "audio", "music", "video", "3d", "metadata")
"""JSON values of the media types; an item may also have none."""


class MediaRef(NamedTuple):
    """A file that belongs to an item; the bytes are elsewhere.

    Attributes:
        uri: Key in the media store.
        sha256: Of the bytes, 64 hexadecimal digits; empty when unknown.
        size_bytes: Size of the file.
        mime_type: As found from the bytes.
        filename: For people; empty when there is none.
    """

    uri: str
    sha256: str
    size_bytes: int
    mime_type: str
    filename: str


class ExecutionItem(NamedTuple):
    """One event of an execution. Empty text means "none", as on the wire.

    A tuple, because tens of thousands a second are made on their way in and out of a store.

    Attributes:
        item_id: UUID made by the producer; repeats of it are dropped.
        execution_id: The execution.
        epoch: Which claim wrote it, from 1.
        sequence_number: Order in the execution, from 1.
        occur_time_us: Producer's clock, microseconds since 1970 UTC.
        stage: 0 to 5.
        stage_iteration: Pass of a loop in stage 2, from 1.
        loop_iteration: The output it belongs to, from 1.
        media_type: One of `MEDIA_TYPES`, or empty.
        item_type: A name of the taxonomy, or an unknown one.
        content: Its text.
        media: Its file.
        config_used: The config as resolved.
        model_used: The model as resolved.
        backend_used: The backend as resolved.
        backend_job_id: The backend's own id of the job.
        run_duration_us: Time of the work behind it, microseconds.
        metadata_json: A JSON object as text, exactly as it was received; empty means `{}`.
        late: It came from a claim that was already superseded: kept, outside the numbering.
    """

    item_id: str
    execution_id: str
    epoch: int
    sequence_number: int
    occur_time_us: int
    stage: int
    stage_iteration: int | None
    loop_iteration: int | None
    media_type: str
    item_type: str
    content: str | None
    media: MediaRef | None
    config_used: str
    model_used: str
    backend_used: str
    backend_job_id: str
    run_duration_us: int | None
    metadata_json: str
    late: bool = False


class StoredItem(NamedTuple):
    """An item with its place.

    Attributes:
        item: The item.
        position: Its place in the order of storing, from 1, per execution.
    """

    item: ExecutionItem
    position: int


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """An item that will never be stored.

    Attributes:
        index: Its index in the batch.
        item_id: Its id; empty when it had no readable one.
        reason: UPPER_SNAKE; what programs branch on.
        message: One sentence: what is wrong and what to do.
    """

    index: int
    item_id: str
    reason: str
    message: str


class Refusal(Exception):
    """Why an item cannot be stored; raised by the checks, becomes a `RefusedItem`.

    Attributes:
        reason: See `RefusedItem`.
        message: See `RefusedItem`.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Make the refusal; see the class."""
        super().__init__(reason)
        self.reason = reason
        self.message = message
