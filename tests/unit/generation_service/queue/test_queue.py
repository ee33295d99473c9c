"""What every kind of queue promises: states, events, limits."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.interface import (
    JobFilter,
    JobNotFoundError,
    NotSupportedError,
    NoWorkerError,
    QueueClosedError,
    QueueFullError,
    QueueLimits,
)
from generation_service.queue.jobs import Finished, JobState, Output, Progress, Queued, Started
from servicekit.principals import Role
from tests.support import eventually
from tests.unit.generation_service.queue.workbench import (
    Bench,
    ScriptedWorker,
    Shelf,
    end_of,
    follow,
    job,
    outcome,
    person,
)

if TYPE_CHECKING:
    from generation_service.queue.interface import JobQueue
    from tests.unit.generation_service.queue.workbench import Queueing


async def test_a_job_is_queued_started_delivered_and_finished(queueing: Queueing) -> None:
    """The events of a job come in the order of its life, numbered upwards."""
    async with queueing(Bench(free=True)) as queue:
        job_id = await queue.submit(job(prompt="mine"))
        async with aclosing(queue.watch(job_id)) as events:
            seen = [event async for event in events]
    assert [type(e.happening) for e in seen] == [Queued, Started, Progress, Output, Finished]
    numbers = [e.sequence_number for e in seen]
    assert numbers == sorted(set(numbers))
    assert end_of([e.happening for e in seen]).state is JobState.DONE


async def test_who_waits_hears_positions_fall(queueing: Queueing) -> None:
    """Every waiting job is told how many are before it, whenever that changes."""
    bench = Bench()
    async with queueing(bench) as queue:
        ids = [await queue.submit(job(prompt=str(n))) for n in range(4)]
        last = asyncio.create_task(follow(queue, ids[3]))
        for begun in range(1, 5):
            await eventually(lambda begun=begun: len(bench.begun) == begun)  # type: ignore[misc]
            bench.permits.release()
        positions = [h.position for h in await last if isinstance(h, Queued)]
    assert positions == sorted(positions, reverse=True)
    assert positions[-1] == 0


async def test_estimates_come_from_measured_durations(queueing: Queueing) -> None:
    """Nobody guesses before a job of some config has run."""
    bench = Bench()
    async with queueing(bench) as queue:
        first, second = await queue.submit(job()), await queue.submit(job())
        waiting = queue.watch(second)
        unknown = (await anext(waiting)).happening
        bench.permits.release()
        await follow(queue, first)
        await eventually(lambda: len(bench.begun) == 2)
        third = queue.watch(await queue.submit(job()))
        known = (await anext(third)).happening
        await waiting.aclose()
        await third.aclose()
    assert isinstance(unknown, Queued)
    assert unknown.estimate_seconds is None
    assert isinstance(known, Queued)
    assert known.estimate_seconds is not None


async def test_a_waiting_job_can_be_cancelled(queueing: Queueing) -> None:
    """A cancelled job never reaches a worker."""
    bench = Bench()
    async with queueing(bench) as queue:
        await queue.submit(job())
        waiting = await queue.submit(job())
        await eventually(lambda: bench.begun)
        assert await queue.cancel(waiting, person()) is JobState.CANCELLED
        assert end_of(await follow(queue, waiting)).error_reason == "JOB_CANCELLED"
        assert len(bench.begun) == 1


async def test_a_running_job_can_be_cancelled(queueing: Queueing) -> None:
    """Cancelling reaches the work itself."""
    bench = Bench()
    async with queueing(bench) as queue:
        running = await queue.submit(job())
        await eventually(lambda: bench.begun)
        assert await queue.cancel(running, person()) is JobState.CANCELLED
        await eventually(lambda: bench.stopped)
        assert await queue.cancel(running, person()) is JobState.CANCELLED


async def test_a_loading_job_can_be_cancelled(queueing: Queueing) -> None:
    """It is ended on the worker, which takes the next one."""
    bench = Bench(free=True, loads=False)
    async with queueing(bench) as queue:
        loading = await queue.submit(job())
        await eventually(lambda: bench.begun)
        await queue.cancel(loading, person())
        assert (await outcome(queue, loading)).state is JobState.CANCELLED
        await eventually(lambda: not bench.present)
        bench.load_permits.release()
        assert (await outcome(queue, await queue.submit(job()))).state is JobState.DONE
        assert not bench.present


async def test_a_job_that_is_being_stored_can_be_cancelled(queueing: Queueing) -> None:
    """Its files are not delivered, and the worker has long gone on."""
    bench, shelf = Bench(free=True), Shelf()
    shelf.open.clear()
    async with queueing(bench, shelf=shelf) as queue:
        storing = await queue.submit(job())
        await eventually(lambda: shelf.busy)
        after = await queue.submit(job())
        await eventually(lambda: len(bench.begun) == 2)
        await queue.cancel(storing, person())
        story = await follow(queue, storing)
        assert end_of(story).state is JobState.CANCELLED
        shelf.open.set()
        assert (await outcome(queue, after)).state is JobState.DONE
        assert await follow(queue, storing) == story


async def test_while_nothing_can_be_stored_nothing_more_is_begun(queueing: Queueing) -> None:
    """What is made and not yet stored is held in memory: twice as much as there are workers."""
    bench, shelf = Bench(free=True), Shelf()
    shelf.open.clear()
    async with queueing(bench, shelf=shelf) as queue:
        ids = [await queue.submit(job()) for _ in range(4)]
        await eventually(lambda: shelf.busy == 2)
        assert (await queue.status(person())).waiting == 2
        assert len(bench.begun) == 2
        shelf.open.set()
        assert {(await outcome(queue, each)).state for each in ids} == {JobState.DONE}


async def test_what_is_erased_while_it_is_stored_is_not_stored(queueing: Queueing) -> None:
    """When the erasure returns, nobody is about to store anything of it."""
    bench, shelf = Bench(free=True), Shelf()
    shelf.open.clear()
    async with queueing(bench, shelf=shelf) as queue:
        stored = await queue.submit(job())
        await eventually(lambda: shelf.busy)
        await queue.erase((await queue.get(stored, person())).job.execution_id)
        assert shelf.given_up == 1
        with pytest.raises(JobNotFoundError):
            await queue.get(stored, person())


async def test_cancelling_a_finished_job_changes_nothing(queueing: Queueing) -> None:
    """What is done stays done."""
    async with queueing(Bench(free=True)) as queue:
        done = await queue.submit(job())
        await follow(queue, done)
        assert await queue.cancel(done, person()) is JobState.DONE


async def test_nobody_cancels_a_neighbours_job(queueing: Queueing) -> None:
    """A foreign job looks like an unknown one."""
    async with queueing(Bench()) as queue:
        mine = await queue.submit(job("s1"))
        for caller, job_id in ((person("s2"), mine), (person("s1"), "unknown")):
            with pytest.raises(JobNotFoundError):
                await queue.cancel(job_id, caller)


async def test_the_last_watcher_who_leaves_cancels(queueing: Queueing) -> None:
    """A job that nobody waits for any more is not worth a worker."""
    bench = Bench()
    async with queueing(bench) as queue:
        job_id = await queue.submit(job())
        one, two = queue.watch(job_id), queue.watch(job_id)
        await anext(one)
        await anext(two)
        await eventually(lambda: bench.begun)
        await one.aclose()
        assert not bench.stopped
        await two.aclose()
        await eventually(lambda: bench.stopped)


async def test_a_detached_job_goes_on_alone(queueing: Queueing) -> None:
    """Who asks for it finds the job finished when they come back."""
    bench = Bench()
    async with queueing(bench) as queue:
        job_id = await queue.submit(job(detach=True))
        watcher = queue.watch(job_id)
        await anext(watcher)
        await watcher.aclose()
        bench.permits.release()
        assert end_of(await follow(queue, job_id)).state is JobState.DONE


async def test_a_job_that_waits_too_long_expires(queueing: Queueing) -> None:
    """Waiting has a limit of its own."""
    bench = Bench()
    async with queueing(bench) as queue:
        await queue.submit(job())
        await eventually(lambda: bench.begun)
        end = end_of(await follow(queue, await queue.submit(job(wait_seconds=0.01))))
    assert end.state is JobState.EXPIRED
    assert end.error_reason == "JOB_EXPIRED"


async def test_work_that_takes_too_long_expires(queueing: Queueing) -> None:
    """Running has a limit of its own; the worker gets the next job."""
    bench = Bench()
    async with queueing(bench, QueueLimits(run_seconds=0.01)) as queue:
        end = await outcome(queue, await queue.submit(job()))
        assert (end.state, end.error_reason) == (JobState.EXPIRED, "JOB_TIMEOUT")
        assert not bench.present
        bench.permits.release()
        assert (await outcome(queue, await queue.submit(job()))).state is JobState.DONE


async def test_loading_that_takes_too_long_is_the_workers_fault(queueing: Queueing) -> None:
    """Loading has a limit of its own; another attempt may find it loaded."""
    bench = Bench(free=True, loads=False)
    async with queueing(bench, QueueLimits(load_seconds=0.01, attempts=2)) as queue:
        end = await outcome(queue, await queue.submit(job()))
        assert (end.state, end.error_reason) == (JobState.EXPIRED, "LOAD_TIMED_OUT")
        assert len(bench.begun) == 2
        bench.load_permits.release()
        assert (await outcome(queue, await queue.submit(job()))).state is JobState.DONE


async def test_a_worker_that_fails_gets_a_second_attempt(queueing: Queueing) -> None:
    """A crash is the worker's fault: the job is tried again."""
    bench = Bench(free=True)
    bench.failures = [AttemptFailedError("RENDERER_FAILED", "Crashed.", worth_retrying=True)]
    async with queueing(bench) as queue:
        happenings = await follow(queue, await queue.submit(job()))
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
    queueing: Queueing, failure: Exception, reason: str, attempts: int
) -> None:
    """A failure is an end like any other, and the slot goes on."""
    bench = Bench(free=True)
    bench.failures = [failure] * attempts
    async with queueing(bench) as queue:
        end = end_of(await follow(queue, await queue.submit(job())))
        assert (end.state, end.error_reason) == (JobState.FAILED, reason)
        assert len(bench.begun) == attempts
        assert end_of(await follow(queue, await queue.submit(job()))).state is JobState.DONE


