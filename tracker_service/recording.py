"""What a writer does with batches, claims and lapses: the rules that every store shares.

A store gives a `Book`: the executions at hand inside one transaction. Whatever these functions do
to it is committed, or lost, as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from servicekit.errors import FailedPreconditionError
from tracker_service.items import ExecutionItem, Refusal, RefusedItem
from tracker_service.lifecycle import execution_not_found
from tracker_service.metadata import read_metadata, text_of
from tracker_service.store.interface import BatchOutcome, Claim
from tracker_service.taxonomy import TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker_service.lifecycle import Execution
    from tracker_service.store.interface import Batch, ClaimRequest, Plan


class NewItem(NamedTuple):
    """An item on its way into the store.

    Attributes:
        execution: Where it belongs.
        position: Its place in the order of storing.
        item: The item.
        seal: Its seal in the chain.
    """

    execution: Execution
    position: int
    item: ExecutionItem
    seal: bytes


class Book(Protocol):
    """The executions at hand in a transaction; changed ones are written at its end."""

    def find(self, execution_id: str) -> Execution | None:
        """Return an execution to read or change; None: there is none."""

    def create(self, execution_id: str, start_time_us: int, now_us: int) -> Execution:
        """Begin a new execution with a full lease; it stays only if it is touched."""

    def touch(self, execution: Execution) -> None:
        """Say that `execution` was changed."""

    def stored_ids(self, item_ids: Sequence[str]) -> set[str]:
        """Return which of these items are stored."""

    def add_items(self, added: Sequence[NewItem]) -> None:
        """Store items at their positions."""

    def add_plans(self, plans: Iterable[Plan]) -> None:
        """Store plans; those that are there stay."""

    def add_claim(self, execution: Execution, now_us: int) -> None:
        """Store the present claim of `execution`."""

    def execution_of_key(self, user_id: str, idempotency_key: str) -> Execution | None:
        """Return the execution for which a user's key was used; None: it was not."""

    def keep_key(self, user_id: str, idempotency_key: str, execution: Execution) -> None:
        """Store that a user's key was used for `execution`."""

    def was_erased(self, user_id: str, time_us: int) -> bool:
        """Tell whether a person was erased at or after a time, microseconds since 1970 UTC."""

    def erase_rest(self, execution: Execution, now_us: int) -> None:
        """Have the eraser see to what there is of an execution that only now turns out erased."""

    def expired(self, now_us: int) -> list[Execution]:
        """Return executions whose lease is over."""


def record_batch(book: Book, batch: Batch, now_us: int) -> BatchOutcome:
    """Store what can be stored of a batch.

    Args:
        book: The executions at hand.
        batch: Checked items, plans, heartbeats.
        now_us: The time, microseconds since 1970 UTC.

    Returns:
        How many items are stored now, and which never will be.
    """
    if batch.plans:
        book.add_plans(batch.plans)
    taking = _Taking(book, batch, now_us)
    taking.take_items()
    for heartbeat in batch.heartbeats:
        execution = book.find(heartbeat.execution_id)
        if execution is not None:
            execution.beat(heartbeat, batch.writer, now_us)
            book.touch(execution)
    refused = sorted(taking.refused, key=lambda one: one.index)
    return BatchOutcome(taking.accepted_count, tuple(refused), taking.erased_count)


