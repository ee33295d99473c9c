"""Cancelling reaches an execution in whatever stage it is, and everything done for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.channel import open_channel
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2
from tests.fakes.text_server import Fault
from tests.integration.house import House, another_orchestrator, item_types
from tests.integration.one_house import house, model_server, ollama
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from tests.fakes.ollama import FakeOllama

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["house", "model_server", "ollama"]

IDEA = "Eine Blume auf der Wiese"


async def cancelled(where: House, reached: Callable[[list[Any]], Any], **fields: Any) -> list[str]:
    """Run until a moment is reached, cancel, and return the item types of the record."""
    request = pb2.RunExecutionRequest(
        config="dada", texts=[IDEA], safety_level=types_pb2.SAFETY_LEVEL_ADULT, **fields
    )
    events: list[Any] = []
    call = where.orchestrator.RunExecution(request, timeout=60)

    async def read() -> None:
        async for response in call:
            events.append(response.event)

    reading = asyncio.create_task(read())
    await eventually(lambda: events and reached(events))
    execution_id = events[0].execution_id
    cancel = pb2.CancelExecutionRequest(execution_id=execution_id)
    response = await where.orchestrator.CancelExecution(cancel)
    assert response.execution.state == execution_pb2.EXECUTION_STATE_CANCELLED
    await reading
    assert events[-1].state_changed.state == execution_pb2.EXECUTION_STATE_CANCELLED
    types = item_types(await where.record(execution_id))
    assert types[-1] == "pipeline_cancelled"
    assert types.count("pipeline_cancelled") == 1
    return types


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """A server that lets everybody connect and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_in_stage_1(house: House, ollama: FakeOllama, tmp_path: Path) -> None:
    """While a verdict is waited for; no model is asked."""
    with silent_server() as silent:
        settings: dict[str, Any] = {
            "spool_dir": tmp_path,
            "safety_address": silent,
            "safety_seconds": 60.0,
        }
        async with another_orchestrator(house, **settings) as other:
            types = await cancelled(
                other, lambda events: any(event.stage_started.stage == 1 for event in events)
            )
    assert "user_input_text" in types
    assert not ollama.requests


async def test_in_stage_2(house: House, ollama: FakeOllama) -> None:
    """While a model writes; its stream is closed."""
    ollama.fault = Fault.HANG_BETWEEN
    await cancelled(house, lambda _: ollama.requests)
    await eventually(lambda: ollama.left_count == 1)


async def test_in_stage_3(house: House, ollama: FakeOllama) -> None:
    """While a model translates; its stream is closed, and nothing is made."""
    ollama.answer = "Eine ganz andere Blume springt über den Bach im Wald."
    ollama.next_faults.extend([None, Fault.HANG_BEFORE])
    types = await cancelled(house, lambda _: len(ollama.requests) == 2)
    await eventually(lambda: ollama.left_count == 1)
    assert "stage3_safety_check" not in types


async def test_in_stage_4(house: House, ollama: FakeOllama) -> None:
    """While an output waits in the queue; its job is removed."""
    async with open_channel(house.settings.generation_address) as channel:
        generation: GenerationServiceAsyncStub = GenerationServiceStub(channel)
        await generation.PauseQueue(generation_pb2.PauseQueueRequest())
        try:
            types = await cancelled(
                house, lambda events: any(event.HasField("queue_updated") for event in events)
            )
        finally:
            await generation.ResumeQueue(generation_pb2.ResumeQueueRequest())
        jobs = (await generation.ListJobs(generation_pb2.ListJobsRequest(page_size=1))).jobs
    assert jobs[0].state == generation_pb2.JOB_STATE_CANCELLED
    assert "output_image" not in types


async def test_the_time_of_a_caller_who_leaves_nothing_behind(
    house: House, ollama: FakeOllama
) -> None:
    """With CANCEL, the end of the caller's time is the end of the run."""
    ollama.fault = Fault.HANG_BETWEEN
    request = pb2.RunExecutionRequest(
        config="dada",
        texts=[IDEA],
        safety_level=types_pb2.SAFETY_LEVEL_ADULT,
        on_disconnect=pb2.ON_DISCONNECT_CANCEL,
    )
    execution_id = ""
    with pytest.raises(grpc.aio.AioRpcError) as over:
        async for response in house.orchestrator.RunExecution(request, timeout=1.5):
            execution_id = response.event.execution_id
    assert over.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    record = await house.record(execution_id)
    assert item_types(record)[-1] == "pipeline_cancelled"
    await eventually(lambda: ollama.left_count == 1)
