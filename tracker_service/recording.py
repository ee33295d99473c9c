"""What a writer does with batches, claims and lapses: the rules that every store shares.

A store gives a `Book`: the executions at hand inside one transaction. Whatever these functions do
to it is committed, or lost, as a whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from servicekit.errors import FailedPreconditionError
from tracker_service.items import ExecutionItem, Refusal, RefusedItem
from tracker_service.lifecycle import execution_not_found
from tracker_service.store.interface import BatchOutcome, Claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker_service.access import Writer
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
    accepted_count = erased_count = 0
    refused: list[RefusedItem] = []
    rows: list[NewItem] = []
    known = book.stored_ids([item.item_id for _, item in batch.items]) if batch.items else set()
    # In their own order, so that a start comes before what follows it.
    for index, item in sorted(batch.items, key=_by_number):
        if item.item_id not in known:
            try:
                new = _take(book, item, batch.writer, now_us)
            except Refusal as exc:
                refused.append(RefusedItem(index, item.item_id, exc.reason, exc.message))
                continue
            if new is None:
                erased_count += 1
            else:
                rows.append(new)
            known.add(item.item_id)
        accepted_count += 1
    if rows:
        book.add_items(rows)
    for heartbeat in batch.heartbeats:
        execution = book.find(heartbeat.execution_id)
        if execution is not None:
            execution.beat(heartbeat, batch.writer, now_us)
            book.touch(execution)
    refused.sort(key=lambda one: one.index)
    return BatchOutcome(accepted_count, tuple(refused), erased_count)


def _by_number(entry: tuple[int, ExecutionItem]) -> tuple[int, int]:
    return entry[1].epoch, entry[1].sequence_number


def _take(book: Book, item: ExecutionItem, writer: Writer, now_us: int) -> NewItem | None:
    """Return an item with its place; None: its execution was erased, so nobody keeps it."""
    execution = book.find(item.execution_id)
    if execution is not None and execution.erased_time_us is not None:
        return None
    if execution is None:
        is_start = item.item_type == "pipeline_start" and item.sequence_number == 1
        if item.epoch != 1:
            raise Refusal("EPOCH_UNKNOWN", "Nobody has claimed this epoch; claim it first.")
        if not (writer.trusted or is_start):
            raise Refusal("EXECUTION_NOT_FOUND", "Begin an execution with its `pipeline_start`.")
        execution = book.create(item.execution_id, item.occur_time_us, now_us)
    if execution.take(item, writer):
        item = replace(item, late=True)
    book.touch(execution)
    return NewItem(execution, execution.item_count, item, execution.seal(item))


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
            return _claim_known(known, request, now_us)
    execution = book.find(request.execution_id)
    if execution is not None:
        if not request.audience.may_read(execution.session_id, execution.group_id):
            raise execution_not_found()
        _reclaim(book, execution, request, now_us)
    else:
        if request.after_epoch is not None:
            raise execution_not_found()
        execution = _claim_fresh(book, request, now_us)
    if request.idempotency_key:
        book.keep_key(request.writer.user_id, request.idempotency_key, execution)
    return _claim_of(execution, existing=False)


def _claim_known(execution: Execution, request: ClaimRequest, now_us: int) -> Claim:
    """Answer for a used key: the owner may ask again, everybody else should watch."""
    repeated = (
        execution.execution_id == request.execution_id
        and execution.terminal_number is None
        and execution.is_fresh_claim_of(request.owner_address, epoch=1)
        and execution.is_owned(now_us)
    )
    return _claim_of(execution, existing=not repeated)


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
