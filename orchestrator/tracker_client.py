"""The tracker as the orchestrator asks it: who runs an execution, and what is recorded of it.

Items go to it by the recorder, never from here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc

from orchestrator.converters import words
from orchestrator.converters.records import last_run_of, recorded_from_proto
from orchestrator.intake import Claim
from orchestrator.recall import beginning_unknown
from orchestrator.replicas import Owner
from servicekit.channel import deadline, ending, retry_unavailable
from servicekit.errors import (
    Code,
    FailedPreconditionError,
    NotFoundError,
    UnavailableError,
    remote_error,
)
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from orchestrator.revival import Recorded
    from orchestrator.seeds import LastRun

RETRY_SECONDS = 2.0
HISTORY_SECONDS = 0.5
"""How long a person waits for the question what was run last."""


class TrackerClient:
    """Asks the tracker what only it knows."""

    def __init__(
        self, channel: grpc.aio.Channel, *, limit_seconds: float, owner_address: str
    ) -> None:
        self._stub = TrackerServiceStub(channel)
        self._limit_seconds = limit_seconds
        self._owner_address = owner_address

    async def claim(self, execution_id: str, idempotency_key: str) -> Claim:
        """See `intake.Claims`."""
        return await self._claim(
            tracker_pb2.ClaimExecutionRequest(
                execution_id=execution_id,
                owner_address=self._owner_address,
                idempotency_key=idempotency_key,
            )
        )

    async def claim_next(self, execution_id: str) -> Claim:
        """See `revival.Past`."""
        summary = (await self.get(execution_id)).record.summary
        return await self._claim(
            tracker_pb2.ClaimExecutionRequest(
                execution_id=execution_id,
                owner_address=self._owner_address,
                after_epoch=summary.epoch,
            )
        )

    async def owner_of(self, execution_id: str) -> Owner:
        """See `replicas.Owners`."""
        request = tracker_pb2.GetOwnerRequest(execution_id=execution_id)
        with _tracker_failures():
            response = await retry_unavailable(
                lambda: self._stub.GetOwner(request, timeout=deadline(self._limit_seconds))
            )
        return Owner(response.owned, response.owner_address)

    async def _claim(self, request: tracker_pb2.ClaimExecutionRequest) -> Claim:
        with _tracker_failures():
            response = await retry_unavailable(
                lambda: self._stub.ClaimExecution(request, timeout=deadline(self._limit_seconds))
            )
        return Claim(
            response.execution_id, response.epoch, response.existing, response.next_sequence_number
        )

    async def recorded(self, execution_id: str) -> Recorded:
        """See `revival.Past`."""
        record = (await self.get(execution_id)).record
        request = tracker_pb2.GetPlanRequest(execution_id=execution_id)
        try:
            with _tracker_failures():
                response = await retry_unavailable(
                    lambda: self._stub.GetPlan(request, timeout=deadline(self._limit_seconds))
                )
        except NotFoundError as exc:
            raise beginning_unknown() from exc
        return recorded_from_proto(record, response.plan.plan_json)

    async def last_run(self, session_id: str) -> LastRun | None:
        """See `seeds.History`: what cannot be found out at once is not waited for."""
        request = tracker_pb2.ListExecutionsRequest(session_id=session_id, page_size=1)
        limit = deadline(HISTORY_SECONDS)
        try:
            page = await self._stub.ListExecutions(request, timeout=limit)
            if not page.executions:
                return None
            latest = tracker_pb2.GetExecutionRequest(execution_id=page.executions[0].execution_id)
            response = await self._stub.GetExecution(latest, timeout=limit)
        except grpc.RpcError:
            return None
        return last_run_of(response.record)

    async def get(self, execution_id: str) -> tracker_pb2.GetExecutionResponse:
        """Return the stored record as the current principal may see it.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        request = tracker_pb2.GetExecutionRequest(execution_id=execution_id)
        with _tracker_failures():
            return await retry_unavailable(
                lambda: self._stub.GetExecution(request, timeout=deadline(self._limit_seconds))
            )

    async def watch(
        self, execution_id: str, after_position: int, max_wait_seconds: float
    ) -> AsyncGenerator[tracker_pb2.WatchItemsResponse, None]:
        """Stream stored items after a position, then new ones, until none comes for a while.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        request = tracker_pb2.WatchItemsRequest(
            execution_id=execution_id,
            after_position=after_position,
            max_wait_duration=words.duration(max_wait_seconds),
        )
        with _tracker_failures(), ending(self._stub.WatchItems(request)) as call:
            async for response in call:
                yield response


@contextmanager
def _tracker_failures() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as exc:
        error = remote_error(exc)
        if error.code is Code.NOT_FOUND:
            raise NotFoundError(error.reason, error.message) from exc
        if error.code is Code.FAILED_PRECONDITION:
            raise FailedPreconditionError(error.reason, error.message) from exc
        raise UnavailableError(
            "TRACKER_UNAVAILABLE",
            "The tracker does not answer; try again in a moment.",
            retry_seconds=RETRY_SECONDS,
        ) from exc
