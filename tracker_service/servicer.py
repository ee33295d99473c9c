"""TrackerService on the wire: each RPC reads its request, asks the domain, writes the answer."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from servicekit.errors import FailedPreconditionError, NotFoundError
from servicekit.principals import current_principal
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from stellwerk.tracker.v1 import tracker_service_pb2_grpc
from tracker_service import converters, insight_messages
from tracker_service.access import audience_of, writer_of
from tracker_service.erasure_requests import delete_executions, erase_user, receipt_message
from tracker_service.paging import MAX_PAGE_SIZE, page_key, page_size, page_token
from tracker_service.store.interface import ExecutionFilter
from tracker_service.watching import watch_items

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from tracker_service.commits import CommitHub
    from tracker_service.eraser import Eraser
    from tracker_service.ingest import RecordStreams
    from tracker_service.store.interface import Store
    from tracker_service.views import Views

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_RECORD_BYTES: Final = 4 * 1024 * 1024 - 4096


class TrackerServicer(tracker_service_pb2_grpc.TrackerServiceServicer):
    """Keeps the history of every execution."""

    def __init__(
        self, store: Store, hub: CommitHub, streams: RecordStreams, eraser: Eraser, views: Views
    ) -> None:
        """Serve what `store` keeps.

        Args:
            store: The records.
            hub: Tells about commits.
            streams: Takes batches.
            eraser: Erases.
            views: How callers see records.
        """
        self._store = store
        self._hub = hub
        self._streams = streams
        self._eraser = eraser
        self._views = views

    async def ClaimExecution(
        self, request: pb.ClaimExecutionRequest, context: Context
    ) -> pb.ClaimExecutionResponse:
        """Make the caller the owner of an execution."""
        claim = await self._store.claim(converters.read_claim(request, current_principal()))
        return converters.claim_message(claim)

    async def GetOwner(self, request: pb.GetOwnerRequest, context: Context) -> pb.GetOwnerResponse:
        """Tell who runs an execution."""
        audience = audience_of(current_principal())
        return converters.owner_message(await self._store.owner_of(request.execution_id, audience))

    async def RecordItems(
        self, request_iterator: AsyncIterator[pb.RecordItemsRequest], context: Context
    ) -> AsyncIterator[pb.RecordItemsResponse]:
        """Store batches; acknowledge each after its commit."""
        writer = writer_of(current_principal())
        async with aclosing(self._streams.serve(request_iterator, writer)) as responses:
            async for response in responses:
                yield response

    async def GetExecution(
        self, request: pb.GetExecutionRequest, context: Context
    ) -> pb.GetExecutionResponse:
        """Return one execution with all items."""
        principal = current_principal()
        view = self._views.of(principal)
        found = await self._store.record_of(request.execution_id, audience_of(principal))
        record = view.record(found.record)
        response = pb.GetExecutionResponse(record=converters.record_message(record))
        if response.ByteSize() > MAX_RECORD_BYTES:
            raise FailedPreconditionError(
                "RECORD_TOO_LARGE", "The record is over 4 MiB; use WatchItems or ExportExecutions."
            )
        return response

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        """Return the stored plan of an execution."""
        audience = audience_of(current_principal())
        plan = await self._store.plan(request.execution_id, audience)
        return pb.GetPlanResponse(plan=converters.plan_message(plan))

    async def ListExecutions(
        self, request: pb.ListExecutionsRequest, context: Context
    ) -> pb.ListExecutionsResponse:
        """Return a page of executions, newest first."""
        principal = current_principal()
        view = self._views.of(principal)
        wanted = await view.wanted(insight_messages.read_list_filter(request))
        after = page_key(request.page_token, wanted)
        size = page_size(request.page_size)
        page = await self._store.page(wanted, audience_of(principal), size, after)
        return pb.ListExecutionsResponse(
            executions=[converters.summary_message(view.summary(one)) for one in page.executions],
            next_page_token=page_token(page.next, wanted),
        )

    async def WatchItems(
        self, request: pb.WatchItemsRequest, context: Context
    ) -> AsyncIterator[pb.WatchItemsResponse]:
        """Stream the items of one execution: what is there, then what comes."""
        principal = current_principal()
        view = self._views.of(principal)
        watched = watch_items(
            self._store,
            self._hub,
            request.execution_id,
            audience_of(principal),
            request.after_position,
            converters.read_max_wait(request),
        )
        async with aclosing(watched) as items:
            async for one in items:
                yield converters.watched_message(await view.watched(one))

    async def VerifyChain(
        self, request: pb.VerifyChainRequest, context: Context
    ) -> pb.VerifyChainResponse:
        """Recompute the chain of an execution."""
        audience = audience_of(current_principal())
        return converters.chain_message(await self._store.chain(request.execution_id, audience))

    async def EraseUser(
        self, request: pb.EraseUserRequest, context: Context
    ) -> pb.EraseUserResponse:
        """Erase all content of a pseudonym."""
        return await erase_user(self._eraser, request, current_principal())

    async def DeleteExecutions(
        self, request: pb.DeleteExecutionsRequest, context: Context
    ) -> pb.DeleteExecutionsResponse:
        """Erase executions by id or filter, or count them."""
        return await delete_executions(self._store, self._eraser, request, current_principal())

    async def GetErasure(
        self, request: pb.GetErasureRequest, context: Context
    ) -> pb.GetErasureResponse:
        """Return a receipt as it is now."""
        erasure = await self._eraser.receipt(request.receipt_id)
        return pb.GetErasureResponse(receipt=receipt_message(erasure))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """Return a page of sessions, the latest first."""
        principal = current_principal()
        view = self._views.of(principal)
        page = await self._store.insights.sessions(
            ExecutionFilter(),
            audience_of(principal),
            page_size(request.page_size),
            page_key(request.page_token, "sessions"),
        )
        return pb.ListSessionsResponse(
            sessions=[insight_messages.session_message(view.session(one)) for one in page.sessions],
            next_page_token=page_token(page.next, "sessions"),
        )

    async def GetSession(
        self, request: pb.GetSessionRequest, context: Context
    ) -> pb.GetSessionResponse:
        """Return one session with its executions."""
        principal = current_principal()
        view, audience = self._views.of(principal), audience_of(principal)
        wanted = await view.wanted(
            ExecutionFilter(session_id=request.session_id, oldest_first=True)
        )
        executions = await self._store.page(wanted, audience, MAX_PAGE_SIZE, None)
        found = await self._store.insights.sessions(wanted, audience, 1, None)
        if not request.session_id or not found.sessions:
            raise NotFoundError(
                "SESSION_NOT_FOUND", "There is no such session, or it is not yours."
            )
        return pb.GetSessionResponse(
            session=insight_messages.session_message(view.session(found.sessions[0])),
            executions=[
                converters.summary_message(view.summary(one)) for one in executions.executions
            ],
        )

    async def GetStatistics(
        self, request: pb.GetStatisticsRequest, context: Context
    ) -> pb.GetStatisticsResponse:
        """Return figures of many executions."""
        principal = current_principal()
        rows = await self._store.insights.statistics(
            await self._views.of(principal).wanted(insight_messages.read_scope(request)),
            audience_of(principal),
            insight_messages.read_dimensions(request.dimensions),
        )
        return pb.GetStatisticsResponse(
            rows=[insight_messages.statistics_message(row) for row in rows]
        )

    async def GetPatterns(
        self, request: pb.GetPatternsRequest, context: Context
    ) -> pb.GetPatternsResponse:
        """Return how people work."""
        principal = current_principal()
        wanted = await self._views.of(principal).wanted(insight_messages.read_scope(request))
        patterns = await self._store.insights.patterns(wanted, audience_of(principal))
        return insight_messages.patterns_message(patterns)

    async def ListConfigUsage(
        self, request: pb.ListConfigUsageRequest, context: Context
    ) -> pb.ListConfigUsageResponse:
        """Return how much each config is used."""
        wanted = insight_messages.read_span(request)
        audience = audience_of(current_principal())
        usage = await self._store.insights.config_usage(wanted, audience)
        return pb.ListConfigUsageResponse(
            configs=[insight_messages.usage_message(one) for one in usage]
        )
