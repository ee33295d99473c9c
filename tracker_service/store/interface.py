"""What a store offers, and what it is asked for.

Several databases stand behind this interface; the same contract tests run against each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from tracker_service.access import Audience, Writer
    from tracker_service.chain import ChainReport
    from tracker_service.erasure import Erasures
    from tracker_service.export_workflow.store import WorkflowStore
    from tracker_service.insights import Insights
    from tracker_service.items import ExecutionItem, RefusedItem, StoredItem
    from tracker_service.lifecycle import Heartbeat
    from tracker_service.records import ExecutionRecord, ExecutionState, ExecutionSummary


@dataclass(frozen=True, slots=True)
class Plan:
    """What an execution was resolved to.

    Attributes:
        plan_digest: SHA-256 of `plan_json`.
        plan_json: Canonical JSON.
    """

    plan_digest: str
    plan_json: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What is stored in one go.

    Attributes:
        writer: Who sends it.
        items: Checked items, each with its index in the request.
        plans: Checked plans.
        heartbeats: Signs of life.
        size_bytes: Size of the request, for bounding the queue.
    """

    writer: Writer
    items: Sequence[tuple[int, ExecutionItem]] = ()
    plans: Sequence[Plan] = ()
    heartbeats: Sequence[Heartbeat] = ()
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of a batch.

    Attributes:
        accepted_count: Items that are stored now, repeats included.
        refused: Items that will never be stored.
        erased_count: Of the accepted, those whose execution was erased; they were dropped.
    """

    accepted_count: int
    refused: tuple[RefusedItem, ...]
    erased_count: int = 0


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """The wish to own an execution.

    Attributes:
        execution_id: The execution.
        owner_address: Who wants it, `host:port`.
        idempotency_key: Unique per user; empty: none.
        lease_us: How long the lease lasts without a heartbeat; None: the store's setting.
        after_epoch: The claim to supersede; None: a fresh execution.
        writer: Who asks.
        audience: What the asker may read, and so may resume.
    """

    execution_id: str
    owner_address: str
    idempotency_key: str
    lease_us: int | None
    after_epoch: int | None
    writer: Writer
    audience: Audience


@dataclass(frozen=True, slots=True)
class Claim:
    """What is owned now.

    Attributes:
        execution_id: As asked, or the one that the idempotency key already has.
        epoch: The epoch of the present owner.
        next_sequence_number: The first number that the owner may use.
        existing: The key was used before; the asker owns nothing.
        owner_address: The present owner; empty: nobody.
    """

    execution_id: str
    epoch: int
    next_sequence_number: int
    existing: bool
    owner_address: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs an execution.

    Attributes:
        owned: Somebody's lease still runs.
        owner_address: Who it is, `host:port`; empty: nobody, or not known yet.
    """

    owned: bool
    owner_address: str


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions are meant; all conditions must hold, empty ones hold always.

    Attributes:
        config_name: The config.
        session_id: The sitting.
        user_id: The person.
        states: One of these.
        start_from_us: Started at or after, microseconds since 1970 UTC.
        start_before_us: Started before.
        erased: Whether the content was erased; None: no matter.
        execution_ids: One of these.
        safety_level: The level.
        model: One of its models.
        item_type: One of its items' types.
        words: Words of its texts, folded; each may be the beginning of one.
        oldest_first: The order of lists.
    """

    config_name: str = ""
    session_id: str = ""
    user_id: str = ""
    states: tuple[ExecutionState, ...] = ()
    start_from_us: int | None = None
    start_before_us: int | None = None
    erased: bool | None = None
    execution_ids: tuple[str, ...] = ()
    safety_level: str = ""
    model: str = ""
    item_type: str = ""
    words: tuple[str, ...] = ()
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class PageKey:
    """The last execution of a page.

    Attributes:
        start_time_us: When it started.
        key: The store's number of it, which decides between equal times.
    """

    start_time_us: int
    key: int


@dataclass(frozen=True, slots=True)
class ExecutionPage:
    """A page of executions, newest first.

    Attributes:
        executions: The executions.
        next: Where the next page begins; None: this was the last.
    """

    executions: tuple[ExecutionSummary, ...]
    next: PageKey | None


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """Items of one execution in the order of storing.

    Attributes:
        items: The items.
        state: Where the execution stands now.
        terminal_position: Position of its terminal item.
        last_position: Position of its last item.
        complete: It has ended and nothing is missing.
    """

    items: tuple[StoredItem, ...]
    state: ExecutionState
    terminal_position: int | None
    last_position: int
    complete: bool


@dataclass(frozen=True, slots=True)
class KeyedRecord:
    """A record with what the store knows it by.

    Attributes:
        key: The store's number of it, in the order of creation.
        revision: Which state of it this is.
        record: The record.
    """

    key: int
    revision: int
    record: ExecutionRecord


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An execution and its JSON file.

    Attributes:
        key: The store's number of it.
        execution_id: Its name.
        config_name: Its config, which names the folder.
    """

    key: int
    execution_id: str
    config_name: str


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit changed, for those who wait for it.

    Attributes:
        execution_ids: Executions that have new items or another state.
        completed: Whether one of them has ended and is complete.
        unknown: Other changes may have gone unnoticed; everybody should look.
    """

    execution_ids: frozenset[str] = field(default_factory=frozenset)
    completed: bool = False
    unknown: bool = False


class CommitListener(Protocol):
    """Told about each commit, in the event loop."""

    def __call__(self, committed: Committed, /) -> None:
        """Take note; must not block."""


class Store(Protocol):
    """Keeps executions, items and plans.

    Every method that names an execution raises NotFoundError, reason EXECUTION_NOT_FOUND, if it is
    unknown or outside the audience; every method may raise UnavailableError, reason
    STORE_UNAVAILABLE.
    """

    @property
    def insights(self) -> Insights:
        """Questions about many executions."""

    @property
    def erasures(self) -> Erasures:
        """How content is erased."""

    @property
    def workflows(self) -> WorkflowStore:
        """Export workflows."""

    def record(self, batch: Batch) -> Awaitable[BatchOutcome]:
        """Take a batch; the result comes after its commit.

        Raises:
            ResourceExhaustedError: STORE_BUSY: too much is waiting already.
        """

    async def claim(self, request: ClaimRequest) -> Claim:
        """Give an execution to an owner, if nobody else has it.

        Raises:
            FailedPreconditionError: LEASE_HELD or EXECUTION_CLOSED.
        """

    async def owner_of(self, execution_id: str, audience: Audience) -> Owner:
        """Return who runs an execution now."""

    async def lapse(self) -> int:
        """Turn executions whose lease is over into INTERRUPTED; return how many."""

    async def extend_leases(self) -> None:
        """Let every running lease last one full time from now: the store itself was away."""

    async def summary(self, execution_id: str, audience: Audience) -> ExecutionSummary:
        """Return an execution without its items."""

    async def record_of(self, execution_id: str, audience: Audience) -> KeyedRecord:
        """Return an execution with all items, as the audience may see them."""

    async def plan(self, execution_id: str, audience: Audience) -> Plan:
        """Return the plan of an execution.

        Raises:
            NotFoundError: PLAN_NOT_FOUND: its plan was never stored.
        """

    async def page(
        self, wanted: ExecutionFilter, audience: Audience, size: int, after: PageKey | None
    ) -> ExecutionPage:
        """Return the next `size` executions, in the filter's order."""

    async def items_after(
        self, execution_id: str, audience: Audience, position: int, limit: int
    ) -> ItemsPage:
        """Return up to `limit` items behind `position`, in the order of storing."""

    async def keys_of(self, execution_ids: Sequence[str], audience: Audience) -> list[int]:
        """Return the keys of these executions, ascending; all must exist and be readable."""

    async def last_key(self) -> int:
        """Return the key of the newest execution; 0: there is none."""

    async def next_key(
        self, wanted: ExecutionFilter, audience: Audience, after: int, until: int
    ) -> int | None:
        """Return the first matching key in (after, until], in the order of creation."""

    async def record_by_key(self, key: int, audience: Audience) -> KeyedRecord | None:
        """Return the record of a key; None if it is gone."""

    async def records_after(
        self, wanted: ExecutionFilter, audience: Audience, after: int, until: int
    ) -> list[KeyedRecord]:
        """Return the first matching records with keys in (after, until], in the order of creation.

        As many as one short transaction should read; none: there are no more.
        """

    async def chain(self, execution_id: str, audience: Audience) -> ChainReport:
        """Recompute the chain of an execution."""

    async def outdated_files(self, *, only_complete: bool, after: int) -> list[FileEntry]:
        """Return a page of executions that changed since their file was written."""

    async def complete_files(self, after: int) -> list[FileEntry]:
        """Return a page of complete executions with a file, by key."""

    async def mark_file(self, key: int, revision: int) -> None:
        """Note that the file of this revision is written."""
