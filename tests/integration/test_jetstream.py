"""The queue of several processes: who leads, who takes over, what a restart of NATS leaves."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from generation_service.queue.entry import Entry
from generation_service.queue.interface import JobNotFoundError, QueueLimits
from generation_service.queue.jetstream.deployment import open_deployment
from generation_service.queue.jetstream.documents import Documents
from generation_service.queue.jetstream.leader import Rules
from generation_service.queue.jetstream.lease import Lease
from generation_service.queue.jetstream.link import (
    MessageTooLargeError,
    QueueUnavailableError,
    open_link,
)
from generation_service.queue.jetstream.notebook import DeposedError, Notebook
from generation_service.queue.jetstream.pace import Pace
from generation_service.queue.jobs import Finished, JobState
from generation_service.settings import GenerationSettings
from generation_service.workers.opening import Crew
from servicekit.context import new_id
from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.integration.generation import Echo, generation, order, run
from tests.nats import nats_server
from tests.support import eventually
from tests.unit.generation_service.queue.jetstream_bench import CALM, identify
from tests.unit.generation_service.queue.workbench import (
    QUICK,
    Bench,
    ScriptedWorker,
    Shelf,
    connecting,
    follow,
    job,
    outcome,
    person,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from generation_service.queue.jetstream.deployment import Deployment
    from generation_service.queue.jetstream.host import WorkerHost
    from generation_service.queue.jetstream.replica import JetStreamJobQueue
    from tests.integration.generation import Stub
    from tests.nats import NatsServer

HASTY = Pace(beat=0.05, silence=1.0, lease=1.0, answer=2.0, patience=30.0)
"""Who is silent for a second is given up."""
BRISK = Pace(beat=0.05, silence=20.0, lease=2.0, answer=0.5, poll=0.2, patience=30.0)
"""Questions are asked again soon; nobody is given up."""


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS server for all tests of this file."""
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@contextlib.asynccontextmanager
async def deployed(nats: NatsServer, prefix: str, pace: Pace = CALM) -> AsyncIterator[Deployment]:
    """A process's connection to a deployment."""
    rules = Rules(QueueLimits(attempts=3), QUICK, pace, identify)
    async with open_deployment(nats.options(f"test.{prefix}"), rules) as deployment:
        yield deployment


def host_of(deployment: Deployment, bench: Bench, *names: str, fixed: bool = False) -> WorkerHost:
    """A process with workers."""
    workers = [ScriptedWorker(bench, name) for name in names]
    own, built_in = ([], workers) if fixed else (workers, [])
    return deployment.host(Crew(own, built_in, connecting(bench)), Shelf())


async def knows(queue: JetStreamJobQueue, *names: str) -> bool:
    """Whether these workers are ready."""
    ready = {view.name for view in await queue.workers() if view.state.is_usable}
    return set(names) <= ready


async def test_a_job_is_watched_from_any_replica_and_survives_its_leader(nats: NatsServer) -> None:
    """The first replica leads and goes; the second one goes on; the end is told once."""
    bench, prefix = Bench(), new_id()
    async with (
        deployed(nats, prefix, BRISK) as one,
        deployed(nats, prefix, BRISK) as two,
        host_of(two, bench, "w1"),
        contextlib.AsyncExitStack() as leading,
    ):
        first = await leading.enter_async_context(one.replica())
        await eventually(lambda: knows(first, "w1"))
        async with two.replica() as second:
            job_id = await first.submit(job())
            watching = asyncio.create_task(follow(second, job_id))
            await eventually(lambda: bench.begun)
            with pytest.raises(JobNotFoundError):
                await second.get(job_id, person("s2"))
            await leading.aclose()
            bench.permits.release()
            story = await watching
            assert sum(isinstance(each, Finished) for each in story) == 1
            assert (await second.get(job_id, person())).state is JobState.DONE
    assert len(bench.begun) == 1


async def test_jobs_outlive_a_restart_of_nats(tmp_path: Path) -> None:
    """Killed and started again over its files: what waited and ran is done, once."""
    bench = Bench()
    with nats_server(tmp_path) as server:
        async with (
            deployed(server, "restart", BRISK) as deployment,
            host_of(deployment, bench, "w1", "w2"),
            deployment.replica() as queue,
        ):
            await eventually(lambda: knows(queue, "w1", "w2"))
            ids = [await queue.submit(job(f"s{n}", str(n))) for n in range(6)]
            endings = [asyncio.create_task(outcome(queue, job_id)) for job_id in ids]
            await eventually(lambda: len(bench.begun) == 2)
            await asyncio.to_thread(server.kill)
            for _ in ids:
                bench.permits.release()
            await asyncio.to_thread(server.start)
            assert {(await ending).state for ending in endings} == {JobState.DONE}
    assert sorted(bench.prompts) == [str(n) for n in range(6)]


