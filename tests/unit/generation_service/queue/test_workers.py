"""Several workers: who gets what, and what becomes of jobs whose worker fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.interface import (
    AddressInvalidError,
    QueueLimits,
    WorkerFixedError,
    WorkerNotFoundError,
)
from generation_service.queue.jobs import JobState, Output, Started
from generation_service.queue.seats import HealthLimits
from generation_service.queue.workforce import WorkerState
from tests.support import eventually
from tests.unit.generation_service.queue.workbench import (
    Bench,
    ScriptedWorker,
    end_of,
    follow,
    job,
    local_queueing,
    outcome,
    person,
)

if TYPE_CHECKING:
    from pathlib import Path

    from generation_service.queue.jobs import Happening
    from generation_service.queue.workforce import WorkerView, Workforce
    from tests.unit.generation_service.queue.workbench import Pooling, Queueing

GONE = AttemptFailedError("WORKER_UNREACHABLE", "Gone.", worth_retrying=True)
LOST = AttemptFailedError("PROMPT_LOST", "Forgotten.", worth_retrying=True)
TOUCHY = HealthLimits(check_seconds=0.01, recheck_seconds=0.01, faults=1, rest_seconds=0.05)
"""One fault sends to rest."""


async def find(pool: Workforce, name: str) -> WorkerView:
    """How a worker stands."""
    return next(view for view in await pool.workers() if view.name == name)


async def is_in(pool: Workforce, name: str, state: WorkerState) -> bool:
    """Whether a worker is in a state."""
    return (await find(pool, name)).state is state


async def is_unusable(pool: Workforce, name: str) -> bool:
    """Whether a worker gets no jobs."""
    return not (await find(pool, name)).state.is_usable


async def names(pool: Workforce) -> list[str]:
    """All workers by name."""
    return [view.name for view in await pool.workers()]


def workers_of(bench: Bench, count: int) -> list[ScriptedWorker]:
    """Workers that share a bench."""
    return [ScriptedWorker(bench, f"w{number}") for number in range(1, count + 1)]


@settings(max_examples=25, deadline=None)
@given(sessions=st.lists(st.integers(0, 4), min_size=1, max_size=30), count=st.integers(1, 4))
def test_fair_turns_and_no_foreign_bytes(sessions: list[int], count: int) -> None:
    """However many workers: turns are equal, every job runs once and gets its own file."""

    async def serve() -> tuple[list[str], list[list[Happening]]]:
        bench = Bench(free=True)
        limits = QueueLimits(waiting_per_session=30)
        async with local_queueing(workers_of(bench, count), limits) as queue:
            await queue.pause()
            ids = [await queue.submit(job(f"s{s}", prompt=str(n))) for n, s in enumerate(sessions)]
            await queue.resume()
            stories = await asyncio.gather(*(follow(queue, job_id) for job_id in ids))
        return [begun.owner.session for begun in bench.jobs], list(stories)

    begun, stories = asyncio.run(serve())
    left = Counter(f"s{s}" for s in sessions)
    assert Counter(begun) == left
    served: Counter[str] = Counter()
    for session in begun:
        served[session] += 1
        left[session] -= 1
        waiting = [served[name] for name in left if left[name] > 0]
        assert not waiting or max(waiting) - min(waiting) <= 1
    for number, story in enumerate(stories):
        (output,) = [h for h in story if isinstance(h, Output)]
        assert output.media.sha256 == str(number)


async def test_thirty_sessions_share_equally_with_one_of_two_hundred_jobs(
    queueing: Queueing,
) -> None:
    """Shares within a fifth, and nobody waits longer than if all had submitted alike."""
    bench = Bench()
    limits = QueueLimits(waiting_per_session=200)
    async with queueing(workers_of(bench, 4), limits) as queue:
        for number in range(200):
            await queue.submit(job("greedy", prompt=str(number)))
        for number in range(29 * 5):
            await queue.submit(job(f"s{number % 29}"))
        bench.permits.release()
        for _ in range(160):
            begun = len(bench.begun)
            bench.permits.release()
            await eventually(lambda begun=begun: len(bench.begun) > begun)  # type: ignore[misc]
        shares = Counter(made.owner.session for made in bench.jobs[4:124])
        fair = 120 / 30
        assert len(shares) == 30
        assert all(abs(share - fair) <= max(1.0, 0.2 * fair) for share in shares.values())
        assert len([made for made in bench.jobs if made.owner.session != "greedy"]) >= 29 * 5 - 4


async def test_the_workers_models_are_preferred_within_a_turn(queueing: Queueing) -> None:
    """Equal claims: the one whose models are loaded goes first; nobody loses a turn by it."""
    bench = Bench()
    async with queueing(bench) as queue:
        await queue.submit(job("s0", "first", models="a"))
        await eventually(lambda: bench.begun)
        for session, models in (("s1", "b"), ("s2", "a"), ("s3", "b"), ("s4", "a")):
            await queue.submit(job(session, session, models=models))
        for begun in range(2, 6):
            bench.permits.release()
            await eventually(lambda begun=begun: len(bench.begun) == begun)  # type: ignore[misc]
        assert bench.prompts == ["first", "s2", "s4", "s1", "s3"]


async def test_an_idle_worker_with_the_models_is_chosen(queueing: Queueing) -> None:
    """Among free workers the one that has just used the models gets the job."""
    bench = Bench(free=True)
    async with queueing(workers_of(bench, 3)) as queue:
        for models in "abcabcabc":
            await follow(queue, await queue.submit(job(models=models)))
    by_models: dict[str, set[str]] = {}
    for made, worker in bench.begun:
        by_models.setdefault(made.plan.models_key, set()).add(worker)
    assert all(len(workers) == 1 for workers in by_models.values())


async def test_a_failed_worker_is_avoided_by_its_job(queueing: Queueing) -> None:
    """The second attempt goes elsewhere; the job runs once at a time and is done once."""
    bench = Bench(free=True)
    bench.failures = [GONE]
    async with queueing(workers_of(bench, 2)) as queue:
        story = await follow(queue, await queue.submit(job()))
    attempts = [h for h in story if isinstance(h, Started)]
    assert [h.attempt for h in attempts] == [1, 2]
    assert attempts[0].worker != attempts[1].worker
    assert end_of(story).state is JobState.DONE
    assert bench.most == 1


async def test_a_forgotten_job_without_attempts_is_lost(queueing: Queueing) -> None:
    """What the worker forgot is never shown as done."""
    bench = Bench(free=True)
    bench.failures = [LOST, LOST]
    async with queueing(workers_of(bench, 2)) as queue:
        assert (await outcome(queue, await queue.submit(job()))).state is JobState.LOST


async def test_a_poison_job_stops(queueing: Queueing) -> None:
    """A job that fails every worker is given up, and the workers rest but come back."""
    bench = Bench(free=True)
    bench.failures = [GONE] * 3
    async with queueing(workers_of(bench, 4), QueueLimits(attempts=3), health=TOUCHY) as queue:
        end = await outcome(queue, await queue.submit(job()))
        assert (end.state, end.error_reason) == (JobState.FAILED, "WORKER_UNREACHABLE")
        assert len({worker for _, worker in bench.begun}) == 3
        ends = [await outcome(queue, await queue.submit(job())) for _ in range(8)]
        assert {each.state for each in ends} == {JobState.DONE}


async def test_a_worker_that_fails_rests_and_comes_back(pooling: Pooling) -> None:
    """Too many faults in a row: quarantine; after it one job shows whether it is well."""
    bench = Bench(free=True)
    bench.failures = [GONE, GONE]
    async with pooling(workers_of(bench, 1), QueueLimits(attempts=2), health=TOUCHY) as made:
        queue, pool = made
        first = await queue.submit(job())
        await eventually(lambda: is_in(pool, "w1", WorkerState.QUARANTINED))
        assert (await outcome(queue, first)).state is JobState.FAILED
        assert (await outcome(queue, await queue.submit(job()))).state is JobState.DONE


async def test_a_dead_workers_job_is_done_elsewhere(pooling: Pooling) -> None:
    """A worker that no longer answers loses its job; when it is back, the old attempt is ended."""
    bench = Bench()
    one, two = workers_of(bench, 2)
    async with pooling([one, two]) as (queue, pool):
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
        dying = one if bench.begun[0][1] == one.name else two
        dying.down = True
        await eventually(lambda: len(bench.begun) == 2)
        bench.permits.release()
        assert (await outcome(queue, job_id)).state is JobState.DONE
        assert await is_in(pool, dying.name, WorkerState.UNREACHABLE)
        assert len(bench.present) == 1
        dying.down = False
        await eventually(lambda: is_in(pool, dying.name, WorkerState.READY))
        assert not bench.present


async def test_a_hung_worker_is_quarantined_and_its_job_goes_on(pooling: Pooling) -> None:
    """Who does not end what took too long gets nothing more; the job is tried elsewhere."""
    bench = Bench()
    one, two = workers_of(bench, 2)
    one.hangs = two.hangs = True
    limits = QueueLimits(run_seconds=1.0, cancel_seconds=0.05)
    async with pooling([one, two], limits) as (queue, pool):
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
        hung, other = (one, two) if bench.begun[0][1] == one.name else (two, one)
        other.hangs = False
        await eventually(lambda: len(bench.begun) == 2)
        assert not (await find(pool, hung.name)).state.is_usable
        bench.permits.release()
        story = await follow(queue, job_id)
        assert end_of(story).state is JobState.DONE


async def test_a_cancelled_job_that_does_not_end_keeps_its_worker_back(pooling: Pooling) -> None:
    """The caller hears at once; the worker gets nothing before the old job has ended."""
    bench = Bench()
    (worker,) = workers_of(bench, 1)
    async with pooling([worker], QueueLimits(cancel_seconds=0.05)) as (queue, pool):
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
        worker.hangs = True
        await queue.cancel(job_id, person())
        assert (await outcome(queue, job_id)).state is JobState.CANCELLED
        after = await queue.submit(job())
        await eventually(lambda: is_unusable(pool, worker.name))
        assert len(bench.begun) == 1
        worker.hangs = False
        bench.permits.release()
        assert (await outcome(queue, after)).state is JobState.DONE


async def test_draining_under_load_loses_nothing(pooling: Pooling) -> None:
    """A drained worker ends its job and gets no other; undrained it works again."""
    bench = Bench()
    async with pooling(workers_of(bench, 2)) as (queue, pool):
        ids = [await queue.submit(job(f"s{n}")) for n in range(10)]
        await eventually(lambda: len(bench.begun) == 2)
        await pool.drain("w1", draining=True)
        assert await is_in(pool, "w1", WorkerState.DRAINING)
        for _ in range(10):
            bench.permits.release()
        ends = [await outcome(queue, job_id) for job_id in ids]
        assert {end.state for end in ends} == {JobState.DONE}
        assert Counter(worker for _, worker in bench.begun) == {"w1": 1, "w2": 9}
        assert await is_in(pool, "w1", WorkerState.DRAINED)
        await pool.drain("w1", draining=False)
        assert await is_in(pool, "w1", WorkerState.READY)


async def test_workers_come_and_go_and_stay_so(pooling: Pooling, tmp_path: Path) -> None:
    """What was said about workers holds after a restart; those of the settings come back."""
    path, bench = tmp_path / "jobs.sqlite3", Bench(free=True)
    async with pooling(workers_of(bench, 2), path=path) as (queue, pool):
        await pool.add("http://new")
        await pool.add("http://new")
        await pool.remove("w2", at_once=False)
        await pool.drain("new", draining=True)
        with pytest.raises(AddressInvalidError):
            await pool.add("nonsense")
        with pytest.raises(WorkerNotFoundError):
            await pool.remove("w2", at_once=False)
    async with pooling(workers_of(bench, 2), path=path) as (queue, pool):
        assert await names(pool) == ["w1", "new"]
        assert await is_in(pool, "new", WorkerState.DRAINED)
        await pool.add("http://w2")
        await pool.remove("new", at_once=False)
        assert (await outcome(queue, await queue.submit(job()))).state is JobState.DONE
    async with pooling(workers_of(bench, 2), path=path) as (_, pool):
        assert await names(pool) == ["w1", "w2"]


async def test_a_slot_of_the_service_cannot_be_removed(pooling: Pooling) -> None:
    """It can be drained instead."""
    worker = ScriptedWorker(Bench(free=True))
    async with pooling([], built_in=[worker]) as (_, pool):
        with pytest.raises(WorkerFixedError):
            await pool.remove("w1", at_once=False)
        assert (await pool.drain("w1", draining=True)).state is WorkerState.DRAINED


async def test_removing_at_once_gives_the_job_to_another(pooling: Pooling) -> None:
    """The removed worker stops; the job counts no attempt lost and is done elsewhere."""
    bench = Bench()
    async with pooling(workers_of(bench, 2), QueueLimits(attempts=1)) as (queue, pool):
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
        gone = bench.begun[0][1]
        await pool.remove(gone, at_once=True)
        await eventually(lambda: len(bench.begun) == 2)
        assert gone not in await names(pool)
        bench.permits.release()
        assert (await outcome(queue, job_id)).state is JobState.DONE
        assert bench.most == 1


async def test_many_workers_are_kept_busy(queueing: Queueing) -> None:
    """While there is work for all, no worker is idle."""
    bench = Bench()
    async with queueing(workers_of(bench, 8), QueueLimits(running_per_session=100)) as queue:
        for number in range(20):
            await queue.submit(job(f"s{number % 3}"))
        for done in range(12):
            await eventually(lambda done=done: len(bench.begun) == 8 + done)  # type: ignore[misc]
            assert len(bench.present) == 8
            bench.permits.release()