async def test_a_full_queue_says_when_to_come_again(queueing: Queueing) -> None:
    """The queue is bounded, in all and per session; a neighbour still finds room."""
    bench = Bench()
    limits = QueueLimits(waiting=3, waiting_per_session=2)
    async with queueing(bench, limits) as queue:
        await queue.submit(job("s1"))
        await eventually(lambda: bench.begun)
        await queue.submit(job("s1"))
        await queue.submit(job("s1"))
        with pytest.raises(QueueFullError) as full:
            await queue.submit(job("s1"))
        assert full.value.retry_seconds
        await queue.submit(job("s2"))
        with pytest.raises(QueueFullError):
            await queue.submit(job("s3"))


async def test_an_idempotency_key_returns_the_first_job(queueing: Queueing) -> None:
    """The same key of the same person is the same job; another person's is not."""
    bench = Bench(free=True)
    async with queueing(bench) as queue:
        first = await queue.submit(job("s1", idempotency_key="k"))
        before = await follow(queue, first)
        assert await queue.submit(job("s1", idempotency_key="k")) == first
        assert await follow(queue, first) == before
        assert await queue.submit(job("s2", idempotency_key="k")) != first


async def test_who_comes_back_finds_the_job_that_still_runs(queueing: Queueing) -> None:
    """The same key takes it over from a caller that leaves only afterwards."""
    bench = Bench()
    async with queueing(bench) as queue:
        first = await queue.submit(job(idempotency_key="k"))
        dead = queue.watch(first)
        await anext(dead)
        await eventually(lambda: bench.begun)
        assert await queue.submit(job(idempotency_key="k")) == first
        heir = queue.watch(first)
        await anext(heir)
        await dead.aclose()
        bench.permits.release()
        rest = [event.happening async for event in heir]
    assert end_of(rest).state is JobState.DONE
    assert len(bench.begun) == 1


