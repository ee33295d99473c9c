"""Spans of one service: where they come from, what they hold, and that they are off by default."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from servicekit.channel import open_channel
from servicekit.context import bind_execution_id, current_call, detached, within_span
from servicekit.errors import UnavailableError
from servicekit.logging import add_ids
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from servicekit.spans import NoTracer, Role, open_tracer
from stellwerk.tracker.v1.tracker_service_pb2 import GetExecutionResponse
from tests.fakes.otlp_sink import Taken, collecting
from tests.support import free_port, serving
from tests.unit.servicekit.probe import nothing, probe, unary_unary

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
WORDS = "Eine Blume namens Zarubilo"


async def traced(do: Callable[[Any], Any], metadata: Any = ()) -> list[Taken]:
    """Run one RPC that does `do` in a service that traces; return its spans."""
    with collecting() as (sink, endpoint):
        settings = ServiceSettings(
            listen_address="127.0.0.1:0", otlp_endpoint=endpoint, grace_seconds=1
        )
        async with (
            start_server(settings, probe(do)) as server,
            open_channel(server.address, metadata=metadata) as channel,
        ):
            try:
                await unary_unary(channel)
            except grpc.aio.AioRpcError as exc:
                assert exc.code() is not grpc.StatusCode.UNKNOWN, exc.details()
        return sink.spans()


async def test_a_call_is_a_span_of_its_callers_trace() -> None:
    """The span of an RPC lies under what `traceparent` names, with its ids and its code."""

    async def do(context: Any) -> None:
        bind_execution_id("e-1")

    [span] = await traced(do, [("traceparent", TRACEPARENT)])
    assert (span.trace_id, span.parent) == (TRACE, "b7ad6b7169203331")
    assert span.name.endswith("TrackerService/GetExecution")
    assert span.service == "service"
    assert span.attributes["rpc.grpc.status_code"] == "OK"
    assert span.attributes["stellwerk.execution_id"] == "e-1"


async def test_parts_lie_under_the_call_also_when_it_is_over() -> None:
    """`within_span` makes parts; work that outlives the call stays in its trace."""

    async def do(context: Any) -> None:
        with detached("e-1"), within_span("outer"), within_span("inner", {"stage": 2}):
            pass

    spans = {span.name.rpartition("/")[2]: span for span in await traced(do)}
    assert spans["inner"].parent == spans["outer"].span_id
    assert spans["outer"].parent == spans["GetExecution"].span_id
    assert spans["inner"].attributes == {"stage": "2"}
    assert spans["GetExecution"].parent == ""


async def test_a_failure_is_a_code_and_never_words() -> None:
    """What an exception says may be a person's words; a span names its reason only."""

    async def do(context: Any) -> None:
        with within_span("part"):
            raise UnavailableError("MODEL_AWAY", WORDS)

    async def crash(context: Any) -> None:
        with within_span("part"):
            raise ValueError(WORDS)

    part, call = await traced(do)
    assert (part.status, call.status) == ("MODEL_AWAY", "UNAVAILABLE")
    crashed, _ = await traced(crash)
    assert crashed.status == "ValueError"
    assert not [span for span in (part, call, crashed) if "Zarubilo" in span.text]


async def test_a_call_to_a_neighbour_is_a_span_until_it_has_answered() -> None:
    """Named with the code that came back, and above all where nobody answers."""
    asked: dict[str, grpc.aio.Channel] = {}

    async def do(context: Any) -> None:
        for channel in asked.values():
            with contextlib.suppress(grpc.aio.AioRpcError):
                await unary_unary(channel)

    async with (
        serving(probe(nothing)) as asked["there"],
        open_channel(f"127.0.0.1:{free_port()}") as asked["away"],
    ):
        there, away, call = await traced(do)
    assert [there.kind, away.kind, call.kind] == ["client", "client", "server"]
    assert there.parent == away.parent == call.span_id
    codes = [span.attributes["rpc.grpc.status_code"] for span in (there, away, call)]
    assert codes == ["OK", "UNAVAILABLE", "OK"]
    assert [there.status, away.status, call.status] == ["", "UNAVAILABLE", ""]


async def test_queued_work_names_the_span_that_asked_for_it() -> None:
    """A span may begin under a name from a queue, and link to several others."""
    with collecting() as (sink, endpoint):
        async with open_tracer(endpoint, "worker") as tracer:
            with tracer.begin("job", Role.CONSUMER, parent=TRACEPARENT, links=[TRACEPARENT, "x"]):
                pass
        [span] = sink.spans()
    assert (span.service, span.trace_id) == ("worker", TRACE)
    assert span.links == ((TRACE, "b7ad6b7169203331"),)


async def test_a_collector_that_is_away_costs_no_call() -> None:
    """Nobody listens at the endpoint: calls work, and the service stops in time."""
    settings = ServiceSettings(
        listen_address="127.0.0.1:0", otlp_endpoint="http://127.0.0.1:1", grace_seconds=1
    )
    async with (
        start_server(settings, probe(nothing)) as server,
        open_channel(server.address) as channel,
    ):
        assert await unary_unary(channel) == GetExecutionResponse()


async def test_without_a_collector_the_header_goes_through() -> None:
    """Nothing is traced, yet log lines and neighbours hear of the caller's trace."""
    seen: list[tuple[str, Any]] = []

    async def do(context: Any) -> None:
        with within_span("part"):
            seen.append((current_call().span.traceparent, add_ids(None, "info", {})))

    with capture_logs():
        async with serving(probe(do)) as channel:
            await unary_unary(channel, metadata=[("traceparent", TRACEPARENT)])
            await unary_unary(channel, metadata=[("traceparent", "00-nonsense")])
    (first, line), (second, other) = seen
    assert (first, line["trace_id"]) == (TRACEPARENT, TRACE)
    assert second == ""
    assert "trace_id" not in other


def test_the_library_is_not_loaded_unless_it_is_needed() -> None:
    """A service without an endpoint imports nothing of OpenTelemetry that could send."""
    code = (
        "import sys, servicekit.server\n"
        "used = ('opentelemetry.sdk', 'opentelemetry.exporter', 'servicekit.opentelemetry')\n"
        "print([name for name in sys.modules if name.startswith(used)])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"


def test_an_endpoint_is_an_address() -> None:
    """A faulty endpoint is a fault of the settings; one with a password is refused."""
    for endpoint in ("collector:4317", "http://name:secret@collector:4317", "http://a/b"):
        with pytest.raises(ValidationError):
            ServiceSettings(otlp_endpoint=endpoint)


def test_nothing_is_traced_by_default() -> None:
    """The tracer of a service without an endpoint only passes names on."""
    with NoTracer().begin("work", Role.INTERNAL, parent=TRACEPARENT) as span:
        assert span.traceparent == TRACEPARENT
    with NoTracer().begin("work", Role.INTERNAL, parent="nonsense") as span:
        assert span.traceparent == ""
