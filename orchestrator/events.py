"""What a client sees of an execution: its events, their log, and subscriptions to it.

Recorded items and changes of state stay in the log, so that a client which comes back goes on after
its token. Text deltas and progress are ephemeral: each subscriber holds the newest few, so that a
slow client costs memory within a bound and never slows the run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from orchestrator.model import ExecutionState, MediaFile, OutputStatus, Phase, Verdict

EPHEMERAL_LIMIT = 512
"""Deltas and progress kept for one slow subscriber; older ones give way."""

BATCH_CHARACTERS = 500_000
"""A batch is not made longer than this, well below the limit of a message."""
ITEM_CHARACTERS = 10_000
"""What the facts of an item may take beside its content: messages to a model, mostly."""


@dataclass(frozen=True, slots=True)
class Item:
    """A recorded item, with everything that a client may be shown of it."""

    item_id: str
    execution_id: str
    epoch: int
    sequence_number: int
    occur_time: datetime
    stage: int
    item_type: str
    stage_iteration: int | None = None
    loop_iteration: int | None = None
    media_type: str = ""
    content: str | None = None
    media: MediaFile | None = None
    config_used: str = ""
    model_used: str = ""
    backend_used: str = ""
    backend_job_id: str = ""
    run_seconds: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def withheld(self) -> bool:
        """Whether the person may not see its content."""
        return bool(self.metadata.get("withheld"))


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The execution has a new state; a terminal one ends the log.

    Attributes:
        head: Item that holds the newest text, for a person's next step; empty: there is none.
    """

    state: ExecutionState
    reason: str = ""
    message: Mapping[str, str] = field(default_factory=dict)
    total_seconds: float | None = None
    head: str = ""


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage, or a phase of stage 2, began."""

    stage: int
    loop_iteration: int | None = None
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage, or a phase of stage 2, ended."""

    stage: int
    run_seconds: float
    loop_iteration: int | None = None
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class ItemRecorded:
    """An item was taken by the recorder."""

    item: Item


@dataclass(frozen=True, slots=True)
class VerdictReached:
    """A check gave its answer."""

    verdict: Verdict
    stage: int
    loop_iteration: int | None = None
    input_index: int | None = None


@dataclass(frozen=True, slots=True)
class OutputReady:
    """An output can be fetched."""

    output: OutputStatus


@dataclass(frozen=True, slots=True)
class ContentBlocked:
    """A verdict said no."""

    stage: int
    message: Mapping[str, str]
    categories: tuple[str, ...]
    loop_iteration: int | None = None


@dataclass(frozen=True, slots=True)
class WorkFailed:
    """Something did not work."""

    stage: int
    reason: str
    message: str
    recoverable: bool
    loop_iteration: int | None = None


@dataclass(frozen=True, slots=True)
class TextWritten:
    """Ephemeral: text that the person may see already."""

    text: str
    phase: Phase
    stage_iteration: int | None = None
    loop_iteration: int | None = None
    restart: bool = False


@dataclass(frozen=True, slots=True)
class QueueUpdated:
    """Ephemeral: an output waits."""

    loop_iteration: int
    position: int
    estimate_seconds: float | None


@dataclass(frozen=True, slots=True)
class ProgressMade:
    """Ephemeral: an output is being made; percent from 0 to 100."""

    loop_iteration: int
    percent: float
    node: str
    preview: bytes = b""
    preview_mime_type: str = ""


Ephemeral = TextWritten | QueueUpdated | ProgressMade
Durable = (
    StateChanged
    | StageStarted
    | StageFinished
    | ItemRecorded
    | VerdictReached
    | OutputReady
    | ContentBlocked
    | WorkFailed
)


@dataclass(frozen=True, slots=True)
class Logged:
    """An event with the token after which a client can go on, and its time."""

    sequence_number: int
    time: datetime
    event: Durable | Ephemeral

    @property
    def size(self) -> int:
        """About how many characters it has, as far as that can be many."""
        if isinstance(self.event, ItemRecorded):
            return len(self.event.item.content or "") + ITEM_CHARACTERS
        return len(self.event.preview) if isinstance(self.event, ProgressMade) else 0


