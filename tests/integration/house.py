"""All four services as real servers in this process, with a fake Ollama as their only model.

Quicker than four processes and just as real on the wire; what needs processes is in tests/e2e.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from generation_service.service import registration as generation
from generation_service.settings import GenerationSettings
from orchestrator.service import registration as orchestrator
from orchestrator.settings import OrchestratorSettings
from safety_service.service import registration as safety
from safety_service.settings import SafetySettings
from servicekit.channel import open_channel
from servicekit.principals import identity_metadata
from servicekit.server import start_server
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.support import eventually
from tracker_service.service import registration as tracker
from tracker_service.settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from stellwerk.orchestrator.v1 import event_pb2
    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
        OrchestratorServiceAsyncStub,
    )
    from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceAsyncStub

RUN_SECONDS = 60.0


@dataclass
class House:
    """A running deployment and the ways into it.

    Attributes:
        settings: Of its orchestrator, for another one beside it.
        address: The orchestrator's.
        metrics: Where the services show their numbers, as far as they were told to.
    """

    orchestrator: OrchestratorServiceAsyncStub
    tracker: TrackerServiceAsyncStub
    settings: OrchestratorSettings
    address: str
    metrics: tuple[str, ...] = ()

    async def run(
        self, *, user: str = "", session: str = "", **fields: Any
    ) -> list[event_pb2.ExecutionEvent]:
        """Run to the end and return all events; kids' level unless said otherwise."""
        fields.setdefault("safety_level", types_pb2.SAFETY_LEVEL_KIDS)
        call = self.orchestrator.RunExecution(
            pb2.RunExecutionRequest(**fields),
            timeout=RUN_SECONDS,
            metadata=tuple(identity_metadata(user=user, session=session)),
        )
        return [response.event async for response in call]

    async def record(self, execution_id: str) -> execution_pb2.ExecutionRecord:
        """Return the record once it is complete."""

        async def complete() -> execution_pb2.ExecutionRecord | None:
            try:
                response = await self.tracker.GetExecution(
                    tracker_pb2.GetExecutionRequest(execution_id=execution_id)
                )
            except grpc.aio.AioRpcError as exc:
                if exc.code() is grpc.StatusCode.NOT_FOUND:
                    return None  # its first items are still on their way
                raise
            return response.record if response.record.summary.complete else None

        found = await eventually(complete)
        assert found is not None
        return found


def item_types(record: execution_pb2.ExecutionRecord) -> list[str]:
    """Return the item types of a record in order."""
    return [item.item_type for item in record.items]


@contextlib.asynccontextmanager
async def open_house(
    folder: Path,
    ollama_url: str,
    *,
    lease_seconds: float = 30.0,
    generation_settings: Mapping[str, Any] = MappingProxyType({}),
    safety_settings: Mapping[str, Any] = MappingProxyType({}),
    tracker_settings: Mapping[str, Any] = MappingProxyType({}),
    **orchestrator_settings: Any,
) -> AsyncIterator[House]:
    """Start the four services on free ports; their data go below `folder`."""
    local: dict[str, Any] = {"listen_address": "127.0.0.1:0", "grace_seconds": 2.0}
    async with contextlib.AsyncExitStack() as running:
        generating = await running.enter_async_context(
            start_server(
                *_with(
                    generation,
                    GenerationSettings(
                        data_dir=folder,
                        ollama_url=ollama_url,
                        embedded_preload=False,
                        **{"models_profile": "local", **local, **generation_settings},
                    ),
                )
            )
        )
        tracking = await running.enter_async_context(
            start_server(
                *_with(
                    tracker,
                    TrackerSettings(
                        data_dir=folder,
                        execution_lease_seconds=lease_seconds,
                        generation_address=generating.address,
                        **{**local, **tracker_settings},
                    ),
                )
            )
        )
        checking = await running.enter_async_context(
            start_server(
                *_with(
                    safety,
                    SafetySettings(
                        generation_address=generating.address, **local, **safety_settings
                    ),
                )
            )
        )
        settings = OrchestratorSettings(
            safety_address=checking.address,
            generation_address=generating.address,
            tracker_address=tracking.address,
            spool_dir=folder / "spool",
            **{**local, **orchestrator_settings},
        )
        running_one = await running.enter_async_context(
            start_server(*_with(orchestrator, settings))
        )
        to_orchestrator = await running.enter_async_context(open_channel(running_one.address))
        to_tracker = await running.enter_async_context(open_channel(tracking.address))
        yield House(
            OrchestratorServiceStub(to_orchestrator),
            TrackerServiceStub(to_tracker),
            settings,
            running_one.address,
            tuple(
                each.metrics_address
                for each in (running_one, checking, generating, tracking)
                if each.metrics_address
            ),
        )


@contextlib.asynccontextmanager
async def another_orchestrator(house: House, **changes: Any) -> AsyncIterator[House]:
    """Start one more orchestrator beside a house's; leaving it gives its runs back at once."""
    settings = house.settings.model_copy(update={"finish_seconds": 0.0, **changes})
    async with (
        start_server(*_with(orchestrator, settings)) as running,
        open_channel(running.address) as channel,
    ):
        yield House(OrchestratorServiceStub(channel), house.tracker, settings, running.address)


def _with(registration: Any, settings: Any) -> tuple[Any, Any]:
    return settings, registration(settings)


def no_faults(events: list[event_pb2.ExecutionEvent]) -> str:
    """Return the id of a run that must have ended COMPLETED."""
    last = events[-1]
    state = execution_pb2.ExecutionState.Name(last.state_changed.state)
    if last.state_changed.state != execution_pb2.EXECUTION_STATE_COMPLETED:
        pytest.fail(f"ended {state}: {last.state_changed.reason} {last.state_changed.message}")
    return last.execution_id
