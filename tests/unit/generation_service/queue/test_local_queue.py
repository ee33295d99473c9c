"""The queue in one process: states, events, limits."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation_service.backends.interface import AttemptFailedError, MediaPlan
from generation_service.media.interface import StoredMedia
from generation_service.queue.interface import (
    Finished,
    Happening,
    Job,
    JobNotFoundError,
    JobState,
    Output,
    Progress,
    Queued,
    QueueFullError,
    QueueLimits,
    Started,
)
from generation_service.queue.local import LocalJobQueue
from servicekit.context import new_id
from servicekit.principals import Principal, Role
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable


class Bench:
    """A worker whose jobs end when the test says so, in the order in which they began."""

    def __init__(self, *, free: bool = False) -> None:
        self.begun: list[Job] = []
        self.stopped: list[Job] = []
        self.failures: list[Exception] = []
        self.permits = asyncio.Semaphore(10_000 if free else 0)

    async def run(self, job: Job, report: Callable[[Progress], None]) -> tuple[StoredMedia, ...]:
        self.begun.append(job)
        report(Progress(50.0, "half"))
        try:
            await self.permits.acquire()
        except asyncio.CancelledError:
            self.stopped.append(job)
            raise
        if self.failures:
            raise self.failures.pop(0)
        return (StoredMedia(f"media/{job.plan.prompt}", job.plan.prompt, 1, "image/png"),)


def person(session: str = "s1", role: Role = Role.LEARNER) -> Principal:
    """Somebody in a session."""
    return Principal(f"user of {session}", role, session, "", Role.SERVICE)


def job(session: str = "s1", prompt: str = "p", **changes: object) -> Job:
    """A job of a session."""
    plan = MediaPlan("embedded", "embedded/picture-a", prompt, {})
    made = Job(new_id(), person(session), "execution", 1, "embedded_image", "", plan)
    return replace(made, **changes)  # type: ignore[arg-type]


async def follow(queue: LocalJobQueue, job_id: str) -> list[Happening]:
    """All that happens to a job until its end."""
    async with aclosing(queue.watch(job_id)) as events:
        return [event.happening async for event in events]


def end_of(happenings: list[Happening]) -> Finished:
    """The last event, which must be the end."""
    last = happenings[-1]
    assert isinstance(last, Finished)
    return last


async def test_a_job_is_queued_started_delivered_and_finished() -> None:
    """The events of a job come in the order of its life, numbered upwards."""
    async with LocalJobQueue(Bench(free=True), QueueLimits()) as queue:
        job_id = queue.submit(job(prompt="mine"))
        async with aclosing(queue.watch(job_id)) as events:
            seen = [event async for event in events]
    assert [type(e.happening) for e in seen] == [Queued, Started, Progress, Output, Finished]
    numbers = [e.sequence_number for e in seen]
    assert numbers == sorted(set(numbers))
    assert end_of([e.happening for e in seen]).state is JobState.DONE


async def test_who_waits_hears_positions_fall() -> None:
    """Every waiting job is told how many are before it, whenever that changes."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits(slots=1)) as queue:
        ids = [queue.submit(job(prompt=str(n))) for n in range(4)]
        last = asyncio.create_task(follow(queue, ids[3]))
        for begun in range(1, 5):
            await eventually(lambda begun=begun: len(bench.begun) == begun)  # type: ignore[misc]
            bench.permits.release()
        positions = [h.position for h in await last if isinstance(h, Queued)]
    assert positions == sorted(positions, reverse=True)
    assert positions[-1] == 0


