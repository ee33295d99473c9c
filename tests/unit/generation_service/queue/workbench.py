"""Workers whose jobs go as a test says, and a queue before them."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from generation_service.backends.interface import AttemptFailedError, MadeFile, MediaPlan
from generation_service.media.interface import StoredMedia
from generation_service.queue.drivers import Made, WorkBegun, WorkerDownError, WorkerFacts
from generation_service.queue.interface import AddressInvalidError, QueueLimits
from generation_service.queue.jobs import Finished, Happening, Job, Progress
from generation_service.queue.journal import JobJournal
from generation_service.queue.local import LocalJobQueue
from generation_service.queue.pool import WorkerPool
from generation_service.queue.seats import HealthLimits
from servicekit.context import new_id
from servicekit.principals import Principal, Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from generation_service.queue.drivers import Report
    from generation_service.queue.interface import JobQueue
    from generation_service.queue.keeping import AttemptName
    from generation_service.queue.workforce import Workforce

IN_MEMORY = Path(":memory:")
QUICK = HealthLimits(check_seconds=0.02, recheck_seconds=0.01, answer_seconds=1, rest_seconds=0.01)


class Bench:
    """What several scripted workers share: what they began, and when they may go on.

    Attributes:
        begun: Jobs in the order in which they began, with their workers.
        stopped: Jobs whose call was cancelled.
        failures: What the next attempts fail with.
        permits: Every job needs one to end.
        load_permits: Every job needs one to have its models loaded.
        present: What runs now, by attempt id; it goes on when nobody waits for it.
        most: How often a job ran at the same time, at most.
    """

    def __init__(self, *, free: bool = False, loads: bool = True) -> None:
        self.begun: list[tuple[Job, str]] = []
        self.stopped: list[Job] = []
        self.failures: list[Exception] = []
        self.permits = asyncio.Semaphore(100_000 if free else 0)
        self.load_permits = asyncio.Semaphore(100_000 if loads else 0)
        self.present: dict[str, tuple[Job, str]] = {}
        self.forgotten: list[str] = []
        self.most = 0

    @property
    def jobs(self) -> list[Job]:
        return [job for job, _ in self.begun]

    @property
    def prompts(self) -> list[str]:
        return [job.plan.prompt for job in self.jobs]

    def running_of(self, job: Job) -> int:
        return sum(each.job_id == job.job_id for each, _ in self.present.values())


class ScriptedWorker:
    """A worker of a bench.

    Attributes:
        down: It does not answer checks.
        hangs: It does not end what it is told to end.
        missing: What it lacks, by the word in the prompt that needs it.
    """

    def __init__(self, bench: Bench, name: str = "w1", *, backend: str = "embedded") -> None:
        self.bench = bench
        self.name = name
        self.backend = backend
        self.address = f"http://{name}"
        self.choosy = True
        self.down = False
        self.hangs = False
        self.missing: set[str] = set()
        self.closed = False
        self.grace_seconds = 0.0

    async def check(self) -> WorkerFacts:
        if self.down:
            raise WorkerDownError("Nobody answers.")
        return WorkerFacts(version="1")

    async def learn(self, plan: MediaPlan) -> None:
        """It knows already."""

    def lacks(self, plan: MediaPlan) -> tuple[str, ...]:
        return tuple(f"{word} is missing." for word in self.missing if word in plan.prompt)

    async def run(self, job: Job, attempt_id: str, report: Report) -> Made:
        self.bench.begun.append((job, self.name))
        self.bench.present[attempt_id] = (job, self.name)
        self.bench.most = max(self.bench.most, self.bench.running_of(job))
        return await self.resume(job, attempt_id, report)

    async def resume(self, job: Job, attempt_id: str, report: Report) -> Made:
        if attempt_id not in self.bench.present:
            raise AttemptFailedError("PROMPT_LOST", "Nobody knows it.", worth_retrying=True)
        try:
            await self.bench.load_permits.acquire()
            report(WorkBegun())
            report(Progress(50.0, "half"))
            await self.bench.permits.acquire()
        except asyncio.CancelledError:
            self.bench.stopped.append(job)
            raise
        self.bench.present.pop(attempt_id, None)
        if self.bench.failures:
            raise self.bench.failures.pop(0)
        return Made((MadeFile(job.plan.prompt.encode()),))

    async def cancel(self, attempt_id: str) -> None:
        if self.hangs or self.down:
            raise AttemptFailedError("WORKER_DEAD", "It hangs.", worth_retrying=True)
        self.bench.present.pop(attempt_id, None)

    async def forget(self, attempt_id: str) -> None:
        self.bench.forgotten.append(attempt_id)

    def release(self, attempt_id: str) -> None:
        """What runs goes on: `present` keeps it."""

    async def close(self) -> None:
        self.closed = True


class Shelf:
    """Keeps files by their own text."""

    def __init__(self) -> None:
        self.failures: list[AttemptFailedError] = []
        self.busy = self.given_up = 0
        self.open = asyncio.Event()
        self.open.set()

    async def keep(
        self, job: Job, attempt: AttemptName, files: Iterable[MadeFile]
    ) -> tuple[StoredMedia, ...]:
        self.busy += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.failures:
            raise self.failures.pop(0)
        texts = [file.data.decode() for file in files]
        return tuple(StoredMedia(f"media/{t}", t, len(t), "image/png") for t in texts)


class Pooling(Protocol):
    """Opens a queue of some kind before some workers; workers are added by `http://NAME`."""

    def __call__(
        self,
        workers: Bench | Sequence[ScriptedWorker],
        limits: QueueLimits | None = None,
        *,
        path: Path = IN_MEMORY,
        health: HealthLimits = QUICK,
        shelf: Shelf | None = None,
        built_in: Sequence[ScriptedWorker] = (),
    ) -> AbstractAsyncContextManager[tuple[JobQueue, Workforce]]:
        """Open it; the same path is the same queue again."""


class Queueing(Protocol):
    """Opens a queue of some kind; its workers are of no interest."""

    def __call__(
        self,
        workers: Bench | Sequence[ScriptedWorker],
        limits: QueueLimits | None = None,
        *,
        path: Path = IN_MEMORY,
        health: HealthLimits = QUICK,
        shelf: Shelf | None = None,
    ) -> AbstractAsyncContextManager[JobQueue]:
        """Open it; the same path is the same queue again."""


def without_workers(pooling: Pooling) -> Queueing:
    """The same kind of queue, for tests that do not ask about workers."""

    @contextlib.asynccontextmanager
    async def queueing(
        workers: Bench | Sequence[ScriptedWorker],
        limits: QueueLimits | None = None,
        *,
        path: Path = IN_MEMORY,
        health: HealthLimits = QUICK,
        shelf: Shelf | None = None,
    ) -> AsyncIterator[JobQueue]:
        opening = pooling(workers, limits, path=path, health=health, shelf=shelf)
        async with opening as (queue, _):
            yield queue

    return queueing


def crew_of(workers: Bench | Sequence[ScriptedWorker]) -> tuple[Bench, list[ScriptedWorker]]:
    """A bench and its workers; one worker unless there are some."""
    if isinstance(workers, Bench):
        return workers, [ScriptedWorker(workers)]
    return (workers[0].bench if workers else Bench(free=True)), list(workers)


def connecting(bench: Bench) -> Callable[[str], ScriptedWorker]:
    """Makes workers of a bench from their addresses."""

    def connect(address: str) -> ScriptedWorker:
        if not address.startswith("http://"):
            raise AddressInvalidError("That is no address.")
        return ScriptedWorker(bench, address.removeprefix("http://"))

    return connect


@contextlib.asynccontextmanager
async def local_pooling(
    workers: Bench | Sequence[ScriptedWorker],
    limits: QueueLimits | None = None,
    *,
    path: Path = IN_MEMORY,
    health: HealthLimits = QUICK,
    shelf: Shelf | None = None,
    built_in: Sequence[ScriptedWorker] = (),
) -> AsyncIterator[tuple[LocalJobQueue, WorkerPool]]:
    """A queue in this process and its workers."""
    bench, crew = crew_of(workers)
    limits = limits or QueueLimits()
    journal = JobJournal(path, remembered=limits.remembered)
    pool = WorkerPool(crew, connecting(bench), journal, health, built_in=built_in)
    try:
        async with LocalJobQueue(pool, shelf or Shelf(), journal, limits) as queue:
            yield queue, pool
    finally:
        await journal.close()


local_queueing = without_workers(local_pooling)


def person(session: str = "s1", role: Role = Role.LEARNER) -> Principal:
    """Somebody in a session."""
    return Principal(f"user of {session}", role, session, "", Role.SERVICE)


def job(session: str = "s1", prompt: str = "p", *, models: str = "", **changes: object) -> Job:
    """A job of a session."""
    plan = MediaPlan("embedded", "embedded/picture-a", prompt, {}, models_key=models)
    made = Job(new_id(), person(session), "execution", 1, "embedded_image", "", plan)
    return replace(made, **changes)  # type: ignore[arg-type]


async def follow(queue: JobQueue, job_id: str) -> list[Happening]:
    """All that happens to a job until its end."""
    async with aclosing(queue.watch(job_id)) as events:
        return [event.happening async for event in events]


async def outcome(queue: JobQueue, job_id: str) -> Finished:
    """How a job ends."""
    return end_of(await follow(queue, job_id))


def end_of(happenings: list[Happening]) -> Finished:
    """The last event, which must be the end."""
    last = happenings[-1]
    assert isinstance(last, Finished)
    return last
