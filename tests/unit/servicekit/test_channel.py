"""What goes along with outgoing calls."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
import pytest

from servicekit.channel import deadline, open_channel, retry_unavailable
from servicekit.context import CallContext, detached, remaining_seconds, within_call
from servicekit.errors import Code, NotFoundError, RemoteError, UnavailableError
from servicekit.principals import (
    Principal,
    Role,
    acting_as,
    current_principal,
    identity_metadata,
)
from servicekit.server import start_server
from tests.support import local_settings, serving
from tests.unit.servicekit.probe import EVERY_KIND, nothing, probe, raising, unary_unary

LEA = Principal("lea", Role.LEARNER, "s1", "4b", actor=Role.LEARNER)


@pytest.mark.parametrize("call", EVERY_KIND)
async def test_the_principal_goes_along(call: Any) -> None:
    """A call made for somebody arrives on behalf of them, whatever the kind of RPC."""
    seen: list[Principal] = []

    async def look(context: Any) -> None:
        seen.append(current_principal())

    async with serving(probe(look)) as channel:
        with acting_as(LEA):
            await call(channel)
    assert seen == [Principal("lea", Role.LEARNER, "s1", "4b", actor=Role.ADMIN)]


async def test_ids_go_along() -> None:
    """Request and execution id of the call being served reach the neighbour."""
    seen: list[dict[str, Any]] = []

    async def look(context: Any) -> None:
        seen.append(dict(context.invocation_metadata()))

    async with serving(probe(look)) as channel:
        with within_call(CallContext(request_id="r-1", execution_id="e-1")):
            await unary_unary(channel)
    assert seen[0]["stellwerk-request-id"] == "r-1"
    assert seen[0]["stellwerk-execution-id"] == "e-1"


async def test_fixed_names_of_a_channel() -> None:
    """A tool that speaks for one person names them once, for all calls."""
    seen: list[Principal] = []

    async def look(context: Any) -> None:
        seen.append(current_principal())

    metadata = identity_metadata(user="lea", session="s1")
    async with (
        start_server(local_settings(), probe(look)) as server,
        open_channel(server.address, metadata=metadata) as channel,
    ):
        await unary_unary(channel)
        with acting_as(Principal("leo", Role.TEACHER, "s2", "", actor=Role.ADMIN)):
            await unary_unary(channel)
    assert [(one.id, one.session) for one in seen] == [("lea", "s1"), ("leo", "s2")]


async def test_a_neighbour_that_answers_slowly_is_not_given_up() -> None:
    """A connection may take its time, as over TLS or to a busy machine: the call waits for it."""
    connections = 0

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        there, back = await asyncio.open_connection(*server.address.split(":"))
        await asyncio.sleep(0.4)  # the greeting comes late; four times what used to be waited

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.closing(target):
                while piece := await source.read(65_536):
                    target.write(piece)

        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async with start_server(local_settings(), probe(nothing)) as server:
        relay = await asyncio.start_server(slowly, "127.0.0.1")
        async with relay:
            host, port = relay.sockets[0].getsockname()
            async with open_channel(f"{host}:{port}") as channel:
                await unary_unary(channel)
    assert connections == 1


async def test_no_call_outlasts_the_one_being_served() -> None:
    """A neighbour hears the caller's deadline, however long our own limit is."""
    seen: list[float] = []

    async def look(context: Any) -> None:
        seen.append(context.time_remaining())

    async with serving(probe(look)) as inner:

        async def ask(context: Any) -> None:
            await unary_unary(inner)
            await unary_unary(inner, timeout=500)
            await unary_unary(inner, timeout=5)
            with detached("e-1"):
                await unary_unary(inner, timeout=500)

        async with serving(probe(ask)) as outer:
            await unary_unary(outer, timeout=20)
    inherited, capped, own, free = seen
    assert inherited < 25  # gRPC rounds up a little
    assert capped < 25
    assert own < 6
    assert free > 100


async def test_a_call_without_a_limit_gets_one() -> None:
    """No call with a single answer waits for ever."""
    seen: list[float | None] = []

    async def look(context: Any) -> None:
        seen.append(context.time_remaining())

    async with serving(probe(look)) as channel:
        await unary_unary(channel)
    assert seen[0] is not None
    assert seen[0] < 35  # 30, which gRPC rounds up a little


def test_deadline_is_the_smaller_one() -> None:
    """Outside of calls the own limit holds; time that is over is 0, never negative."""
    assert deadline(7) == 7
    with within_call(CallContext(deadline=0.0)):
        assert deadline(7) == 0
        assert remaining_seconds() == 0


async def test_unavailable_is_tried_again() -> None:
    """A neighbour that is away for a moment is asked again."""
    answers = [raising(UnavailableError("DOWN", "Down.")), nothing]

    async def falter(context: Any) -> None:
        await answers.pop(0)(context)

    async with serving(probe(falter)) as channel:
        await retry_unavailable(lambda: unary_unary(channel), first_delay_seconds=0.001)
    assert answers == []


async def test_other_errors_are_not_tried_again() -> None:
    """Only UNAVAILABLE promises that a second attempt may help."""
    calls = 0

    async def refuse(context: Any) -> None:
        nonlocal calls
        calls += 1
        raise NotFoundError("GONE", "Gone.")

    async with serving(probe(refuse)) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await retry_unavailable(lambda: unary_unary(channel), first_delay_seconds=0.001)
    assert calls == 1


async def test_attempts_are_bounded() -> None:
    """After the last attempt its error is raised."""
    calls = 0

    async def refuse() -> None:
        nonlocal calls
        calls += 1
        raise RemoteError(Code.UNAVAILABLE, "DOWN", "Down.")

    with pytest.raises(RemoteError):
        await retry_unavailable(refuse, attempts=3, first_delay_seconds=0.001)
    assert calls == 3


async def test_a_call_that_nobody_reads_any_more_ends() -> None:
    """A reader who is cancelled between two messages is gone for the server as well."""
    for _ in range(20):
        entered, left = asyncio.Event(), asyncio.Event()

        async def wait(
            context: Any, entered: asyncio.Event = entered, left: asyncio.Event = left
        ) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        async with serving(probe(wait)) as channel:
            reader = asyncio.create_task(EVERY_KIND[1](channel))
            await asyncio.wait_for(entered.wait(), 10)
            reader.cancel()
            await asyncio.wait_for(left.wait(), 10)
    assert left.is_set()