async def test_estimates_come_from_measured_durations() -> None:
    """Nobody guesses before a job of some config has run."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits(slots=1)) as queue:
        first, second = queue.submit(job()), queue.submit(job())
        waiting = queue.watch(second)
        unknown = (await anext(waiting)).happening
        bench.permits.release()
        await follow(queue, first)
        await eventually(lambda: len(bench.begun) == 2)
        third = queue.watch(queue.submit(job()))
        known = (await anext(third)).happening
        await waiting.aclose()
        await third.aclose()
    assert isinstance(unknown, Queued)
    assert unknown.estimate_seconds is None
    assert isinstance(known, Queued)
    assert known.estimate_seconds is not None


async def test_a_waiting_job_can_be_cancelled() -> None:
    """A cancelled job never reaches a worker."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        queue.submit(job())
        waiting = queue.submit(job())
        await eventually(lambda: bench.begun)
        assert queue.cancel(waiting, person()) is JobState.CANCELLED
        assert end_of(await follow(queue, waiting)).error_reason == "JOB_CANCELLED"
        assert len(bench.begun) == 1


async def test_a_running_job_can_be_cancelled() -> None:
    """Cancelling reaches the work itself."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        running = queue.submit(job())
        await eventually(lambda: bench.begun)
        assert queue.cancel(running, person()) is JobState.CANCELLED
        await eventually(lambda: bench.stopped)
        assert queue.cancel(running, person()) is JobState.CANCELLED


async def test_cancelling_a_finished_job_changes_nothing() -> None:
    """What is done stays done."""
    async with LocalJobQueue(Bench(free=True), QueueLimits()) as queue:
        done = queue.submit(job())
        await follow(queue, done)
        assert queue.cancel(done, person()) is JobState.DONE


async def test_nobody_cancels_a_neighbours_job() -> None:
    """A foreign job looks like an unknown one."""
    async with LocalJobQueue(Bench(), QueueLimits()) as queue:
        mine = queue.submit(job("s1"))
        for caller, job_id in ((person("s2"), mine), (person("s1"), "unknown")):
            with pytest.raises(JobNotFoundError):
                queue.cancel(job_id, caller)


async def test_the_last_watcher_who_leaves_cancels() -> None:
    """A job that nobody waits for any more is not worth a worker."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        job_id = queue.submit(job())
        one, two = queue.watch(job_id), queue.watch(job_id)
        await anext(one)
        await anext(two)
        await eventually(lambda: bench.begun)
        await one.aclose()
        assert not bench.stopped
        await two.aclose()
        await eventually(lambda: bench.stopped)


async def test_a_detached_job_goes_on_alone() -> None:
    """Who asks for it finds the job finished when they come back."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        job_id = queue.submit(job(detach=True))
        watcher = queue.watch(job_id)
        await anext(watcher)
        await watcher.aclose()
        bench.permits.release()
        assert end_of(await follow(queue, job_id)).state is JobState.DONE


async def test_a_job_that_waits_too_long_expires() -> None:
    """Waiting has a limit of its own."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        queue.submit(job())
        await eventually(lambda: bench.begun)
        end = end_of(await follow(queue, queue.submit(job(wait_seconds=0.01))))
    assert end.state is JobState.EXPIRED
    assert end.error_reason == "JOB_EXPIRED"


async def test_work_that_takes_too_long_fails() -> None:
    """A hung worker gives its slot back."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits(run_seconds=0.01)) as queue:
        end = end_of(await follow(queue, queue.submit(job())))
        bench.permits.release()
        assert end.state is JobState.FAILED
        assert end.error_reason == "JOB_TIMEOUT"
        assert end_of(await follow(queue, queue.submit(job()))).state is JobState.DONE


async def test_a_worker_that_fails_gets_a_second_attempt() -> None:
    """A crash is the worker's fault: the job is tried again."""
    bench = Bench(free=True)
    bench.failures = [AttemptFailedError("RENDERER_FAILED", "Crashed.", worth_retrying=True)]
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        happenings = await follow(queue, queue.submit(job()))
    assert [h.attempt for h in happenings if isinstance(h, Started)] == [1, 2]
    assert end_of(happenings).state is JobState.DONE


