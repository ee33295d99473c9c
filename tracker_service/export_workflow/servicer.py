"""ExportWorkflowService on the wire."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from servicekit.principals import current_principal
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1 import export_workflow_service_pb2_grpc
from tracker_service import converters
from tracker_service.export_workflow import messages, requests
from tracker_service.export_workflow.foreign_requests import read_foreign
from tracker_service.export_workflow.limits import MAX_INSTRUCTIONS, check_text
from tracker_service.export_workflow.model import FinalDeliverable
from tracker_service.export_workflow.ownership import scope_of
from tracker_service.export_workflow.recorded import Recorded
from tracker_service.export_workflow.store import AuditFilter
from tracker_service.export_workflow.watching import watch_workflow
from tracker_service.paging import page_key, page_size, page_token, token_invalid
from tracker_service.tokens import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from tracker_service.export_workflow.delivery import Delivery
    from tracker_service.export_workflow.foreign import ForeignStages
    from tracker_service.export_workflow.store import Scope, WorkflowStore
    from tracker_service.export_workflow.watching import WorkflowHub
    from tracker_service.export_workflow.workflows import Workflows

    Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_FIELD_LIMIT: Final = 20
MAX_FIELD_LIMIT: Final = 100
_LAST_KEY: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What the servicer hands calls to.

    Attributes:
        store: Workflows as they are.
        workflows: Stages 1 and 2.
        delivery: Stage 3.
        foreign: Stages of foreign systems.
        hub: Tells of what is recorded.
    """

    store: WorkflowStore
    workflows: Workflows
    delivery: Delivery
    foreign: ForeignStages
    hub: WorkflowHub