async def test_a_job_that_was_left_begins_anew_for_who_comes_back(queueing: Queueing) -> None:
    """What ended since nobody waited for it is no answer to the same key, a cancelled one is."""
    bench = Bench()
    async with queueing(bench) as queue:
        left = await queue.submit(job(idempotency_key="k"))
        watcher = queue.watch(left)
        await anext(watcher)
        await watcher.aclose()
        assert end_of(await follow(queue, left)).error_reason == "JOB_LEFT"
        again = await queue.submit(job(idempotency_key="k"))
        assert again != left
        await queue.cancel(again, person())
        assert await queue.submit(job(idempotency_key="k")) == again


async def test_old_jobs_are_forgotten(queueing: Queueing) -> None:
    """Memory is bounded: only the latest ended jobs can still be asked for."""
    async with queueing(Bench(free=True), QueueLimits(remembered=2)) as queue:
        ids = []
        for number in range(4):
            ids.append(await queue.submit(job(idempotency_key=str(number))))
            await follow(queue, ids[-1])
        with pytest.raises(JobNotFoundError):
            await queue.cancel(ids[0], person())


async def test_closing_tells_watchers_to_come_again(queueing: Queueing) -> None:
    """A service that stops keeps its jobs; who watches one is told so."""
    bench = Bench()
    async with queueing(bench) as queue:
        ids = [await queue.submit(job()) for _ in range(3)]
        watchers = [asyncio.create_task(follow(queue, job_id)) for job_id in ids]
        await eventually(lambda: bench.begun)
    for watcher in watchers:
        with pytest.raises(QueueClosedError):
            await watcher
    assert len(bench.present) == 1


