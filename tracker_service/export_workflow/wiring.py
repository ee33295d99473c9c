"""Puts export workflows together, from their store to the servicer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.version import software_version
from tracker_service.export_workflow.deliverables.rendering import Renderer
from tracker_service.export_workflow.delivery import Delivery
from tracker_service.export_workflow.foreign import ForeignStages
from tracker_service.export_workflow.making import DocumentMaker
from tracker_service.export_workflow.servicer import ExportWorkflowServicer, Parts
from tracker_service.export_workflow.sources import Sources
from tracker_service.export_workflow.watching import WorkflowHub
from tracker_service.export_workflow.workbench import Workbench
from tracker_service.export_workflow.workflows import Workflows
from tracker_service.store.database import wall_clock_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.export.building import MediaReader
    from tracker_service.export_workflow.making import BuildFolders
    from tracker_service.export_workflow.metrics import WorkflowMetrics
    from tracker_service.export_workflow.sources import Records, ViewMaker
    from tracker_service.export_workflow.store import WorkflowStore
    from tracker_service.export_workflow.summary.model import Summarizer


@dataclass(frozen=True, slots=True)
class OpenWorkflows:
    """Export workflows that can be served.

    Attributes:
        servicer: Serves them.
        hub: To be closed before the service stops.
    """

    servicer: ExportWorkflowServicer
    hub: WorkflowHub


def open_export_workflows(
    store: WorkflowStore,
    records: Records,
    views: ViewMaker,
    folders: BuildFolders,
    media: MediaReader,
    summarizer: Summarizer,
    metrics: WorkflowMetrics,
    *,
    ttl_days: int,
    clock: Callable[[], int] = wall_clock_us,
) -> OpenWorkflows:
    """Put export workflows together.

    Args:
        store: Keeps workflows.
        records: The executions.
        views: How callers see them.
        folders: Where files are made.
        media: Reads pictures.
        summarizer: Makes summaries.
        metrics: Counts stages and documents.
        ttl_days: Days for which workflows are kept; 0: for ever.
        clock: The time, microseconds since 1970 UTC.
    """
    hub, bench = WorkflowHub(), Workbench()
    sources = Sources(records, views, bench)
    maker = DocumentMaker(Renderer(media), folders, bench, software_version())
    parts = Parts(
        store=store,
        workflows=Workflows(store, sources, summarizer, hub, bench, metrics, clock),
        delivery=Delivery(store, summarizer, maker, hub, bench, metrics, clock),
        foreign=ForeignStages(store, hub, bench, clock),
        hub=hub,
    )
    return OpenWorkflows(ExportWorkflowServicer(parts, ttl_days), hub)
