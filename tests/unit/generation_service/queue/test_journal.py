"""What the queue knows after a restart, a kill, a broken row."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from generation_service.queue.interface import JobFilter, JobNotFoundError, QueueLimits
from generation_service.queue.jobs import Finished, JobState, Output
from generation_service.queue.journal import JobJournal
from servicekit.principals import Role
from servicekit.settings import ConfigurationError
from tests.support import eventually
from tests.unit.generation_service.queue.workbench import (
    Bench,
    ScriptedWorker,
    follow,
    job,
    local_queueing,
    outcome,
    person,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.generation_service.queue.workbench import Queueing

DYING = "tests.unit.generation_service.queue.dying_queue"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the journal."""
    return tmp_path / "jobs.sqlite3"


async def test_waiting_jobs_are_kept_in_their_order(queueing: Queueing, path: Path) -> None:
    """A restart changes nobody's turn."""
    bench = Bench()
    async with queueing(bench, path=path) as queue:
        await queue.pause()
        ids = [await queue.submit(job(f"s{n % 3}", str(n))) for n in range(6)]
    again = Bench(free=True)
    async with queueing(again, path=path) as queue:
        assert (await queue.status(person())).paused
        await queue.resume()
        ends = [await outcome(queue, job_id) for job_id in ids]
    assert again.prompts == [str(n) for n in range(6)]
    assert {end.state for end in ends} == {JobState.DONE}


async def test_who_had_a_turn_before_a_restart_waits_for_the_next(
    queueing: Queueing, path: Path
) -> None:
    """Turns that were given count on; nobody has a second first one."""
    bench = Bench()
    async with queueing(bench, path=path) as queue:
        await queue.pause()
        for text in ("a0", "a1", "b0", "b1"):
            await queue.submit(job(text[0], text))
        await queue.resume()
        await eventually(lambda: bench.begun)
    for _ in range(4):
        bench.permits.release()
    async with queueing(bench, path=path):
        await eventually(lambda: len(bench.prompts) == 4)
    assert bench.prompts == ["a0", "b0", "a1", "b1"]


async def test_a_journal_of_before_is_read(path: Path) -> None:
    """The file of an older version gains what this one notes; its jobs are done."""
    async with local_queueing(Bench(), path=path) as queue:
        await queue.pause()
        job_id = await queue.submit(job())
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("ALTER TABLE job DROP COLUMN start_time")
        base.execute("PRAGMA user_version = 1")
        base.commit()
    async with local_queueing(Bench(free=True), path=path) as queue:
        await queue.resume()
        assert (await outcome(queue, job_id)).state is JobState.DONE


async def test_a_running_job_is_found_again_on_its_worker(queueing: Queueing, path: Path) -> None:
    """It is not begun twice; numbers of events go on upwards."""
    bench = Bench()
    async with queueing(bench, path=path) as queue:
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
        before = (await queue.get(job_id, person())).last
    assert before is not None
    bench.permits.release()
    async with queueing(bench, path=path) as queue:
        async with aclosing(
            queue.watch(job_id, after=before.sequence_number, observer=person())
        ) as events:
            story = [event async for event in events]
        assert isinstance(story[-1].happening, Finished)
        assert story[-1].happening.state is JobState.DONE
    assert len(bench.begun) == 1
    assert not bench.present


async def test_a_running_job_that_its_worker_forgot_is_tried_again(
    queueing: Queueing, path: Path
) -> None:
    """The worker was restarted as well: another attempt, while there is one left."""
    bench = Bench()
    async with queueing(bench, path=path) as queue:
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
    bench.present.clear()
    bench.permits.release()
    async with queueing(bench, path=path) as queue:
        assert (await outcome(queue, job_id)).state is JobState.DONE
    assert len(bench.begun) == 2


async def test_a_running_job_whose_worker_is_gone_goes_to_another(
    queueing: Queueing, path: Path
) -> None:
    """A worker that is not there any more, or does not come back in time, is not waited for."""
    bench = Bench()
    async with queueing([ScriptedWorker(bench, "old")], path=path) as queue:
        job_id = await queue.submit(job())
        await eventually(lambda: bench.begun)
    absent = ScriptedWorker(bench, "old")
    absent.down = True
    bench.permits.release()
    limits = QueueLimits(resume_seconds=0.05)
    workers = [absent, ScriptedWorker(bench, "new")]
    async with queueing(workers, limits, path=path) as queue:
        assert (await outcome(queue, job_id)).state is JobState.DONE
    assert [worker for _, worker in bench.begun] == ["old", "new"]


async def test_a_job_that_kills_the_service_again_and_again_stops(
    queueing: Queueing, path: Path
) -> None:
    """Attempts are counted over restarts."""
    bench = Bench()
    for _ in range(2):
        async with queueing(bench, path=path) as queue:
            if not bench.begun:
                job_id = await queue.submit(job())
            await eventually(lambda: len(bench.present) == 1)
        bench.present.clear()
    async with queueing(bench, path=path) as queue:
        assert (await outcome(queue, job_id)).state is JobState.LOST
    assert len(bench.begun) == 2


async def test_a_key_replays_the_first_answer_after_a_restart(
    queueing: Queueing, path: Path
) -> None:
    """The same files, the same end, the same numbers."""
    bench = Bench(free=True)
    async with queueing(bench, path=path) as queue:
        job_id = await queue.submit(job(prompt="secret", idempotency_key="k"))
        story = await follow(queue, job_id)
    async with queueing(bench, path=path) as queue:
        assert await queue.submit(job(prompt="secret", idempotency_key="k")) == job_id
        again = await follow(queue, job_id)
        assert again == [h for h in story if isinstance(h, Output | Finished)]
    assert len(bench.begun) == 1