async def test_a_long_absence_of_nats_cancels_nothing(tmp_path: Path) -> None:
    """Who followed a job is sent away, and finds it when everything is back."""
    bench = Bench()
    pace = replace(HASTY, patience=1.0)
    with nats_server(tmp_path) as server:
        async with (
            deployed(server, "absence", pace) as deployment,
            host_of(deployment, bench, "w1"),
            deployment.replica() as queue,
        ):
            await eventually(lambda: knows(queue, "w1"))
            job_id = await queue.submit(job())
            following = asyncio.create_task(follow(queue, job_id))
            await eventually(lambda: bench.begun)
            await asyncio.to_thread(server.kill)
            with pytest.raises(QueueUnavailableError):
                await following
            await asyncio.to_thread(server.start)
            await eventually(lambda: answers(queue))
            for _ in range(3):  # the worker was silent, too, so there may be another attempt
                bench.permits.release()
            assert (await outcome(queue, job_id)).state is JobState.DONE


async def test_stopping_does_not_wait_for_a_nats_that_is_away(tmp_path: Path) -> None:
    """A service that is to stop stops, also while nobody can be told."""
    bench = Bench()
    with nats_server(tmp_path) as server:
        async with (
            deployed(server, "away", BRISK) as deployment,
            host_of(deployment, bench, "w1"),
            deployment.replica() as queue,
        ):
            await eventually(lambda: knows(queue, "w1"))
            await queue.submit(job())
            await eventually(lambda: bench.begun)
            await asyncio.to_thread(server.kill)
    assert len(bench.present) == 1


async def test_a_nats_that_lost_everything_begins_anew(tmp_path: Path) -> None:
    """Jobs of before are gone, which their callers hear; new ones are done."""
    bench = Bench()
    with nats_server(tmp_path) as server:
        rules = Rules(QueueLimits(), QUICK, BRISK, identify)
        async with (
            open_deployment(server.options("lost", in_memory=True), rules) as deployment,
            host_of(deployment, bench, "w1"),
            deployment.replica() as queue,
        ):
            await eventually(lambda: knows(queue, "w1"))
            lost = asyncio.create_task(outcome(queue, await queue.submit(job())))
            await eventually(lambda: bench.begun)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            with pytest.raises(JobNotFoundError):
                await lost
            bench.permits.release()
            bench.permits.release()
            await eventually(lambda: knows(queue, "w1"))
            assert (await outcome(queue, await queue.submit(job()))).state is JobState.DONE


async def test_a_silent_processs_job_is_done_elsewhere(nats: NatsServer) -> None:
    """A process with workers that is gone loses its job to another one."""
    bench, prefix = Bench(), new_id()
    async with (
        deployed(nats, prefix, HASTY) as deployment,
        deployment.replica() as queue,
    ):
        dying = host_of(deployment, bench, "a", fixed=True)
        async with dying:
            await eventually(lambda: knows(queue, "a"))
            job_id = await queue.submit(job())
            await eventually(lambda: bench.begun)
        bench.present.clear()  # what ran there died with it
        async with host_of(deployment, bench, "b", fixed=True):
            bench.permits.release()
            assert (await outcome(queue, job_id)).state is JobState.DONE
    assert [worker for _, worker in bench.begun] == ["a", "b"]


async def test_a_worker_belongs_to_one_process_at_a_time(nats: NatsServer) -> None:
    """The other process that knows its address stands by, and finds the job again."""
    bench, prefix = Bench(), new_id()
    async with (
        deployed(nats, prefix, HASTY) as deployment,
        deployment.replica() as queue,
        contextlib.AsyncExitStack() as stack,
    ):
        await stack.enter_async_context(host_of(deployment, bench, "gpu"))
        await eventually(lambda: knows(queue, "gpu"))
        async with host_of(deployment, bench, "gpu"):
            job_id = await queue.submit(job())
            await eventually(lambda: bench.begun)
            assert [view.name for view in await queue.workers()] == ["gpu"]
            await stack.aclose()
            bench.permits.release()
            assert (await outcome(queue, job_id)).state is JobState.DONE
    assert len(bench.begun) == 1
    assert bench.most == 1


