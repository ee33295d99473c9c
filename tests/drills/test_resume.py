"""The orchestrator is killed anywhere in a run of four stages, and the run is taken up again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.channel import open_channel
from servicekit.errors import remote_error
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.drills.faults import revive
from tests.drills.pipelines import RUN_SECONDS, assert_chain, complete_record
from tests.e2e.deployment import deployed
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
        OrchestratorServiceAsyncStub,
    )
    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

KILLS = 30
LEASE_SECONDS = 1
EVENTS = 52
"""A run for kids with two pictures tells of about so many events."""
TOKEN = re.compile(r"Wort\d+wort")
COMPLETED = execution_pb2.EXECUTION_STATE_COMPLETED


@dataclass
class Cut:
    """A run and where it was cut.

    Attributes:
        token: A word that only this run has.
        after_events: It was cut after so many events.
        execution_id: The execution; empty: it died before it had told anything.
        item_ids: The items that were shown before.
        state: The last state.
    """

    token: str
    after_events: int
    execution_id: str = ""
    item_ids: list[str] = field(default_factory=list)
    state: int = 0


@pytest.mark.timeout(1500)
async def test_resumed_runs_do_nothing_twice(
    tmp_path: Path,
    local_models: dict[str, str],
    ollama: FakeOllama,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """After 30 kills every run is complete, gapless, and no finished stage was done again."""
    choice = random.Random(seed)
    ollama.first_token_delay_seconds = 0.02
    ollama.answer = lambda request: f"Eine Blume mit {_token(request)} tanzt."
    cuts = []
    settings = local_models | {
        "ORCHESTRATOR_HEARTBEAT_SECONDS": "0.3",
        "TRACKER_EXECUTION_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    with deployed(tmp_path, "--no-restart", environment=settings) as deployment:
        deployment.remember()
        for number in range(KILLS):
            cut = Cut(f"Wort{number}wort", choice.randint(1, EVENTS))
            process = deployment.starts["orchestrator"][2]
            await run_until(deployment.server, cut, process.kill)
            if process.is_running():
                process.kill()
            await asyncio.to_thread(process.wait, 20)
            await revive(deployment, "orchestrator")
            if cut.execution_id:
                await go_on(deployment.server, cut)
                cuts.append(cut)
        resumed = [await check(deployment, ollama, cut) for cut in cuts]
        deployment.end_revived()
    where = sorted(cut.after_events for cut in cuts)
    tell(
        f"{KILLS} kills after {where[0]} to {where[-1]} events: {sum(resumed)} runs resumed, "
        f"{len(resumed) - sum(resumed)} had ended; all complete, no finished stage done again"
    )


def _token(request: dict[str, Any]) -> str:
    found = TOKEN.search(str(request["messages"]))
    return found.group() if found else ""


async def run_until(address: str, cut: Cut, kill: Callable[[], None]) -> None:
    """Run until so many events have come and kill then, or until the end."""
    request = pb2.RunExecutionRequest(
        config="dada",
        outputs=["embedded_image", "embedded_image_b"],
        texts=[f"Eine Blume mit {cut.token}"],
        safety_level=types_pb2.SAFETY_LEVEL_KIDS,
        language="de",
        parameters={"width": "64", "height": "64"},
    )
    count = 0
    async with open_channel(address) as channel:
        call = OrchestratorServiceStub(channel).RunExecution(request, timeout=RUN_SECONDS)
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for response in call:
                cut.execution_id = response.event.execution_id
                if response.event.HasField("item_recorded"):
                    cut.item_ids.append(response.event.item_recorded.item.item_id)
                count += 1
                if count == cut.after_events:
                    kill()


async def go_on(address: str, cut: Cut) -> None:
    """Resume a run; one that had ended before its orchestrator died stays as it is."""
    async with open_channel(address) as channel:
        stub = OrchestratorServiceStub(channel)
        await eventually(lambda: resumed(stub, cut), within_seconds=LEASE_SECONDS + 30)


async def resumed(stub: OrchestratorServiceAsyncStub, cut: Cut) -> bool:
    """Resume a run to its end, as soon as the lease of the dead is over."""
    request = pb2.ResumeExecutionRequest(execution_id=cut.execution_id)
    try:
        async for response in stub.ResumeExecution(request, timeout=RUN_SECONDS):
            if response.event.HasField("state_changed"):
                cut.state = response.event.state_changed.state
    except grpc.aio.AioRpcError as exc:
        reason = remote_error(exc).reason
        assert reason in ("EXECUTION_CLOSED", "LEASE_HELD")
        if reason == "LEASE_HELD":
            return False
        cut.state = COMPLETED
    return True


async def check(deployment: Deployment, ollama: FakeOllama, cut: Cut) -> bool:
    """Check a run's record and what it asked the outside world; returns whether it was resumed."""
    assert cut.state == COMPLETED
    async with open_channel(deployment.address("tracker")) as channel:
        stub = TrackerServiceStub(channel)
        record = await complete_record(stub, cut.execution_id)
        await assert_chain(stub, cut.execution_id, len(record.items))
    items = [item for item in record.items if not item.late]
    assert [item.sequence_number for item in items] == list(range(1, len(items) + 1))
    assert {item.item_id for item in record.items}.issuperset(cut.item_ids)
    made = [item.loop_iteration for item in items if item.item_type == "output_image"]
    assert sorted(made) == [1, 2]
    await check_nothing_twice(deployment, ollama, cut, items)
    return any(item.epoch == 2 for item in items)


async def check_nothing_twice(
    deployment: Deployment,
    ollama: FakeOllama,
    cut: Cut,
    items: list[execution_pb2.ExecutionItem],
) -> None:
    """Of what the first claim had finished, the second asked nothing."""
    first = [item for item in items if item.epoch == 1]
    second = [item for item in items if item.epoch == 2]
    if any(item.stage == 2 for item in first):
        assert not [item for item in second if item.stage == 1 and item.item_type != "warning"]
    asked = [request for request in ollama.requests if cut.token in request.prompt]
    translations = [request for request in asked if "You translate" in request.prompt]
    if any(item.item_type == "interception_final" for item in first):
        assert len(asked) - len(translations) == 1
    for number in (1, 2):
        types = {item.item_type for item in first if item.loop_iteration == number}
        again = {item.item_type for item in second if item.loop_iteration == number}
        if "pipeline_input_text" in types:
            assert not {"translation_result", "stage3_safety_check"} & again
        if "output_image" in types:
            assert await job_count(deployment, cut.execution_id, number) == 1


async def job_count(deployment: Deployment, execution_id: str, number: int) -> int:
    """Return how often an output was asked for."""
    async with open_channel(deployment.address("generation")) as channel:
        request = generation_pb2.ListJobsRequest(execution_id=execution_id, page_size=50)
        jobs = (await GenerationServiceStub(channel).ListJobs(request)).jobs
    return sum(job.loop_iteration == number for job in jobs)