class _Taking:
    """The items of a batch on their way into the book.

    Attributes:
        accepted_count: Those that are stored now, or were, or need not be.
        erased_count: Of these, those whose execution was erased, so that nobody keeps them.
        refused: Those that never will be.
    """

    def __init__(self, book: Book, batch: Batch, now_us: int) -> None:
        self._book = book
        self._batch = batch
        self._now_us = now_us
        self._known: set[str] = set()
        self._new: list[NewItem] = []
        self.accepted_count = 0
        self.erased_count = 0
        self.refused: list[RefusedItem] = []

    def take_items(self) -> None:
        """Store what can be stored."""
        if not self._batch.items:
            return
        self._known = self._book.stored_ids([item.item_id for _, item in self._batch.items])
        by_execution: dict[str, list[tuple[int, ExecutionItem]]] = {}
        for entry in self._batch.items:
            by_execution.setdefault(entry[1].execution_id, []).append(entry)
        for execution_id, entries in by_execution.items():
            # In their own order, so that a start comes before what follows it.
            entries.sort(key=_by_number)
            self._take_all(execution_id, entries)
        if self._new:
            self._book.add_items(self._new)

    def _take_all(self, execution_id: str, entries: list[tuple[int, ExecutionItem]]) -> None:
        """Take the items of one execution."""
        execution = self._book.find(execution_id)
        taken_before = len(self._new)
        for index, item in entries:
            if item.item_id in self._known:
                self.accepted_count += 1
                continue
            try:
                if execution is None:
                    execution = self._begin(item)
                if self._is_erased(execution, item):
                    self.erased_count += 1
                else:
                    self._new.append(self._take(execution, item))
            except Refusal as exc:
                self.refused.append(RefusedItem(index, item.item_id, exc.reason, exc.message))
                continue
            self._known.add(item.item_id)
            self.accepted_count += 1
        if execution is not None and len(self._new) > taken_before:
            self._book.touch(execution)

    def _begin(self, item: ExecutionItem) -> Execution:
        """Return a new execution that begins with `item`."""
        is_start = item.item_type == "pipeline_start" and item.sequence_number == 1
        if item.epoch != 1:
            raise Refusal("EPOCH_UNKNOWN", "Nobody has claimed this epoch; claim it first.")
        if not (self._batch.writer.trusted or is_start):
            raise Refusal("EXECUTION_NOT_FOUND", "Begin an execution with its `pipeline_start`.")
        return self._book.create(item.execution_id, item.occur_time_us, self._now_us)

    def _is_erased(self, execution: Execution, item: ExecutionItem) -> bool:
        """Tell whether nobody keeps an item, and have the eraser see to what it tells of."""
        if execution.erased_time_us is not None:
            if _leaves_traces(item):
                self._book.erase_rest(execution, self._now_us)
            return True
        if item.item_type != "pipeline_start" or not self._comes_after_erasure(execution, item):
            return False
        if not execution.item_count:
            execution.erase(self._now_us)  # nothing of it is stored: what follows is dropped
        self._book.touch(execution)
        self._book.erase_rest(execution, self._now_us)
        return True

    def _comes_after_erasure(self, execution: Execution, start: ExecutionItem) -> bool:
        """Tell whether an execution that is heard of now began before its person was erased."""
        writer = self._batch.writer
        if execution.bound or start.sequence_number != 1:
            return False
        user_id = text_of(read_metadata(start.metadata_json), "user_id") if writer.trusted else ""
        user_id = user_id or writer.user_id
        return bool(user_id) and self._book.was_erased(user_id, start.occur_time_us)

    def _take(self, execution: Execution, item: ExecutionItem) -> NewItem:
        if execution.take(item, self._batch.writer):
            item = item._replace(late=True)
        return NewItem(execution, execution.item_count, item, execution.seal(item))


def _by_number(entry: tuple[int, ExecutionItem]) -> tuple[int, int]:
    item = entry[1]
    return item.epoch, item.sequence_number


def _leaves_traces(item: ExecutionItem) -> bool:
    """Tell whether an item says that files or jobs were made, perhaps after an erasure."""
    made = item.media is not None or bool(item.backend_job_id)
    return made or item.item_type in TERMINAL_STATES


def claim_execution(book: Book, request: ClaimRequest, now_us: int) -> Claim:
    """Give an execution to an owner, if nobody else has it; compare and set.

    Args:
        book: The executions at hand.
        request: What is wanted, and by whom.
        now_us: The time, microseconds since 1970 UTC.

    Returns:
        What is owned now, or who owns what the idempotency key stands for.

    Raises:
        FailedPreconditionError: LEASE_HELD or EXECUTION_CLOSED.
        NotFoundError: EXECUTION_NOT_FOUND: somebody else's, or nothing to resume.
    """
    if request.idempotency_key:
        known = book.execution_of_key(request.writer.user_id, request.idempotency_key)
        if known is not None:
            return _claim_known(book, known, request, now_us)
    execution = book.find(request.execution_id)
    if execution is not None:
        if not _may_own(request, execution):
            raise execution_not_found()
        _reclaim(book, execution, request, now_us)
    else:
        if request.after_epoch is not None:
            raise execution_not_found()
        execution = _claim_fresh(book, request, now_us)
    if request.idempotency_key:
        book.keep_key(request.writer.user_id, request.idempotency_key, execution)
    return _claim_of(execution, existing=False)