@pytest.mark.parametrize(
    ("failure", "reason", "attempts"),
    [
        (AttemptFailedError("RENDERER_FAILED", "No.", worth_retrying=False), "RENDERER_FAILED", 1),
        (AttemptFailedError("RENDERER_FAILED", "No.", worth_retrying=True), "RENDERER_FAILED", 2),
        (RuntimeError("our bug"), "INTERNAL", 1),
    ],
)
async def test_a_job_that_cannot_be_done_fails(
    failure: Exception, reason: str, attempts: int
) -> None:
    """A failure is an end like any other, and the slot goes on."""
    bench = Bench(free=True)
    bench.failures = [failure] * attempts
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        end = end_of(await follow(queue, queue.submit(job())))
        assert (end.state, end.error_reason) == (JobState.FAILED, reason)
        assert len(bench.begun) == attempts
        assert end_of(await follow(queue, queue.submit(job()))).state is JobState.DONE


async def test_a_full_queue_says_when_to_come_again() -> None:
    """The queue is bounded, in all and per session; a neighbour still finds room."""
    bench = Bench()
    limits = QueueLimits(waiting=3, waiting_per_session=2)
    async with LocalJobQueue(bench, limits) as queue:
        queue.submit(job("s1"))
        await eventually(lambda: bench.begun)
        queue.submit(job("s1"))
        queue.submit(job("s1"))
        with pytest.raises(QueueFullError) as full:
            queue.submit(job("s1"))
        assert full.value.retry_seconds
        queue.submit(job("s2"))
        with pytest.raises(QueueFullError):
            queue.submit(job("s3"))


async def test_an_idempotency_key_returns_the_first_job() -> None:
    """The same key of the same person is the same job; another person's is not."""
    bench = Bench(free=True)
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        first = queue.submit(job("s1", idempotency_key="k"))
        before = await follow(queue, first)
        assert queue.submit(job("s1", idempotency_key="k")) == first
        assert await follow(queue, first) == before
        assert queue.submit(job("s2", idempotency_key="k")) != first


async def test_old_jobs_are_forgotten() -> None:
    """Memory is bounded: only the latest ended jobs can still be asked for."""
    async with LocalJobQueue(Bench(free=True), QueueLimits(remembered=2)) as queue:
        ids = [queue.submit(job(idempotency_key=str(n))) for n in range(4)]
        for job_id in ids:
            await follow(queue, job_id)
        queue.submit(job())
        with pytest.raises(JobNotFoundError):
            queue.cancel(ids[0], person())


async def test_closing_cancels_what_waits_and_runs() -> None:
    """A queue that closes leaves no job without an end."""
    bench = Bench()
    async with LocalJobQueue(bench, QueueLimits()) as queue:
        watchers = [asyncio.create_task(follow(queue, queue.submit(job()))) for _ in range(3)]
        await eventually(lambda: bench.begun)
    ends = [end_of(happenings).state for happenings in await asyncio.gather(*watchers)]
    assert ends == [JobState.CANCELLED] * 3


@settings(max_examples=30, deadline=None)
@given(
    sessions=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    slots=st.integers(1, 4),
)
def test_fair_turns_and_no_foreign_bytes(sessions: list[int], slots: int) -> None:
    """However many slots: turns are equal, and every job gets its own file."""

    async def serve() -> tuple[list[str], list[list[Happening]]]:
        bench = Bench(free=True)
        limits = QueueLimits(slots=slots, waiting_per_session=30)
        async with LocalJobQueue(bench, limits) as queue:
            ids = [queue.submit(job(f"s{s}", prompt=str(n))) for n, s in enumerate(sessions)]
            happenings = await asyncio.gather(*(follow(queue, job_id) for job_id in ids))
        return [begun.owner.session for begun in bench.begun], list(happenings)

    begun, happenings = asyncio.run(serve())
    left = Counter(f"s{s}" for s in sessions)
    served: Counter[str] = Counter()
    for session in begun:
        served[session] += 1
        left[session] -= 1
        waiting = [served[name] for name in left if left[name] > 0]
        assert not waiting or max(waiting) - min(waiting) <= 1
    for number, story in enumerate(happenings):
        (output,) = [h for h in story if isinstance(h, Output)]
        assert output.media.sha256 == str(number)