async def test_a_job_that_was_left_begins_anew_after_a_restart(
    queueing: Queueing, path: Path
) -> None:
    """Why it ended is remembered, and the later job of a key is the one that is found."""
    async with queueing(Bench(), path=path) as queue:
        left = await queue.submit(job(idempotency_key="k"))
        watcher = queue.watch(left)
        await anext(watcher)
        await watcher.aclose()
        await follow(queue, left)
    async with queueing(Bench(), path=path) as queue:
        again = await queue.submit(job(idempotency_key="k"))
        assert again != left
    async with queueing(Bench(), path=path) as queue:
        assert await queue.submit(job(idempotency_key="k")) == again


async def test_the_prompt_of_an_ended_job_is_not_kept(path: Path) -> None:
    """No text of a person stays in the file longer than needed."""
    async with local_queueing(Bench(free=True), path=path) as queue:
        await follow(queue, await queue.submit(job(prompt="secret")))
    assert not holders(path, '"prompt":"secret"')


async def test_a_cancelled_job_stays_cancelled(queueing: Queueing, path: Path) -> None:
    """An end is written down before it is told."""
    bench = Bench()
    async with queueing(bench, path=path) as queue:
        running, waiting = await queue.submit(job()), await queue.submit(job())
        await eventually(lambda: bench.begun)
        await queue.cancel(running, person())
        await queue.cancel(waiting, person())
        await follow(queue, running)
        await follow(queue, waiting)
    async with queueing(bench, path=path) as queue:
        states = {(await queue.get(each, person())).state for each in (running, waiting)}
        assert states == {JobState.CANCELLED}


async def test_the_journal_is_bounded(path: Path) -> None:
    """Only the latest ended jobs are kept."""
    bench = Bench(free=True)
    limits = QueueLimits(remembered=5)
    async with local_queueing(bench, limits, path=path) as queue:
        for _ in range(12):
            await follow(queue, await queue.submit(job()))
    async with local_queueing(bench, limits, path=path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT count(*) FROM job").fetchone() == (5,)


async def test_a_row_that_cannot_be_read_is_dropped(path: Path) -> None:
    """One broken row does not keep the service from starting."""
    bench = Bench()
    async with local_queueing(bench, path=path) as queue:
        await queue.pause()
        broken, good = await queue.submit(job()), await queue.submit(job())
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("UPDATE job SET job = '[]' WHERE job_id = ?", (broken,))
        base.commit()
    async with local_queueing(Bench(free=True), path=path) as queue:
        await queue.resume()
        assert (await outcome(queue, good)).state is JobState.DONE


async def test_two_services_never_share_a_journal(path: Path) -> None:
    """Else each would do the other's jobs again."""
    first = JobJournal(path)
    await first.note_fact("taken", "yes")
    with pytest.raises(ConfigurationError, match="another generation service"):
        JobJournal(path, lock_seconds=0.05)
    await first.close()


async def test_a_killed_service_ends_all_jobs_after_its_restart(path: Path) -> None:
    """SIGKILL with 20 waiting and 4 running: each is done, none is begun twice."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", DYING, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    running: list[list[str]] = []
    async for line in process.stdout:
        if b";" in line:
            running = [part.split() for part in line.decode().split(";")]
            break
    process.kill()
    await process.wait()
    bench = Bench(free=True)
    workers = [ScriptedWorker(bench, f"w{n}") for n in range(4)]
    for attempt_id, worker in running:
        bench.present[attempt_id] = (job(), worker)  # they went on without the service
    async with local_queueing(workers, path=path) as queue:
        views = await queue.list_jobs(person("", Role.ADMIN), JobFilter(), before="", limit=100)
        ids = [view.job.job_id for view in views]
        ends = [await outcome(queue, job_id) for job_id in ids]
    assert len(ends) == 24
    assert {end.state for end in ends} == {JobState.DONE}
    assert len(bench.begun) == 20
    assert not bench.present


async def test_erased_jobs_leave_no_byte(path: Path) -> None:
    """Jobs of an erased execution end, are unknown, and no prompt or person is in file or log."""
    bench = Bench()
    async with local_queueing(bench, QueueLimits(remembered=10), path=path) as queue:
        running = await queue.submit(job("zoe", "Zitronenfalter", execution_id="e1"))
        waiting = await queue.submit(job("zoe", "Zitronenfalter", execution_id="e1"))
        kept = await queue.submit(job("max", "Gartenhaus", execution_id="e2"))
        await eventually(lambda: bench.prompts == ["Zitronenfalter"])
        assert holders(path, "Zitronenfalter", "zoe")
        await queue.erase("e1")
        await queue.erase("e1")
        listed = await queue.list_jobs(person(role=Role.ADMIN), JobFilter(), before="", limit=9)
        assert [view.job.job_id for view in listed] == [kept]
        for job_id in (running, waiting):
            with pytest.raises(JobNotFoundError):
                await queue.get(job_id, person(role=Role.ADMIN))
        assert not holders(path, "Zitronenfalter", "zoe")
        assert holders(path, "Gartenhaus")
        bench.permits.release()
        assert (await outcome(queue, kept)).state is JobState.DONE
    assert not holders(path, "Zitronenfalter", "zoe")


def holders(path: Path, *texts: str) -> list[str]:
    """The files of a journal that hold one of some texts."""
    files = list(path.parent.glob(f"{path.name}*"))
    return [one.name for one in files for text in texts if text.encode() in one.read_bytes()]