def _may_own(request: ClaimRequest, execution: Execution) -> bool:
    """Tell whether a caller may run an execution: calls about it then go to their address.

    Researchers read all, but own only what they record themselves. What was erased is nobody's,
    and who may read that learns why it cannot be run.
    """
    writer = request.writer
    erased = execution.erased_time_us is not None
    return request.audience.may_read(execution.session_id, execution.group_id) and (
        writer.trusted or erased or execution.user_id == writer.user_id
    )


def _claim_known(book: Book, execution: Execution, request: ClaimRequest, now_us: int) -> Claim:
    """Answer for a used key: the owner may ask again, everybody else should watch.

    One whose owner died before anything of it arrived can be neither watched nor resumed, so it is
    given to whoever asks for it once more.
    """
    if _left_no_trace(execution, now_us):
        lease_us = request.lease_us or execution.lease_us
        execution.claim_next(execution.epoch, request.owner_address, lease_us, now_us)
        book.add_claim(execution, now_us)
        book.touch(execution)
        return _claim_of(execution, existing=False)
    repeated = (
        execution.execution_id == request.execution_id
        and execution.terminal_number is None
        and execution.is_fresh_claim_of(request.owner_address, epoch=1)
        and execution.is_owned(now_us)
    )
    return _claim_of(execution, existing=not repeated)


def _left_no_trace(execution: Execution, now_us: int) -> bool:
    return (
        not execution.is_owned(now_us)
        and execution.item_count == 0
        and execution.erased_time_us is None
    )


def _claim_fresh(book: Book, request: ClaimRequest, now_us: int) -> Execution:
    execution = book.create(request.execution_id, now_us, now_us)
    # A service asks for the user it acts for; the `pipeline_start` will say it again.
    execution.user_id = request.writer.user_id
    execution.session_id = request.writer.session_id
    execution.group_id = request.writer.group_id
    execution.own(request.owner_address, request.lease_us or execution.lease_us, now_us)
    book.add_claim(execution, now_us)
    return execution


def _reclaim(book: Book, execution: Execution, request: ClaimRequest, now_us: int) -> None:
    if execution.erased_time_us is not None:
        raise FailedPreconditionError("EXECUTION_CLOSED", "The execution was erased.")
    lease_us = request.lease_us or execution.lease_us
    if request.after_epoch is None:
        if execution.terminal_number is not None:
            raise FailedPreconditionError("EXECUTION_CLOSED", "The execution has ended.")
        if execution.epoch != 1 or execution.owner_address != request.owner_address:
            raise FailedPreconditionError(
                "LEASE_HELD", "The execution has an owner; resume it by its `after_epoch`."
            )
        execution.own(request.owner_address, lease_us, now_us)
    else:
        epoch = execution.epoch
        execution.claim_next(request.after_epoch, request.owner_address, lease_us, now_us)
        if execution.epoch != epoch:
            book.add_claim(execution, now_us)
    book.touch(execution)


def _claim_of(execution: Execution, *, existing: bool) -> Claim:
    return Claim(
        execution_id=execution.execution_id,
        epoch=execution.epoch,
        next_sequence_number=execution.next_number,
        existing=existing,
        owner_address=execution.owner_address,
    )


def lapse_executions(book: Book, now_us: int) -> int:
    """Note of executions without a sign of life that nobody runs them; return how many."""
    expired = book.expired(now_us)
    for execution in expired:
        execution.lapse(now_us)
        book.touch(execution)
    return len(expired)