async def test_a_draining_process_ends_its_job_first(nats: NatsServer) -> None:
    """It takes no other one meanwhile, what was made is stored, and it may come back."""
    bench, prefix = Bench(), new_id()
    async with deployed(nats, prefix) as deployment, deployment.replica() as queue:
        async with host_of(deployment, bench, "a", fixed=True) as leaving:
            await eventually(lambda: knows(queue, "a"))
            running, waiting = await queue.submit(job()), await queue.submit(job())
            await eventually(lambda: bench.begun)
            draining = asyncio.create_task(leaving.drain(60))
            await eventually(lambda: has_left(queue, "a"))
            bench.permits.release()
            assert (await outcome(queue, running)).state is JobState.DONE
            await draining
        assert (await queue.get(waiting, person())).state is JobState.QUEUED
        async with host_of(deployment, bench, "a", fixed=True):
            bench.permits.release()
            assert (await outcome(queue, waiting)).state is JobState.DONE
    assert len(bench.begun) == 2


async def has_left(queue: JetStreamJobQueue, name: str) -> bool:
    """Whether a worker takes no further job."""
    return not await knows(queue, name)


async def test_a_replaced_leader_changes_nothing(nats: NatsServer) -> None:
    """What it still writes is refused, old jobs and new ones alike."""
    async with open_link(nats.options(f"test.{new_id()}")) as link:
        jobs, leases = Documents(link, "jobs"), Documents(link, "leases")
        await jobs.prepare()
        await leases.prepare()
        old, new = Lease(leases, "leader", 0.05), Lease(leases, "leader", 0.05)
        await old.take()
        before = Notebook(jobs, old, remembered=10)
        assert await before.rows() == []
        entry = Entry(job())
        await before.note_queued(entry)
        await new.take()  # the old one is silent
        after = Notebook(jobs, new, remembered=10)
        assert [row.job_id for row in await after.rows()] == [entry.job.job_id]
        entry.begin("w1", "attempt")
        with pytest.raises(DeposedError):
            await before.note_started(entry)
        late = Notebook(jobs, old, remembered=10)
        with pytest.raises(DeposedError):
            await late.note_queued(Entry(job()))
        await after.note_started(entry)
        assert new.term > old.term


async def test_prompts_are_gone_from_the_stream_when_a_job_has_ended(nats: NatsServer) -> None:
    """Old versions of its document are overwritten; erasing removes the document as well."""
    bench, prefix = Bench(free=True), new_id()
    async with (
        deployed(nats, prefix) as deployment,
        host_of(deployment, bench, "w1"),
        deployment.replica() as queue,
        open_link(nats.options(f"test.{prefix}")) as link,
    ):
        await eventually(lambda: knows(queue, "w1"))
        jobs = Documents(link, "jobs")
        job_id = await queue.submit(job(prompt="Zitronenfalter", execution_id="e1"))
        await outcome(queue, job_id)

        async def is_single() -> bool:
            return not (await jobs.all("job"))[f"job.{job_id}"].older

        await eventually(is_single)
        assert b'"prompt":"Zitronenfalter' not in (await jobs.all("job"))[f"job.{job_id}"].value
        await queue.erase("e1")
        assert not await jobs.all("job")


async def test_who_asks_while_nobody_leads_is_told_to_come_again(nats: NatsServer) -> None:
    """Nothing hangs; a job too large for a message is refused at once."""
    pace = Pace(beat=0.05, answer=0.2, patience=0.2)
    async with deployed(nats, new_id(), pace) as deployment:
        replica = deployment.replica()
        with pytest.raises(QueueUnavailableError):
            await replica.status(person())
        async with replica as queue:
            await eventually(lambda: answers(queue))
            noise = "".join(new_id() for _ in range(200_000))
            with pytest.raises(MessageTooLargeError):
                await queue.submit(job(prompt=noise))


async def answers(queue: JetStreamJobQueue) -> bool:
    """Whether somebody leads."""
    with contextlib.suppress(QueueUnavailableError):
        return (await queue.status(person())).waiting == 0
    return False


async def test_a_picture_is_made_through_nats(nats: NatsServer, tmp_path: Path) -> None:
    """The whole service with a shared queue: a call, a renderer, a stored file."""
    options = {"queue": "jetstream", "nats_url": nats.url, "nats_prefix": "whole"}
    async with generation(tmp_path, Echo(), options=options) as stub:
        await eventually(lambda: has_workers(stub))
        events = await run(stub, order())
    assert events[-1].finished.state == pb.JOB_STATE_DONE
    assert sum(event.WhichOneof("event") == "output" for event in events) == 1


async def has_workers(stub: Stub) -> bool:
    """Whether a renderer has made itself known."""
    backends = (await stub.ListBackends(pb.ListBackendsRequest())).backends
    return any(backend.ready_worker_count for backend in backends)


def test_a_role_of_its_own_needs_a_shared_queue() -> None:
    """A worker before a local queue would never be asked for anything."""
    with pytest.raises(ValidationError, match="needs GENERATION_QUEUE=jetstream"):
        GenerationSettings(role="worker")