class ExportWorkflowServicer(export_workflow_service_pb2_grpc.ExportWorkflowServiceServicer):
    """Turns data into documents, in recorded stages."""

    def __init__(self, parts: Parts, ttl_days: int) -> None:
        """Hand calls to `parts`; workflows are kept for `ttl_days`."""
        self._parts = parts
        self._messages = messages.Messages(ttl_days)

    async def StartExportWorkflow(
        self, request: pb.StartExportWorkflowRequest, context: Context
    ) -> pb.StartExportWorkflowResponse:
        """Record stage 1."""
        start = requests.read_start(request)
        recorded = await self._parts.workflows.start(start, current_principal())
        return pb.StartExportWorkflowResponse(
            workflow=self._messages.workflow(recorded.workflow), record=messages.record(recorded)
        )

    async def RecordUserModifications(
        self, request: pb.RecordUserModificationsRequest, context: Context
    ) -> pb.RecordUserModificationsResponse:
        """Record stage 2."""
        recorded = await self._parts.workflows.edit(requests.read_edit(request), _scope())
        return pb.RecordUserModificationsResponse(
            workflow=self._messages.workflow(recorded.workflow), record=messages.record(recorded)
        )

    async def FinishExportWorkflow(
        self, request: pb.FinishExportWorkflowRequest, context: Context
    ) -> AsyncIterator[pb.FinishExportWorkflowResponse]:
        """Record stage 3 and stream the file."""
        preferences = requests.read_preferences(request.preferences)
        check_text(
            preferences.transformation_instructions,
            MAX_INSTRUCTIONS,
            "preferences.transformation_instructions",
        )
        recorded = await self._parts.delivery.finish(
            request.export_workflow_id, _scope(), preferences
        )
        yield pb.FinishExportWorkflowResponse(record=messages.record(recorded))
        async with aclosing(self._parts.delivery.pieces(recorded)) as pieces:
            async for piece in pieces:
                yield pb.FinishExportWorkflowResponse(data=piece)

    async def RegenerateDeliverable(
        self, request: pb.RegenerateDeliverableRequest, context: Context
    ) -> AsyncIterator[pb.RegenerateDeliverableResponse]:
        """Record stage 3 once more and stream the file."""
        recorded = await self._parts.delivery.regenerate(
            request.export_workflow_id,
            _scope(),
            request.document_template,
            request.export_format,
        )
        yield pb.RegenerateDeliverableResponse(record=messages.record(recorded))
        async with aclosing(self._parts.delivery.pieces(recorded)) as pieces:
            async for piece in pieces:
                yield pb.RegenerateDeliverableResponse(data=piece)

    async def ReadDeliverable(
        self, request: pb.ReadDeliverableRequest, context: Context
    ) -> AsyncIterator[pb.ReadDeliverableResponse]:
        """Stream a file that was made."""
        recorded = await self._parts.delivery.stored(
            request.export_workflow_id, _scope(), request.version
        )
        final = recorded.record.content
        assert isinstance(final, FinalDeliverable)
        yield pb.ReadDeliverableResponse(deliverable=messages.deliverable(final.deliverable))
        async with aclosing(self._parts.delivery.pieces(recorded)) as pieces:
            async for piece in pieces:
                yield pb.ReadDeliverableResponse(data=piece)

    async def GetExportWorkflow(
        self, request: pb.GetExportWorkflowRequest, context: Context
    ) -> AsyncIterator[pb.GetExportWorkflowResponse]:
        """Stream a workflow and its records."""
        found = self._parts.workflows.read(request.export_workflow_id, _scope())
        async with aclosing(found) as parts:
            async for part in parts:
                if isinstance(part, Recorded):
                    yield pb.GetExportWorkflowResponse(record=messages.record(part))
                else:
                    yield pb.GetExportWorkflowResponse(workflow=self._messages.workflow(part))

    async def ListExportHistory(
        self, request: pb.ListExportHistoryRequest, context: Context
    ) -> pb.ListExportHistoryResponse:
        """Return a page of workflows."""
        wanted = requests.read_history_filter(request)
        page = await self._parts.store.page(
            wanted, _scope(), page_size(request.page_size), page_key(request.page_token, wanted)
        )
        return pb.ListExportHistoryResponse(
            workflows=[self._messages.workflow(one) for one in page.workflows],
            next_page_token=page_token(page.next, wanted),
        )

    async def CompareVersions(
        self, request: pb.CompareVersionsRequest, context: Context
    ) -> pb.CompareVersionsResponse:
        """Return what differs between two versions of the data."""
        comparison = await self._parts.workflows.compare(
            request.export_workflow_id, _scope(), request.from_version, request.to_version
        )
        return messages.comparison(comparison)

    async def GetExportInsights(
        self, request: pb.GetExportInsightsRequest, context: Context
    ) -> pb.GetExportInsightsResponse:
        """Return figures of many workflows."""
        limit = min(max(request.field_limit, 0), MAX_FIELD_LIMIT) or DEFAULT_FIELD_LIMIT
        span = requests.read_span(request)
        return messages.insights(await self._parts.store.insights(span, _scope(), limit))

    async def RecordExportStage(
        self, request: pb.RecordExportStageRequest, context: Context
    ) -> pb.RecordExportStageResponse:
        """Record a stage that a foreign system did."""
        principal = current_principal()
        recorded = await self._parts.foreign.record(
            read_foreign(request, principal), scope_of(principal)
        )
        return pb.RecordExportStageResponse(
            workflow=self._messages.workflow(recorded.workflow), record=messages.record(recorded)
        )

    async def RateDeliverable(
        self, request: pb.RateDeliverableRequest, context: Context
    ) -> pb.RateDeliverableResponse:
        """Record how good a deliverable is."""
        quality = requests.read_quality(request, current_principal())
        recorded = await self._parts.workflows.rate(
            request.export_workflow_id, _scope(), request.version, quality
        )
        return pb.RateDeliverableResponse(record=messages.record(recorded))

    async def WatchExportWorkflow(
        self, request: pb.WatchExportWorkflowRequest, context: Context
    ) -> AsyncIterator[pb.WatchExportWorkflowResponse]:
        """Stream a workflow whenever something of it is recorded."""
        watched = watch_workflow(
            self._parts.store,
            self._parts.hub,
            request.export_workflow_id,
            _scope(),
            request.after_deliverable,
            converters.read_max_wait(request),
        )
        async with aclosing(watched) as all_news:
            async for news in all_news:
                yield pb.WatchExportWorkflowResponse(
                    workflow=self._messages.workflow(news.workflow),
                    deliverable_ready=news.deliverable_ready,
                )

    async def ListExportAudit(
        self, request: pb.ListExportAuditRequest, context: Context
    ) -> pb.ListExportAuditResponse:
        """Return what is known of deliverables for good."""
        wanted = AuditFilter(request.export_workflow_id, request.content_hash)
        size = page_size(request.page_size)
        before_key = _audit_key(request.page_token, wanted)
        entries = await self._parts.store.audit(wanted, size, before_key)
        token = encode_token("audit", wanted, entries[-1].key) if len(entries) == size else ""
        return pb.ListExportAuditResponse(
            entries=[messages.audit_entry(one) for one in entries], next_page_token=token
        )


def _scope() -> Scope:
    return scope_of(current_principal())


def _audit_key(token: str, wanted: AuditFilter) -> int:
    if not token:
        return _LAST_KEY
    try:
        (key,) = decode_token("audit", wanted, token, 1)
    except ValueError as exc:
        raise token_invalid() from exc
    return key