async def test_watching_resumes_after_a_number(queueing: Queueing) -> None:
    """Who knows the first events gets the others only, also after the end."""
    bench = Bench(free=True)
    async with queueing(bench) as queue:
        job_id = await queue.submit(job())
        await follow(queue, job_id)
        async with aclosing(queue.watch(job_id, observer=person())) as events:
            numbers = [event.sequence_number async for event in events]
        async with aclosing(queue.watch(job_id, after=numbers[2], observer=person())) as events:
            assert [event.sequence_number async for event in events] == numbers[3:]
        async with aclosing(queue.watch(job_id, after=999, observer=person())) as events:
            assert [event async for event in events] == []


async def test_an_observer_who_leaves_does_not_cancel(queueing: Queueing) -> None:
    """Only the caller whose job it is ends it by leaving, and not while somebody looks on."""
    bench = Bench()
    async with queueing(bench) as queue:
        job_id = await queue.submit(job())
        caller, observer = queue.watch(job_id), queue.watch(job_id, observer=person())
        await anext(caller)
        await anext(observer)
        await observer.aclose()
        assert not (await queue.get(job_id, person())).state.is_final
        observer = queue.watch(job_id, observer=person())
        await anext(observer)
        await caller.aclose()
        assert not (await queue.get(job_id, person())).state.is_final
        await observer.aclose()
        assert (await queue.get(job_id, person())).state is JobState.CANCELLED


async def test_nobody_watches_or_sees_a_neighbours_job(queueing: Queueing) -> None:
    """A foreign job looks like an unknown one, and is not in the list; a teacher's class is."""
    async with queueing(Bench()) as queue:
        mine = await queue.submit(job("s1"))
        with pytest.raises(JobNotFoundError):
            await queue.get(mine, person("s2"))
        with pytest.raises(JobNotFoundError):
            await anext(queue.watch(mine, observer=person("s2")))
        everything = JobFilter()
        assert not await queue.list_jobs(person("s2"), everything, before="", limit=9)
        listed = await queue.list_jobs(person("s1"), everything, before="", limit=9)
        assert [view.job.job_id for view in listed] == [mine]
        assert await queue.list_jobs(person("a", Role.ADMIN), everything, before="", limit=9)


async def test_jobs_are_listed_page_by_page_the_latest_first(queueing: Queueing) -> None:
    """A page goes on where the last one ended; states and executions can be chosen."""
    async with queueing(Bench()) as queue:
        ids = [await queue.submit(job(execution_id=f"e{n}")) for n in range(5)]
        await queue.cancel(ids[0], person())
        pages, before = [], ""
        while page := await queue.list_jobs(person(), JobFilter(), before=before, limit=2):
            pages.append([view.job.job_id for view in page])
            before = pages[-1][-1]
        assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
        cancelled = JobFilter(states={JobState.CANCELLED})
        assert len(await queue.list_jobs(person(), cancelled, before="", limit=9)) == 1
        of_e3 = await queue.list_jobs(person(), JobFilter(execution_id="e3"), before="", limit=9)
        assert [view.job.job_id for view in of_e3] == [ids[3]]


