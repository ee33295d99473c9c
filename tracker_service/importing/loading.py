"""Puts a record that was read into the store, as if it had been recorded here.

An import may be repeated, or go on after a crash: what is stored stays as it is, what is missing
is added, and a record that says something else under the same id is left alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from servicekit.errors import FailedPreconditionError, NotFoundError, ResourceExhaustedError
from tracker_service.access import EVERYTHING, Writer
from tracker_service.export.json_form import canonical_metadata
from tracker_service.intake import check_item
from tracker_service.items import MEDIA_TYPES, Refusal
from tracker_service.lifecycle import Heartbeat
from tracker_service.metadata import check_metadata, read_finite_metadata
from tracker_service.store.interface import Batch, BatchOutcome, ClaimRequest
from tracker_service.taxonomy import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.importing.model import ForeignRecord
    from tracker_service.items import ExecutionItem
    from tracker_service.records import ExecutionRecord
    from tracker_service.store.interface import Store
    from tracker_service.taxonomy import Taxonomy

OWNER: Final = "import"
"""Who runs an execution while it is imported."""
BATCH_ITEMS: Final = 512
BUSY_TRIES: Final = 60
_ITSELF: Final = Writer(trusted=True, user_id="", session_id="", group_id="")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a record.

    Attributes:
        stored_count: Items that are stored now and were not before.
        refused: Items that cannot be stored: their id, reason and message.
        skipped: Reason and message if the record was left alone; None: it was not.
    """

    stored_count: int = 0
    refused: tuple[tuple[str, str, str], ...] = ()
    skipped: tuple[str, str] | None = None


class Loader:
    """Stores records."""

    def __init__(self, store: Store, taxonomy: Taxonomy) -> None:
        """Store into `store` what `taxonomy` lets through."""
        self._store = store
        self._taxonomy = taxonomy

    async def stored(self, execution_id: str) -> ExecutionRecord | None:
        """Return what is stored of an execution; None: nothing is."""
        try:
            return (await self._store.record_of(execution_id, EVERYTHING)).record
        except NotFoundError:
            return None

    def checked(self, record: ForeignRecord) -> tuple[ForeignRecord, list[tuple[str, str, str]]]:
        """Return the record with the items that may be stored, and the other ones."""
        good: list[ExecutionItem] = []
        refused = []
        for item in record.items:
            try:
                check_metadata(item.metadata_json.encode())
                _check_kinds(item)
                check_item(item, self._taxonomy)
                if item.execution_id != record.summary.execution_id:
                    raise Refusal("EXECUTION_MISMATCH", "The item is of another execution.")
            except Refusal as exc:
                refused.append((item.item_id[:64], exc.reason, exc.message))
            except (AttributeError, TypeError, ValueError):
                # A file is not a message: any field may hold anything, or half a character.
                message = "One of its fields is of the wrong kind."
                refused.append((str(item.item_id)[:64], "ITEM_INVALID", message))
            else:
                good.append(item)
        return replace(record, items=tuple(good)), refused

    async def load(self, record: ForeignRecord, known: ExecutionRecord | None) -> Loaded:
        """Store what is missing of a record.

        Args:
            record: The checked record.
            known: What is stored of it.

        Raises:
            UnavailableError: STORE_UNAVAILABLE.
        """
        missing = record.items
        if known is not None:
            if conflict := _conflict(record, known):
                return Loaded(skipped=("CONFLICT", conflict))
            ids = {item.item_id for item in known.items}
            missing = tuple(item for item in record.items if item.item_id not in ids)
            if not missing:
                return Loaded()
        return await self._add(record, missing, known.summary.epoch if known else 0)

    async def _add(
        self, record: ForeignRecord, items: Sequence[ExecutionItem], epoch: int
    ) -> Loaded:
        execution_id = record.summary.execution_id
        refused: list[tuple[str, str, str]] = []
        stored_count = 0
        in_time = [item for item in items if not item.late]
        late = [item for item in items if item.late]
        try:
            for turn in range(1, record.summary.epoch + 1):
                if turn > max(epoch, 1):
                    await self._claim(execution_id, turn - 1)
                wanted = [item for item in in_time if item.epoch == turn]
                stored_count += await self._send(wanted, refused)
            stored_count += await self._send(late, refused)
        except FailedPreconditionError as exc:
            return Loaded(stored_count, tuple(refused), ("CONFLICT", exc.message))
        except NotFoundError:
            reason = ("RECORD_INVALID", "Its later claims follow on nothing.")
            return Loaded(stored_count, tuple(refused), reason)
        if not any(item.item_type in TERMINAL_STATES for item in record.items):
            await self._release(execution_id, record.summary.epoch, record)
        if not stored_count and not refused:
            return Loaded(skipped=("ERASED", "The content of this execution was erased here."))
        return Loaded(stored_count, tuple(refused))

    async def _send(
        self, items: Sequence[ExecutionItem], refused: list[tuple[str, str, str]]
    ) -> int:
        count = 0
        for begin in range(0, len(items), BATCH_ITEMS):
            chosen = items[begin : begin + BATCH_ITEMS]
            outcome = await self._record(Batch(writer=_ITSELF, items=list(enumerate(chosen))))
            refused += [(one.item_id, one.reason, one.message) for one in outcome.refused]
            count += outcome.accepted_count - outcome.erased_count
        return count

    async def _record(self, batch: Batch) -> BatchOutcome:
        for _ in range(BUSY_TRIES):
            try:
                return await self._store.record(batch)
            except ResourceExhaustedError as exc:
                await asyncio.sleep(exc.retry_seconds or 0.5)
        return await self._store.record(batch)

    async def _claim(self, execution_id: str, after_epoch: int) -> None:
        """Begin the next epoch, as the resuming of the execution once did."""
        await self._release(execution_id, after_epoch, None)
        await self._store.claim(
            ClaimRequest(
                execution_id=execution_id,
                owner_address=OWNER,
                idempotency_key="",
                lease_us=None,
                after_epoch=after_epoch,
                writer=_ITSELF,
                audience=EVERYTHING,
            )
        )

    async def _release(self, execution_id: str, epoch: int, record: ForeignRecord | None) -> None:
        """Say that nobody runs it, and how far it had come."""
        last = 0
        if record is not None:
            numbers = [item.sequence_number for item in record.items if not item.late]
            last = max([*numbers, *record.summary.missing], default=0)
        sign = Heartbeat(execution_id, epoch, last, OWNER, released=True)
        await self._record(Batch(writer=_ITSELF, heartbeats=[sign]))


