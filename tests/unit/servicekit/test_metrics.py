"""What a service counts, and how it hands that out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from servicekit.channel import open_channel
from servicekit.errors import NotFoundError
from servicekit.exposition import exposing
from servicekit.metrics import MAX_LABEL_SETS, Meter, counter, gauge, histogram
from servicekit.server import start_server
from servicekit.settings import ConfigurationError, ServiceSettings
from tests.unit.servicekit.probe import probe, raising, unary_unary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PUPILS = counter("pupils_total", "Pupils who came.", "school")
NOISE = gauge("noise", "How loud it is.")
WAIT = histogram("wait_seconds", "How long they waited.", buckets=(1, 10))


def numbers(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return what a meter says: name and label values, in order, to the number."""
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Any, str]]:
    """Yield a channel to a service whose only RPC fails, and the address of its metrics."""
    settings = ServiceSettings(
        listen_address="127.0.0.1:0", metrics_address="127.0.0.1:0", grace_seconds=1
    )
    register = probe(raising(NotFoundError("GONE", "Gone.")))
    async with (
        start_server(settings, register) as server,
        open_channel(server.address) as channel,
    ):
        yield channel, server.metrics_address


def test_counts_and_durations_by_label() -> None:
    """Counters add up, histograms fill their buckets, gauges are read when somebody looks."""
    meter = Meter()
    loud = [3.0]
    pupils, wait = meter.count(PUPILS), meter.distribution(WAIT)
    meter.read(NOISE, lambda: loud[0])
    pupils.add("north")
    pupils.add("north", amount=2)
    wait.observe(5)
    loud[0] = 7.0
    found = numbers(meter.text())
    assert found["pupils_total", ("north",)] == 3
    assert (found["wait_seconds_bucket", ("1.0",)], found["wait_seconds_count", ()]) == (0, 1)
    assert found["noise", ()] == 7


def test_label_values_are_words_and_few() -> None:
    """Text never becomes a label, and more values than there may be are counted together."""
    meter = Meter()
    pupils = meter.count(PUPILS)
    pupils.add("Eine Blume auf der Wiese")
    for number in range(MAX_LABEL_SETS * 2):
        pupils.add(f"school-{number}")
    counts = {
        labels: value
        for (name, labels), value in numbers(meter.text()).items()
        if name == "pupils_total"
    }
    assert len(counts) == MAX_LABEL_SETS
    assert counts["other",] == MAX_LABEL_SETS + 2
    assert b"Blume" not in meter.text()


def test_a_number_that_cannot_be_read_hides_no_other() -> None:
    """One reading that breaks leaves the rest."""
    meter = Meter()

    def broken() -> float:
        raise OSError("the disk is gone")

    meter.read(NOISE, broken)
    meter.count(PUPILS).add("north")
    found = numbers(meter.text())
    assert ("noise", ()) not in found
    assert found["pupils_total", ("north",)] == 1


def test_meters_do_not_meet() -> None:
    """Two services in one process count apart."""
    one, other = Meter(), Meter()
    one.count(PUPILS).add("north")
    other.count(PUPILS)
    assert ("pupils_total", ("north",)) not in numbers(other.text())


async def test_every_call_is_counted_with_its_code() -> None:
    """`/metrics` of a service tells how many calls ended how, and names the process."""
    async with served() as (channel, metrics), httpx.AsyncClient() as http:
        with pytest.raises(grpc.aio.AioRpcError):
            await unary_unary(channel)
        answer = await http.get(f"http://{metrics}/metrics")
        elsewhere = await http.get(f"http://{metrics}/")
    found = numbers(answer.content)
    rpc = "stellwerk.tracker.v1.TrackerService/GetExecution"
    assert found["stellwerk_rpc_seconds_count", ("NOT_FOUND", rpc)] == 1
    assert any(name == "stellwerk_build_info" for name, _ in found)
    assert ("process_resident_memory_bytes", ()) in found
    assert answer.headers["content-type"].startswith("text/plain")
    assert elsewhere.status_code == 404


async def test_metrics_are_not_served_unless_asked_for() -> None:
    """Without an address nothing listens."""
    settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=1)
    async with start_server(settings, probe()) as server:
        assert server.metrics_address == ""


async def test_a_taken_port_is_said() -> None:
    """A port that is in use stops the service with the reason."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match="Cannot serve metrics"):
            async with exposing(lambda: b"", address):
                pass


async def test_somebody_who_never_asks_keeps_nobody_waiting() -> None:
    """The server stops although a connection says nothing."""
    async with exposing(lambda: b"x 1\n", "127.0.0.1:0") as address:
        host, _, port = address.partition(":")
        _, silent = await asyncio.open_connection(host, int(port))
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host, int(port))
    silent.close()
    with contextlib.suppress(ConnectionResetError):  # the server has let go of it already
        await silent.wait_closed()
