"""What the queue asks of a worker, whatever kind it is.

A worker is one place where one job at a time is done: a slot of the embedded renderers, a ComfyUI
server. The queue knows the worker by this protocol only; it decides who does what and when, the
driver does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from generation_service.queue.jobs import Progress, RunFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.interface import MadeFile, MediaPlan
    from generation_service.queue.jobs import Job


@dataclass(frozen=True)
class WorkBegun:
    """Models are loaded, the work itself begins: from now on the running time counts."""


Report: TypeAlias = "Callable[[Progress | WorkBegun], None]"
"""Takes what a worker tells while it works; returns at once."""


@dataclass(frozen=True)
class Made:
    """What an attempt brought.

    Attributes:
        files: In the order of their numbers.
        facts: How it was done.
    """

    files: tuple[MadeFile, ...]
    facts: RunFacts = field(default_factory=RunFacts)


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker tells about itself when asked how it is.

    Attributes:
        version: Of its software; empty: not told.
        device: What it computes with, for people; empty: not told.
        vram_total_bytes: Memory of the device; 0: not told.
        vram_free_bytes: Free memory of the device; 0: not told.
    """

    version: str = ""
    device: str = ""
    vram_total_bytes: int = 0
    vram_free_bytes: int = 0


class WorkerDownError(Exception):
    """A worker does not answer, or not as it should; the text says what, for operators."""


class WorkerDriver(Protocol):
    """One worker. Attempts are named by ids that the queue makes: `attempt_id` is a UUID."""

    @property
    def name(self) -> str:
        """Unique among workers and the same after a restart, such as `10.0.0.7:8188`."""

    @property
    def backend(self) -> str:
        """The backend whose plans it carries out."""

    @property
    def address(self) -> str:
        """Where it is reached; empty: in this process."""

    @property
    def grace_seconds(self) -> float:
        """Added to the queue's limits for loading and working, where it keeps its own."""

    @property
    def choosy(self) -> bool:
        """Whether it may lack something for a plan of its backend."""

    async def check(self) -> WorkerFacts:
        """Ask how it is, and learn what it can do.

        Raises:
            WorkerDownError: It cannot take jobs now.
        """

    def lacks(self, plan: MediaPlan) -> tuple[str, ...] | None:
        """What it would need for a plan and does not have, one sentence each; empty: it can.

        None: that is not known yet. Cheap: answered from what `check` and `learn` found out last.
        """

    async def learn(self, plan: MediaPlan) -> None:
        """Find out what it lacks for a plan, where that takes a question. Never fails."""

    async def run(self, job: Job, attempt_id: str, report: Report) -> Made:
        """Do a job. Cancelling the call stops waiting; `cancel` ends the work.

        Raises:
            AttemptFailedError: It did not work; the error says whose fault that is.
        """

    async def resume(self, job: Job, attempt_id: str, report: Report) -> Made:
        """Go on with an attempt that was begun before this process started.

        Raises:
            AttemptFailedError: It did not work, or the worker does not know the attempt.
        """

    async def cancel(self, attempt_id: str) -> None:
        """End an attempt and return when nothing of it runs any more. Safe to repeat.

        Raises:
            AttemptFailedError: It would not end.
        """

    async def forget(self, attempt_id: str) -> None:
        """Clear what the worker keeps of an attempt whose results are stored. Never fails."""

    def release(self, attempt_id: str) -> None:
        """Let go of an attempt: cancelling its call will not end it where it runs."""

    async def close(self) -> None:
        """Let go of connections; what runs elsewhere goes on."""
