"""The one line that every call leaves in the log."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from servicekit.context import bind_execution_id, current_call
from servicekit.errors import NotFoundError
from tests.support import eventually, serving
from tests.unit.servicekit.probe import EVERY_KIND, probe, raising, unary_stream, unary_unary


def finished(lines: Any) -> list[tuple[str, str]]:
    """Return RPC and code of the calls that finished."""
    return [
        (line["rpc"].rpartition("/")[2], line["grpc_code"])
        for line in lines
        if line["event"] == "rpc_finished"
    ]


@pytest.mark.parametrize("call", EVERY_KIND)
async def test_one_line_per_call(call: Any) -> None:
    """Every kind of RPC leaves exactly one line with its name, code and duration."""
    with capture_logs() as lines:
        async with serving(probe()) as channel:
            await call(channel)
    [line] = [line for line in lines if line["event"] == "rpc_finished"]
    assert line["log_level"] == "info"
    assert line["grpc_code"] == "OK"
    assert line["rpc"].startswith("stellwerk.")
    assert line["duration_ms"] >= 0


async def test_the_code_of_a_failure() -> None:
    """A failed call is logged with the status that the caller saw."""
    with capture_logs() as lines:
        async with serving(probe(raising(NotFoundError("GONE", "Gone.")))) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await unary_unary(channel)
    assert finished(lines) == [("GetExecution", "NOT_FOUND")]


async def test_a_caller_who_leaves() -> None:
    """A cancel by the caller reaches the handler and is logged as CANCELLED."""
    entered, left = asyncio.Event(), asyncio.Event()

    async def wait(context: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    with capture_logs() as lines:
        async with serving(probe(wait)) as channel:
            call = asyncio.create_task(unary_stream(channel))
            await asyncio.wait_for(entered.wait(), 10)
            call.cancel()
            await asyncio.wait_for(left.wait(), 10)
            assert await eventually(lambda: finished(lines)) == [("WatchItems", "CANCELLED")]


async def test_a_deadline_that_passes() -> None:
    """A call whose time is over is logged as DEADLINE_EXCEEDED."""

    async def wait(context: Any) -> None:
        await asyncio.Event().wait()

    with capture_logs() as lines:
        async with serving(probe(wait)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary_unary(channel, timeout=0.05)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert await eventually(lambda: finished(lines)) == [
                ("GetExecution", "DEADLINE_EXCEEDED")
            ]


async def test_ids_travel_into_the_call() -> None:
    """Request and execution id of the metadata are the ids of the call; bad ones are replaced."""
    seen = []

    async def look(context: Any) -> None:
        seen.append(current_call())
        bind_execution_id("bound-later")
        seen.append(current_call())

    async with serving(probe(look)) as channel:
        ids = [("stellwerk-request-id", "r-1"), ("stellwerk-execution-id", "e-1")]
        await unary_unary(channel, metadata=ids)
        await unary_unary(channel, metadata=[("stellwerk-request-id", "two words")])
    assert [(call.request_id, call.execution_id) for call in seen[:2]] == [
        ("r-1", "e-1"),
        ("r-1", "bound-later"),
    ]
    assert seen[2].request_id not in ("", "two words")
    assert seen[2].execution_id == ""