class EventLog:
    """The events of one execution, in order. Belongs to one event loop."""

    def __init__(self) -> None:
        self._events: list[Logged] = []
        self._subscribers: set[_Subscriber] = set()
        self._sequence_number = 0
        self._waking = False
        self.closed = False

    def add(self, event: Durable | Ephemeral) -> None:
        """Append an event and wake everyone who watches."""
        if isinstance(event, ItemRecorded):
            self._sequence_number = event.item.sequence_number
        logged = Logged(self._sequence_number, datetime.now(UTC), event)
        if isinstance(event, TextWritten | QueueUpdated | ProgressMade):
            for subscriber in self._subscribers:
                subscriber.ephemeral.append((len(self._events), logged))
        else:
            self._events.append(logged)
        self._wake()

    def close(self) -> None:
        """End every subscription once it has seen all."""
        self.closed = True
        self._wake()

    @property
    def position(self) -> int:
        """Where the next durable event will stand."""
        return len(self._events)

    async def watch(self, after_sequence: int = 0) -> AsyncIterator[Logged]:
        """Yield what happened after the item of that number, then what happens, until closed."""
        async with aclosing(self.batches(self.position_after(after_sequence), 1)) as batches:
            async for (logged,) in batches:
                yield logged

    async def batches(self, position: int, at_once: int) -> AsyncGenerator[list[Logged], None]:
        """Yield what happened from a position on, then what happens, until closed.

        Args:
            position: From `position` or `position_after`.
            at_once: Most events in one batch; those that are there already come together.
        """
        subscriber = _Subscriber(position=position)
        self._subscribers.add(subscriber)
        try:
            while True:
                subscriber.wake.clear()
                while batch := self._ready(subscriber, at_once):
                    yield batch
                if self.closed:
                    return
                await subscriber.wake.wait()
        finally:
            self._subscribers.discard(subscriber)

    def _ready(self, subscriber: _Subscriber, at_once: int) -> list[Logged]:
        """Return what a subscriber has not seen yet, within a bound of size."""
        batch: list[Logged] = []
        size = 0
        while len(batch) < at_once and size < BATCH_CHARACTERS:
            logged = self._next(subscriber)
            if logged is None:
                break
            batch.append(logged)
            size += logged.size
        return batch

    def _next(self, subscriber: _Subscriber) -> Logged | None:
        waiting = subscriber.ephemeral
        if waiting and waiting[0][0] <= subscriber.position:
            return waiting.popleft()[1]
        if subscriber.position < len(self._events):
            subscriber.position += 1
            return self._events[subscriber.position - 1]
        return None

    def position_after(self, sequence_number: int) -> int:
        """Return where the events after the item of that number begin."""
        if sequence_number <= 0:
            return 0
        for position, logged in enumerate(self._events):
            if isinstance(logged.event, ItemRecorded) and logged.sequence_number >= sequence_number:
                return position + (logged.sequence_number == sequence_number)
        return len(self._events)

    def _wake(self) -> None:
        """Wake everyone who watches, but let the run go first: what it asks for goes out before."""
        if self._subscribers and not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._wake_now)

    def _wake_now(self) -> None:
        self._waking = False
        for subscriber in self._subscribers:
            subscriber.wake.set()


@dataclass(slots=True, eq=False)
class _Subscriber:
    """Where one watcher is, and the ephemeral events that wait for it.

    Each ephemeral event is kept with the count of durable ones before it, so that both come out in
    the order in which they happened.
    """

    position: int
    ephemeral: deque[tuple[int, Logged]] = field(
        default_factory=lambda: deque(maxlen=EPHEMERAL_LIMIT)
    )
    wake: asyncio.Event = field(default_factory=asyncio.Event)
