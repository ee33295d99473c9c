"""A whole deployment as a cluster runs it: several processes of each service, NATS, PostgreSQL.

They are found by lists of addresses, as a headless Service names them; NATS, PostgreSQL and the
processes are real, the model and the ComfyUI servers are stand-ins.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from servicekit.channel import open_channel
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from stellwerk_cli.readiness import wait_until_serving
from tests.drills.database import Database, running_database
from tests.fakes.comfyui import ComfyUIProcess
from tests.integration.generation_fleet import START_SECONDS, Member, open_fleet
from tests.nats import NatsServer, nats_server
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
        OrchestratorServiceAsyncStub,
    )
    from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceAsyncStub
    from tests.integration.generation_fleet import Fleet

WORKERS = 4
COUNTS = {"api": 3, "orchestrator": 3, "tracker": 2, "safety": 2}
LEASE_SECONDS = 6.0
KEYS = "keys.json"
COOKIE_SECRET = "the same one for all gateways of the drill"
GENERATION = {
    "QUEUE_LEASE_SECONDS": "2",
    "WORKER_SILENCE_SECONDS": "3",
    "WORKER_CHECK_SECONDS": "1",
    "WORKER_DRAIN_SECONDS": "20",
    "JOB_ATTEMPTS": "6",
    "MODELS_PROFILE": "local",
}
PATIENCE = {
    "SAFETY_SECONDS": "60",
    "INPUT_CHECK_SECONDS": "120",
    "OUTPUT_CHECK_SECONDS": "120",
    "TRACKER_SECONDS": "10",
    "REATTACH_SECONDS": "60",
    "HEARTBEAT_SECONDS": "0.5",
}
"""Limits for two dozen processes on one busy machine."""


class Gateway(Member):
    """A gateway, which speaks HTTP."""

    async def serving(self) -> None:
        """Wait until it is ready."""
        assert await wait_until_serving(self.address, START_SECONDS, http=True)


@dataclass
class Cluster:
    """What runs.

    Attributes:
        members: The processes of each kind.
        orchestrators: A way to each orchestrator.
        tracker: A way to the trackers.
        comfys: The ComfyUI servers.
        media: The folder that stands for the bucket.
    """

    members: dict[str, list[Member]]
    orchestrators: list[OrchestratorServiceAsyncStub]
    tracker: TrackerServiceAsyncStub
    comfys: list[ComfyUIProcess]
    media: Path
    nats: NatsServer
    database: Database

    async def restart_nats(self) -> None:
        """Kill the NATS server and start it again."""
        await asyncio.to_thread(self.nats.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(self.nats.start)

    async def restart_database(self) -> None:
        """Stop PostgreSQL, whatever is connected with it, and start it again."""
        await asyncio.to_thread(self.database.stop)
        await asyncio.sleep(1)
        await asyncio.to_thread(self.database.start)


@contextlib.asynccontextmanager
async def open_cluster(
    folder: Path, ollama_url: str, *, job_seconds: float, gateways: int = 0
) -> AsyncIterator[Cluster]:
    """Run all of it; data go below `folder`.

    Args:
        folder: Of all data.
        ollama_url: The model.
        job_seconds: How long a ComfyUI server takes for a picture.
        gateways: How many of them there are; their keys are in the file `KEYS`.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = stack.enter_context(running_database())
        nats = stack.enter_context(nats_server(folder / "nats"))
        switch = f'node_seconds={{"EmptyImage": {job_seconds}}}'
        comfys = [await stack.enter_async_context(ComfyUIProcess([switch])) for _ in range(WORKERS)]
        settings = GENERATION | {
            "OLLAMA_URL": ollama_url,
            "MEDIA_DATABASE_URL": await asyncio.to_thread(second_database, database.url),
        }
        urls = [comfy.url for comfy in comfys]
        fleet = await stack.enter_async_context(
            open_fleet(folder / "data", nats, urls, replicas=COUNTS["api"], settings=settings)
        )
        members = await stack.enter_async_context(
            services_beside(fleet, folder, database.url, gateways)
        )
        ways = [
            await stack.enter_async_context(open_channel(one.address))
            for one in members["orchestrator"]
        ]
        to_tracker = await stack.enter_async_context(open_channel(target(members["tracker"])))
        yield Cluster(
            {"api": [*fleet.replicas], "worker": fleet.workers, **members},
            [OrchestratorServiceStub(way) for way in ways],
            TrackerServiceStub(to_tracker),
            *(comfys, folder / "data", nats, database),
        )


def second_database(url: str) -> str:
    """Make a database for the ledger of media beside the tracker's; returns its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ledger")
    return url.replace("/tracker", "/ledger", 1)


@contextlib.asynccontextmanager
async def services_beside(
    fleet: Fleet, folder: Path, database_url: str, gateway_count: int
) -> AsyncIterator[dict[str, list[Member]]]:
    """Run the other services before a fleet of generation services."""
    generation = {"GENERATION_ADDRESS": target(fleet.replicas)}
    trackers = group(
        *("tracker_service", "TRACKER", COUNTS["tracker"]),
        {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(folder / "tracker"),
            "EXECUTION_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        | generation,
    )
    guards = group("safety_service", "SAFETY", COUNTS["safety"], generation)
    orchestrators = group(
        *("orchestrator", "ORCHESTRATOR", COUNTS["orchestrator"]),
        {
            "SPOOL_DIR": str(folder / "spool"),
            "SAFETY_ADDRESS": target(guards),
            "TRACKER_ADDRESS": target(trackers),
        }
        | generation
        | PATIENCE,
    )
    gateways = group(
        *("gateway", "GATEWAY", gateway_count),
        {
            "ORCHESTRATOR_ADDRESS": target(orchestrators),
            "TRACKER_ADDRESS": target(trackers),
            "COOKIE_SECRET": COOKIE_SECRET,
            "API_KEYS_FILE": str(folder / KEYS),
            "CALLS_PER_MINUTE": "0",
        }
        | generation,
        kind=Gateway,
    )
    everyone = [*trackers, *guards, *orchestrators, *gateways]
    try:
        for member in everyone:
            await member.start()
        for member in everyone:
            await member.serving()
        yield {"tracker": trackers, "safety": guards, "orchestrator": orchestrators} | (
            {"gateway": gateways} if gateways else {}
        )
    finally:
        await asyncio.gather(*(member.kill() for member in everyone))


def group(
    module: str,
    prefix: str,
    count: int,
    settings: Mapping[str, str],
    kind: type[Member] = Member,
) -> list[Member]:
    """Describe some processes of one service, each at an address of its own."""
    common = {f"{prefix}_{name}": value for name, value in settings.items()}
    common[f"{prefix}_LOG_LEVEL"] = "ERROR"
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    return [
        kind(common | {f"{prefix}_LISTEN_ADDRESS": address}, address, module=module)
        for address in addresses
    ]


def target(members: Iterable[Member]) -> str:
    """Name all of them, so that calls go to each in turn."""
    return "ipv4:" + ",".join(member.address for member in members)
