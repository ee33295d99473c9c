"""A tracker to call, and messages to send to it; shared by the tracker's integration tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import uuid_utils

from servicekit.channel import open_channel
from servicekit.errors import RemoteError, remote_error
from servicekit.principals import Role, identity_metadata
from servicekit.server import start_server
from stellwerk.tracker.v1 import (
    execution_pb2,
    export_service_pb2_grpc,
    export_workflow_service_pb2_grpc,
    tracker_service_pb2,
    tracker_service_pb2_grpc,
)
from tests.support import free_port
from tracker_service.service import registration
from tracker_service.settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable
    from pathlib import Path


Request = tracker_service_pb2.RecordItemsRequest
Response = tracker_service_pb2.RecordItemsResponse
Item = execution_pb2.ExecutionItem


ANNA = identity_metadata(user="anna", session="s-anna", group="7b", role=Role.LEARNER)
BERTA = identity_metadata(user="berta", session="s-berta", group="7b", role=Role.LEARNER)
TEACHER = identity_metadata(user="tea", session="s-tea", group="7b", role=Role.TEACHER)
STRANGER = identity_metadata(user="tom", session="s-tom", group="8a", role=Role.TEACHER)


DATABASES = ("sqlite", "postgres")
"""What a tracker may keep its records in."""


def empty_database(kind: str) -> str:
    """Return the URL of an empty database of one of `DATABASES`; empty for SQLite."""
    if kind == "sqlite":
        return ""
    from tests.postgres import fresh_database

    return fresh_database()


@dataclass(frozen=True)
class Tracker:
    """A running tracker.

    Attributes:
        stub: TrackerService.
        exports: ExportService.
        workflows: ExportWorkflowService.
        files: The folder of its JSON files.
    """

    stub: tracker_service_pb2_grpc.TrackerServiceAsyncStub
    exports: export_service_pb2_grpc.ExportServiceAsyncStub
    workflows: export_workflow_service_pb2_grpc.ExportWorkflowServiceAsyncStub
    files: Path

    async def record(self, *items: Item, **fields: Any) -> Response:
        """Send one batch and return its acknowledgement."""
        (response,) = await self.record_all([Request(items=items, **fields)])
        return response

    async def record_all(self, requests: Iterable[Request]) -> list[Response]:
        """Send batches over one stream and return their acknowledgements."""

        async def stream() -> AsyncIterator[Request]:
            for request in requests:
                yield request

        return [response async for response in self.stub.RecordItems(stream())]

    async def read(self, execution_id: str, metadata: Any = ()) -> execution_pb2.ExecutionRecord:
        """Return a record."""
        request = tracker_service_pb2.GetExecutionRequest(execution_id=execution_id)
        return (await self.stub.GetExecution(request, metadata=metadata)).record


@contextlib.asynccontextmanager
async def running_tracker(data: Path, **settings: Any) -> AsyncIterator[Tracker]:
    """Run a tracker over the folder `data` in this process."""
    configured = tracker_settings(data, **settings)
    async with (
        start_server(configured, registration(configured)) as server,
        open_channel(server.address) as channel,
    ):
        yield tracker_on(channel, data)


def tracker_settings(data: Path, **settings: Any) -> TrackerSettings:
    """Return settings of a tracker on a free port over the folder `data`."""
    options: dict[str, Any] = {"listen_address": "127.0.0.1:0", "grace_seconds": 2}
    return TrackerSettings(**(options | {"data_dir": data} | settings))


def tracker_on(channel: grpc.aio.Channel, data: Path) -> Tracker:
    """Return the tracker behind `channel`."""
    return Tracker(
        tracker_service_pb2_grpc.TrackerServiceStub(channel),
        export_service_pb2_grpc.ExportServiceStub(channel),
        export_workflow_service_pb2_grpc.ExportWorkflowServiceStub(channel),
        data / "research_data",
    )


class Process:
    """A tracker in a process of its own, which can be killed."""

    def __init__(self, data: Path, **settings: str) -> None:
        """Choose a port; start with `start`.

        Args:
            data: Folder of its data.
            settings: More of its settings, by names in capitals without prefix.
        """
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = os.environ | {
            "TRACKER_LISTEN_ADDRESS": self.address,
            "TRACKER_DATA_DIR": str(data),
            "TRACKER_GRACE_SECONDS": "5",
            **{f"TRACKER_{name}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it serves some time later."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tracker_service"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
        )

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        process, self._process = self._process, None
        return 0 if process is None else process.wait(20)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, wait for its end and return the exit code."""
        if self._process is not None:
            self._process.send_signal(number)
        return self.wait()


def new_id() -> str:
    """Make an id."""
    return str(uuid_utils.uuid7())


def make_item(execution_id: str, number: int, item_type: str = "warning", **fields: Any) -> Item:
    """Make an item; `metadata` is an object."""
    metadata = fields.pop("metadata", {})
    values: dict[str, Any] = {
        "item_id": new_id(),
        "execution_id": execution_id,
        "epoch": 1,
        "sequence_number": number,
        "item_type": item_type,
        "metadata_json": json.dumps(metadata).encode(),
    }
    item = Item(**(values | fields))
    item.occur_time.seconds = 1_700_000_000 + number
    return item


def make_start(execution_id: str, user: str = "anna", **metadata: Any) -> Item:
    """Make the `pipeline_start` of an execution of `user` in class 7b."""
    facts = {
        "config_name": "dada",
        "safety_level": "kids",
        "user_id": user,
        "session_id": f"s-{user}",
        "group_id": "7b",
    }
    return make_item(execution_id, 1, "pipeline_start", metadata=facts | metadata)


def make_run(execution_id: str, length: int = 4, user: str = "anna", **metadata: Any) -> list[Item]:
    """Make a whole run."""
    return [
        make_start(execution_id, user, **metadata),
        make_item(execution_id, 2, "user_input_text", stage=1, content="Eine Blume"),
        *(make_item(execution_id, number) for number in range(3, length)),
        make_item(execution_id, length, "pipeline_complete", stage=5),
    ]


async def failure(call: Awaitable[Any]) -> RemoteError:
    """Return the status that a call ends with."""
    with pytest.raises(grpc.RpcError) as raised:
        await call
    return remote_error(raised.value)


async def read_all(stream: Any) -> list[Any]:
    """Return all responses of a stream."""
    return [response async for response in stream]
