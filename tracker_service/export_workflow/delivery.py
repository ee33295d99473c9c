"""Stage 3: from data to a file that is stored together with its record.

The file and its record are committed as one, and only then is anything sent. So a tracker that is
killed has either both or nothing, and a call that is repeated finds what it made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from servicekit.context import new_id
from servicekit.errors import (
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
)
from tracker_service.export_workflow import rules
from tracker_service.export_workflow.changes import changes_between, unchanged_share
from tracker_service.export_workflow.limits import read_format, read_template
from tracker_service.export_workflow.making import Basis, Choice
from tracker_service.export_workflow.model import (
    Deliverable,
    FinalDeliverable,
    InitialSummary,
    Stage,
    StageRecord,
    Status,
    WorkflowSummary,
)
from tracker_service.export_workflow.recorded import (
    Recorded,
    data_of,
    data_record,
    final_of,
    preferences_of,
    required,
)
from tracker_service.export_workflow.summary.model import SummaryTask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tracker_service.export_workflow.making import DocumentMaker
    from tracker_service.export_workflow.metrics import WorkflowMetrics
    from tracker_service.export_workflow.model import FieldChange, Preferences, Workflow
    from tracker_service.export_workflow.store import Scope, WorkflowStore
    from tracker_service.export_workflow.summary.model import Summarizer, Summary
    from tracker_service.export_workflow.watching import WorkflowHub
    from tracker_service.export_workflow.workbench import Workbench

MOST_DELIVERIES: Final = 8
"""Deliverables that are made at once, with those that wait for a place to render."""


class Delivery:
    """Makes, stores and hands out deliverables."""

    def __init__(
        self,
        store: WorkflowStore,
        summarizer: Summarizer,
        maker: DocumentMaker,
        hub: WorkflowHub,
        bench: Workbench,
        metrics: WorkflowMetrics,
        clock: Callable[[], int],
    ) -> None:
        """Take what it works with.

        Args:
            store: Keeps workflows and files.
            summarizer: Makes final summaries.
            maker: Makes files.
            hub: Is told of deliverables.
            bench: Compares data.
            metrics: Counts stages and documents.
            clock: The time, microseconds since 1970 UTC.
        """
        self._store = store
        self._summarizer = summarizer
        self._maker = maker
        self._hub = hub
        self._bench = bench
        self._metrics = metrics
        self._clock = clock
        self._at_work = 0

    async def finish(
        self, export_workflow_id: str, scope: Scope, preferences: Preferences
    ) -> Recorded:
        """Make the first deliverable, or return it if it is made already.

        Args:
            export_workflow_id: The workflow.
            scope: Whose workflows the caller may see.
            preferences: What is wanted; what is empty, the latest version of the data says.

        Raises:
            ServiceError: As FinishExportWorkflow says.
        """
        workflow = await self._store.workflow(export_workflow_id, scope)
        rules.check_own(workflow)
        current = await data_record(self._store, workflow, workflow.modification_version)
        choice = _chosen(preferences, current)
        if workflow.status is Status.COMPLETED:
            first = await required(self._store, workflow, Stage.FINAL_SUMMARY_AND_DELIVERABLE, 1)
            if not choice.made(final_of(first)):
                raise FailedPreconditionError(
                    "WORKFLOW_CLOSED",
                    "The workflow has a deliverable; regenerate it for another template or format.",
                )
            return Recorded(workflow, first)
        return await self._make(workflow, current, choice, None)

    async def regenerate(
        self, export_workflow_id: str, scope: Scope, template: str, form: str
    ) -> Recorded:
        """Make another deliverable of the same data; the latest, if that is what is wanted.

        Args:
            export_workflow_id: The workflow.
            scope: Whose workflows the caller may see.
            template: The template; empty: the latest deliverable's.
            form: The format; empty: the latest deliverable's.

        Raises:
            ServiceError: As RegenerateDeliverable says.
        """
        workflow = await self._store.workflow(export_workflow_id, scope)
        rules.check_own(workflow)
        if not workflow.deliverable_count:
            raise FailedPreconditionError(
                "STAGE_OUT_OF_ORDER", "There is no deliverable yet; finish the workflow first."
            )
        stage = Stage.FINAL_SUMMARY_AND_DELIVERABLE
        latest = await required(self._store, workflow, stage, workflow.deliverable_count)
        final = final_of(latest)
        choice = Choice(
            read_template(template or final.document_template),
            read_format(form or final.deliverable.file_format),
            final.instructions,
        )
        if choice.made(final):
            return Recorded(workflow, latest)
        current = await data_record(self._store, workflow, workflow.modification_version)
        return await self._make(workflow, current, choice, final.summary)

    async def stored(self, export_workflow_id: str, scope: Scope, number: int) -> Recorded:
        """Return a deliverable whose bytes the tracker has; number 0 is the latest.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND or DELIVERABLE_NOT_FOUND.
        """
        workflow = await self._store.workflow(export_workflow_id, scope)
        stage = Stage.FINAL_SUMMARY_AND_DELIVERABLE
        record = await self._store.record(workflow, stage, number or workflow.deliverable_count)
        if record is None or not final_of(record).deliverable.stored:
            raise NotFoundError(
                "DELIVERABLE_NOT_FOUND", "There is no deliverable of this number here."
            )
        return Recorded(workflow, record)

    async def pieces(self, recorded: Recorded) -> AsyncGenerator[bytes, None]:
        """Read the file of a deliverable, piece by piece.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND: it was removed meanwhile.
        """
        remaining = final_of(recorded.record).deliverable.file_size_bytes
        number = 0
        while remaining > 0:
            data = await self._store.piece(recorded.workflow, recorded.record.version, number)
            if not data:
                raise NotFoundError(
                    "EXPORT_WORKFLOW_NOT_FOUND", "The export workflow was removed meanwhile."
                )
            yield data
            remaining -= len(data)
            number += 1

    async def _make(
        self, workflow: Workflow, current: StageRecord, choice: Choice, summary: Summary | None
    ) -> Recorded:
        rules.check_next(workflow, Stage.FINAL_SUMMARY_AND_DELIVERABLE)
        if self._at_work >= MOST_DELIVERIES:
            raise ResourceExhaustedError(
                "EXPORTS_BUSY", "Other documents are being made; try again.", retry_seconds=5
            )
        self._at_work += 1
        try:
            with self._metrics.stage(Stage.FINAL_SUMMARY_AND_DELIVERABLE):
                basis = await self._basis(workflow, current)
                summary = summary or await self._summarise(workflow, basis, choice)
                deliverable, data = await self._maker.make(workflow, basis, choice, summary)
                return await self._store_it(workflow, basis, choice, summary, deliverable, data)
        finally:
            self._at_work -= 1

    async def _basis(self, workflow: Workflow, current: StageRecord) -> Basis:
        first = await required(self._store, workflow, Stage.INITIAL_AI_SUMMARY, 1)
        initial = first.content
        assert isinstance(initial, InitialSummary)
        changes: tuple[FieldChange, ...] = ()
        if workflow.modification_version:
            changes = await self._bench.do(lambda: changes_between(initial.data, data_of(current)))
        return Basis(initial, current, changes)

    async def _summarise(self, workflow: Workflow, basis: Basis, choice: Choice) -> Summary:
        return await self._summarizer.summarise(
            SummaryTask(
                data=data_of(basis.current),
                language=workflow.language,
                instructions=choice.instructions,
                safety_level=basis.initial.source.safety_level,
            )
        )

    async def _store_it(
        self,
        workflow: Workflow,
        basis: Basis,
        choice: Choice,
        summary: Summary,
        deliverable: Deliverable,
        data: bytes,
    ) -> Recorded:
        now_us = self._clock()
        content = FinalDeliverable(
            summary=summary,
            deliverable=deliverable,
            whole=whole_of(workflow, basis.initial, basis.changes, now_us),
            document_template=choice.template.value,
            modification_version=workflow.modification_version,
            instructions=choice.instructions,
        )
        record = StageRecord(
            record_id=new_id(),
            create_time_us=now_us,
            version=rules.number_of_next(workflow, Stage.FINAL_SUMMARY_AND_DELIVERABLE),
            content=content,
            digest="",
        )
        changed = rules.after(workflow, record, now_us)
        stored = await self._store.append(workflow, changed, record, data)
        self._metrics.document(deliverable)
        self._hub.tell(stored.export_workflow_id)
        return Recorded(stored, record)


def whole_of(
    workflow: Workflow, initial: InitialSummary, changes: tuple[FieldChange, ...], now_us: int
) -> WorkflowSummary:
    """Return a workflow as a whole, at the time of a deliverable.

    Args:
        workflow: Before it.
        initial: Stage 1.
        changes: From the machine's data to those of the deliverable.
        now_us: The time of the deliverable.
    """
    return WorkflowSummary(
        total_time_us=max(0, now_us - workflow.create_time_us),
        ai_processing_accuracy=unchanged_share(initial.data, changes),
        reviewed=workflow.modification_version > 0,
    )


def _chosen(preferences: Preferences, current: StageRecord) -> Choice:
    """Return what is wanted; what a request leaves open, the version of the data says."""
    wanted = preferences_of(current).completed_by(preferences)
    return Choice(
        template=read_template(wanted.document_template),
        form=read_format(wanted.export_format),
        instructions=wanted.transformation_instructions,
    )
