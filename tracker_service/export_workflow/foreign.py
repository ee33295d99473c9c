"""Stages that foreign systems do themselves and record here.

They bring what they saw, in order and as often as their connection makes them. What can be computed
from their data, the tracker computes, so that its figures mean the same whoever did the work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from servicekit.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from tracker_service.export_workflow import rules
from tracker_service.export_workflow.changes import changes_between
from tracker_service.export_workflow.delivery import whole_of
from tracker_service.export_workflow.documents import dump
from tracker_service.export_workflow.editing import modifications
from tracker_service.export_workflow.model import (
    FinalDeliverable,
    InitialSummary,
    Stage,
    StageRecord,
    Status,
    UserModifications,
    Workflow,
)
from tracker_service.export_workflow.recorded import (
    MICROSECONDS,
    Recorded,
    check_same,
    data_of,
    data_record,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.model import Content
    from tracker_service.export_workflow.store import Scope, WorkflowStore
    from tracker_service.export_workflow.summary.model import Language
    from tracker_service.export_workflow.watching import WorkflowHub
    from tracker_service.export_workflow.workbench import Workbench


@dataclass(frozen=True, slots=True)
class ForeignRecord:
    """A record as a foreign system brings it.

    Attributes:
        export_workflow_id: The workflow.
        document_id: What the data are of.
        owner: Whose workflow it is, if it begins with this record.
        language: Likewise.
        record: The record; what it says of changes and of the whole is computed anew.
        data_before: The data that a stage 2 began with, as it says; None: it does not.
    """

    export_workflow_id: str
    document_id: str
    owner: str
    language: Language
    record: StageRecord
    data_before: JsonValue = None


class ForeignStages:
    """Records stages of foreign systems."""

    def __init__(
        self, store: WorkflowStore, hub: WorkflowHub, bench: Workbench, clock: Callable[[], int]
    ) -> None:
        """Take what it works with.

        Args:
            store: Keeps them.
            hub: Is told what was recorded.
            bench: Compares data.
            clock: The time, microseconds since 1970 UTC.
        """
        self._store = store
        self._hub = hub
        self._bench = bench
        self._clock = clock

    async def record(self, brought: ForeignRecord, scope: Scope) -> Recorded:
        """Record a stage.

        Args:
            brought: The record.
            scope: Whose workflows the caller may see.

        Raises:
            ServiceError: As RecordExportStage says.
        """
        try:
            workflow = await self._store.workflow(brought.export_workflow_id, scope)
        except NotFoundError:
            return await self._begin(brought, scope)
        there = await self._store.record_named(workflow, brought.record.record_id)
        if there is not None:
            check_same(there, brought.record.digest)
            return await self._with_data_before(workflow, there)
        if not workflow.foreign:
            raise FailedPreconditionError(
                "WORKFLOW_NOT_FOREIGN", "The tracker itself does the stages of this workflow."
            )
        return await self._append(workflow, brought)

    async def _begin(self, brought: ForeignRecord, scope: Scope) -> Recorded:
        record = brought.record
        content = record.content
        if not isinstance(content, InitialSummary):
            raise FailedPreconditionError(
                "STAGE_OUT_OF_ORDER", "Record `initial_ai_summary` of this workflow first."
            )
        workflow = Workflow(
            export_workflow_id=brought.export_workflow_id,
            document_id=brought.document_id,
            owner=brought.owner,
            status=Status.AWAITING_USER_REVIEW,
            create_time_us=record.create_time_us,
            update_time_us=self._clock(),
            document_type=content.source.document_type,
            language=brought.language,
            foreign=True,
        )
        record = replace(record, version=1)
        stored = await self._store.create(workflow, record, content.source.execution_ids)
        if stored == workflow:
            return Recorded(stored, record)
        if scope.owner not in (None, stored.owner):
            raise NotFoundError(
                "EXPORT_WORKFLOW_NOT_FOUND", "This id is somebody else's; make a new one."
            )
        return await self.record(brought, scope)  # a repetition was faster

    async def _append(self, workflow: Workflow, brought: ForeignRecord) -> Recorded:
        record, content = brought.record, brought.record.content
        rules.check_next(workflow, record.stage)
        before = await data_record(self._store, workflow, workflow.modification_version)
        if record.create_time_us < before.create_time_us:
            raise InvalidArgumentError(
                "TIME_INVALID",
                "`create_time` lies before that of the stage before.",
                field="record.create_time",
            )
        computed = await self._computed(workflow, before, brought, content)
        record = replace(
            record, content=computed, version=rules.number_of_next(workflow, record.stage)
        )
        changed = rules.after(workflow, record, self._clock())
        stored = await self._store.append(workflow, changed, record)
        self._hub.tell(stored.export_workflow_id)
        return await self._with_data_before(stored, record)

    async def _computed(
        self, workflow: Workflow, before: StageRecord, brought: ForeignRecord, content: Content
    ) -> Content:
        """Return a content with everything in it that follows from data."""
        if isinstance(content, UserModifications):
            if brought.data_before is not None and dump(brought.data_before) != dump(
                data_of(before)
            ):
                raise InvalidArgumentError(
                    "DATA_MISMATCH",
                    "`original_data_json` is not the latest version of the data.",
                    field="record.user_modifications.original_data_json",
                )
            passed_us = brought.record.create_time_us - before.create_time_us
            return await self._bench.do(
                lambda: modifications(
                    data_of(before),
                    content.data,
                    content.preferences,
                    content.actions.editing_time_seconds,
                    passed_us / MICROSECONDS,
                )
            )
        assert isinstance(content, FinalDeliverable)
        first = await required(self._store, workflow, Stage.INITIAL_AI_SUMMARY, 1)
        initial = first.content
        assert isinstance(initial, InitialSummary)
        changes = await self._bench.do(lambda: changes_between(initial.data, data_of(before)))
        whole = whole_of(workflow, initial, changes, brought.record.create_time_us)
        quality = content.whole.final_output_quality
        return replace(
            content,
            whole=replace(whole, final_output_quality=quality),
            modification_version=workflow.modification_version,
        )

    async def _with_data_before(self, workflow: Workflow, record: StageRecord) -> Recorded:
        if record.stage is not Stage.USER_MODIFICATIONS:
            return Recorded(workflow, record)
        before = await data_record(self._store, workflow, record.version - 1)
        return Recorded(workflow, record, data_of(before))