async def test_an_ended_job_forgets_its_prompt(queueing: Queueing) -> None:
    """No text of a person is kept longer than needed."""
    async with queueing(Bench(free=True)) as queue:
        job_id = await queue.submit(job(prompt="secret"))
        await follow(queue, job_id)
        assert (await queue.get(job_id, person())).job.plan.prompt == ""


async def test_a_pause_lets_nobody_begin_and_nobody_expire(queueing: Queueing) -> None:
    """A teacher may hold the queue; what runs goes on, what waits does not grow older."""
    bench = Bench(free=True)
    async with queueing(bench) as queue:
        await queue.pause()
        job_id = await queue.submit(job(wait_seconds=0.01))
        other = await queue.submit(job("s2"))
        await asyncio.sleep(0.03)
        assert not bench.begun
        status = await queue.status(person())
        assert (status.waiting, status.own_waiting, status.paused) == (2, 1, True)
        await queue.resume()
        assert (await outcome(queue, job_id)).state is JobState.DONE
        assert (await outcome(queue, other)).state is JobState.DONE


async def test_a_session_runs_only_so_many_at_once(queueing: Queueing) -> None:
    """One session cannot take all workers; the free ones are for others."""
    bench = Bench()
    workers = [ScriptedWorker(bench, f"w{n}") for n in range(4)]
    async with queueing(workers, QueueLimits(running_per_session=2)) as queue:
        for _ in range(5):
            await queue.submit(job("s1"))
        await eventually(lambda: len(bench.begun) == 2)
        await queue.submit(job("s2"))
        await eventually(lambda: len(bench.begun) == 3)
        status = await queue.status(person("s1"))
        assert (status.running, status.own_running, status.own_waiting) == (3, 2, 3)


async def test_files_that_cannot_be_stored_fail_the_job(queueing: Queueing) -> None:
    """Storing is part of the job; it fails for the job's sake."""
    shelf = Shelf()
    shelf.failures = [AttemptFailedError("MEDIA_TOO_LARGE", "Too large.", worth_retrying=False)]
    bench = Bench(free=True)
    async with queueing(bench, shelf=shelf) as queue:
        end = await outcome(queue, await queue.submit(job()))
        assert (end.state, end.error_reason) == (JobState.FAILED, "MEDIA_TOO_LARGE")


async def test_a_job_that_no_worker_can_do_is_refused_at_once(queueing: Queueing) -> None:
    """Nobody waits for what will never come."""
    bench = Bench(free=True)
    worker = ScriptedWorker(bench, backend="comfyui")
    worker.missing = {"hologram"}
    async with queueing([worker]) as queue:
        with pytest.raises(NoWorkerError):
            await queue.submit(job())


async def test_what_workers_lack_is_named(queueing: Queueing) -> None:
    """The author hears what is missing; one worker that has it is enough."""
    bench = Bench(free=True)
    poor, rich = ScriptedWorker(bench, "poor"), ScriptedWorker(bench, "rich")
    poor.missing = {"hologram", "smell"}
    rich.missing = {"smell"}
    async with queueing([poor, rich]) as queue:
        await follow(queue, await queue.submit(job()))  # both have told what they have
        with pytest.raises(NotSupportedError) as refused:
            await queue.submit(job(prompt="hologram with smell"))
        assert refused.value.violations == (("workflow", "smell is missing."),)
        for _ in range(4):
            await follow(queue, await queue.submit(job(prompt="hologram")))
        assert {name for made, name in bench.begun if made.plan.prompt == "hologram"} == {"rich"}


async def stored(queue: JobQueue, job_id: str) -> bool:
    """Whether its file is there."""
    return bool((await queue.get(job_id, person())).outputs)


async def test_a_slow_watcher_misses_no_end(queueing: Queueing) -> None:
    """What happens while a watcher is busy with an event comes after it."""
    bench = Bench()
    async with queueing(bench) as queue:
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
        async with aclosing(queue.watch(job_id, observer=person())) as events:
            await anext(events)
            bench.permits.release()
            await eventually(lambda: stored(queue, job_id))
            rest = [event.happening async for event in events]
        assert end_of(rest).state is JobState.DONE
