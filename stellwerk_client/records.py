"""Care for records: find them, verify them, erase them, count them; a part of the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk_client.errors import translated
from stellwerk_client.patience import in_turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from stellwerk.tracker.v1.execution_pb2 import ExecutionSummary
    from stellwerk_client.connections import Connections

ERASE_SECONDS = 60.0
"""The tracker answers after 20 seconds, with a receipt that is pending then."""
STATISTICS_SECONDS = 120.0
_PAGE_SIZE = 100


class Records:
    """The records of one deployment; found as `StellwerkClient.records`.

    Every method raises `StellwerkError`, and `ServerNotReachableError` when nobody answers.
    """

    def __init__(self, connections: Connections) -> None:
        """Use the connections of a client."""
        self._connections = connections

    async def matching(
        self, request: tracker_pb2.ListExecutionsRequest
    ) -> AsyncGenerator[ExecutionSummary]:
        """Yield all records that match, in the order asked for; pages are fetched as needed."""
        page_request = tracker_pb2.ListExecutionsRequest()
        page_request.CopyFrom(request)
        page_request.page_size = request.page_size or _PAGE_SIZE
        stub = await self._connections.tracker()
        while True:
            page = await in_turn(lambda: stub.ListExecutions(page_request))
            for summary in page.executions:
                yield summary
            page_request.page_token = page.next_page_token
            if not page_request.page_token:
                return

    async def verify(self, execution_id: str) -> tracker_pb2.VerifyChainResponse:
        """Recompute the chain of an execution's items."""
        stub = await self._connections.tracker()
        request = tracker_pb2.VerifyChainRequest(execution_id=execution_id)
        return await in_turn(lambda: stub.VerifyChain(request))

    async def erase_user(self, user_id: str) -> tracker_pb2.ErasureReceipt:
        """Erase all content of a pseudonym; return the receipt."""
        stub = await self._connections.tracker()
        request = tracker_pb2.EraseUserRequest(user_id=user_id)
        with translated():
            return (await stub.EraseUser(request, timeout=ERASE_SECONDS)).receipt

    async def delete(
        self, request: tracker_pb2.DeleteExecutionsRequest
    ) -> tracker_pb2.DeleteExecutionsResponse:
        """Erase executions by id or filter, or count them."""
        stub = await self._connections.tracker()
        with translated():
            return await stub.DeleteExecutions(request, timeout=ERASE_SECONDS)

    async def receipt(self, receipt_id: str) -> tracker_pb2.ErasureReceipt:
        """Return a receipt as it is now."""
        stub = await self._connections.tracker()
        with translated():
            request = tracker_pb2.GetErasureRequest(receipt_id=receipt_id)
            return (await stub.GetErasure(request)).receipt

    async def statistics(
        self, request: tracker_pb2.GetStatisticsRequest
    ) -> Sequence[tracker_pb2.StatisticsRow]:
        """Return figures of many executions."""
        stub = await self._connections.tracker()
        with translated():
            return (await stub.GetStatistics(request, timeout=STATISTICS_SECONDS)).rows


def timestamp_of(time: datetime | None) -> Timestamp | None:
    """Return an aware time as a message; None stays None."""
    if time is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