def _check_kinds(item: ExecutionItem) -> None:
    """Check that every field is of its kind, and that its texts can be written.

    Raises:
        TypeError: One is not.
        ValueError: A text holds half a character.
    """
    names = [item.media_type, item.config_used, item.model_used, item.backend_used]
    texts = [item.item_id, item.execution_id, item.item_type, item.backend_job_id, *names]
    if item.content is not None:
        texts.append(item.content)
    numbers = [item.epoch, item.sequence_number, item.occur_time_us, item.stage]
    optional = [item.stage_iteration, item.loop_iteration, item.run_duration_us]
    numbers += [number for number in optional if number is not None]
    if item.media is not None:
        texts += [item.media.uri, item.media.sha256, item.media.mime_type, item.media.filename]
        numbers.append(item.media.size_bytes)
    if any(type(number) is not int or abs(number) >= 2**63 for number in numbers):
        raise TypeError("a number is none")
    if type(item.late) is not bool or item.media_type not in ("", *MEDIA_TYPES):
        raise TypeError("no flag, or no medium")
    "".join(texts).encode()


def _conflict(record: ForeignRecord, known: ExecutionRecord) -> str:
    """Return why a record cannot be that which is stored; empty: it can."""
    stored = {item.item_id: item for item in known.items}
    places = {(item.epoch, item.sequence_number): item.item_id for item in known.items}
    for item in record.items:
        twin = stored.get(item.item_id)
        if twin is not None and not _is_same(twin, item):
            return "An execution of this id is here, and one of its items says something else."
        if twin is None and (item.epoch, item.sequence_number) in places and not item.late:
            return "An execution of this id is here, with other items under the same numbers."
    return ""


def _is_same(first: ExecutionItem, second: ExecutionItem) -> bool:
    """Tell whether two items say the same; the spacing of metadata does not matter.

    Nor do media, which an import may have to store in another form.
    """
    plain = [
        item._replace(
            metadata_json=canonical_metadata(read_finite_metadata(item.metadata_json)),
            media=None,
        )
        for item in (first, second)
    ]
    return plain[0] == plain[1]
