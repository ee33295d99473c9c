"""Workflows up to the deliverable: starting, editing, reading, comparing, judging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.context import new_id
from servicekit.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
)
from tracker_service.export_workflow import rules
from tracker_service.export_workflow.changes import changes_between, unchanged_share
from tracker_service.export_workflow.editing import modifications, take_too_much
from tracker_service.export_workflow.model import (
    InitialSummary,
    Preferences,
    Stage,
    StageRecord,
    Status,
    Workflow,
)
from tracker_service.export_workflow.ownership import scope_of
from tracker_service.export_workflow.recorded import (
    MICROSECONDS,
    Recorded,
    check_same,
    data_of,
    data_record,
    preferences_of,
    required,
)
from tracker_service.export_workflow.summary.model import SummaryTask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from servicekit.principals import Principal
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.metrics import WorkflowMetrics
    from tracker_service.export_workflow.model import FieldChange, Quality
    from tracker_service.export_workflow.sources import GivenDocument, Selection, Sources
    from tracker_service.export_workflow.store import Scope, WorkflowStore
    from tracker_service.export_workflow.summary.model import Language, Summarizer
    from tracker_service.export_workflow.watching import WorkflowHub
    from tracker_service.export_workflow.workbench import Workbench

MOST_STARTS: Final = 8
"""Workflows that are started at once; each waits for a model."""


@dataclass(frozen=True, slots=True)
class Start:
    """A workflow that is wanted.

    Attributes:
        export_workflow_id: Its name; empty: any.
        wanted: The source.
        language: Of summaries and documents.
        digest: Hash of the request, to know a repetition.
    """

    export_workflow_id: str
    wanted: Selection | GivenDocument
    language: Language
    digest: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A version of the data that somebody made.

    Attributes:
        export_workflow_id: The workflow.
        record_id: Name of the record; empty: any.
        data: All of the data; a checked object or list.
        preferences: What is wanted of the document; checked.
        editing_seconds: How long it took, as the client says; None: it does not.
        base_version: Version that it was made from; None: the latest.
        digest: Hash of the request, to know a repetition.
    """

    export_workflow_id: str
    record_id: str
    data: JsonValue
    preferences: Preferences
    editing_seconds: float | None
    base_version: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of data.

    Attributes:
        before: The version before.
        after: The version after.
        changes: What differs.
        unchanged_share: Unchanged ÷ all fields of the version before; None: it has none.
    """

    before: JsonValue
    after: JsonValue
    changes: tuple[FieldChange, ...]
    unchanged_share: float | None


class Workflows:
    """Does what people ask of workflows, except for making files."""

    def __init__(
        self,
        store: WorkflowStore,
        sources: Sources,
        summarizer: Summarizer,
        hub: WorkflowHub,
        bench: Workbench,
        metrics: WorkflowMetrics,
        clock: Callable[[], int],
    ) -> None:
        """Take what it works with.

        Args:
            store: Keeps workflows.
            sources: Obtains data.
            summarizer: Summarises them.
            hub: Is told what was recorded.
            bench: Compares data.
            metrics: Counts stages.
            clock: The time, microseconds since 1970 UTC.
        """
        self._store = store
        self._sources = sources
        self._summarizer = summarizer
        self._hub = hub
        self._bench = bench
        self._metrics = metrics
        self._clock = clock
        self._starting = 0

    async def start(self, start: Start, principal: Principal) -> Recorded:
        """Record stage 1 of a new workflow.

        Args:
            start: What is wanted.
            principal: Who wants it; the owner from now on.

        Raises:
            ServiceError: As StartExportWorkflow says.
        """
        if start.export_workflow_id:
            there = await self._there(start, principal)
            if there is not None:
                return there
        if self._starting >= MOST_STARTS:
            raise ResourceExhaustedError(
                "EXPORTS_BUSY", "Other workflows are being started; try again.", retry_seconds=5
            )
        self._starting += 1
        try:
            with self._metrics.stage(Stage.INITIAL_AI_SUMMARY):
                workflow, record, made_from = await self._begin(start, principal)
                stored = await self._store.create(workflow, record, made_from)
        finally:
            self._starting -= 1
        if stored != workflow:  # the same call, made twice at once
            there = await self._there(start, principal)
            if there is None:
                raise AlreadyExistsError(
                    "RECORD_DIFFERS", "This id was used for another workflow; make a new one."
                )
            return there
        return Recorded(stored, record)

    async def _begin(
        self, start: Start, principal: Principal
    ) -> tuple[Workflow, StageRecord, tuple[str, ...]]:
        """Return a new workflow, its first record, and the executions that it is made from."""
        began_us = self._clock()
        obtained = await self._sources.obtain(start.wanted, principal)
        summary = await self._summarizer.summarise(
            SummaryTask(
                data=obtained.data,
                language=start.language,
                safety_level=obtained.source.safety_level,
            )
        )
        record = StageRecord(
            record_id=new_id(),
            create_time_us=began_us,
            version=1,
            content=InitialSummary(obtained.source, obtained.data, summary),
            digest=start.digest,
        )
        workflow = Workflow(
            export_workflow_id=start.export_workflow_id or new_id(),
            document_id=obtained.document_id,
            owner=principal.id,
            status=Status.AWAITING_USER_REVIEW,
            create_time_us=began_us,
            update_time_us=self._clock(),
            document_type=obtained.source.document_type,
            language=start.language,
        )
        return workflow, record, obtained.source.execution_ids

    async def _there(self, start: Start, principal: Principal) -> Recorded | None:
        """Return the workflow of a call that is repeated; None: it is new."""
        try:
            workflow = await self._store.workflow(start.export_workflow_id, scope_of(principal))
        except NotFoundError:
            return None
        record = await required(self._store, workflow, Stage.INITIAL_AI_SUMMARY, 1)
        check_same(record, start.digest)
        return Recorded(workflow, record)

    async def edit(self, edit: Edit, scope: Scope) -> Recorded:
        """Record stage 2.

        Args:
            edit: What was made of the data.
            scope: Whose workflows the caller may see.

        Raises:
            ServiceError: As RecordUserModifications says.
        """
        workflow = await self._store.workflow(edit.export_workflow_id, scope)
        rules.check_own(workflow)
        there = await self._version_there(workflow, edit)
        if there is not None:
            return there
        with self._metrics.stage(Stage.USER_MODIFICATIONS):
            before = await self._edited(workflow, edit)
            record = await self._version(workflow, before, edit)
            changed = rules.after(workflow, record, record.create_time_us)
            stored = await self._store.append(workflow, changed, record)
        self._hub.tell(stored.export_workflow_id)
        return Recorded(stored, record, data_of(before))

    async def _version_there(self, workflow: Workflow, edit: Edit) -> Recorded | None:
        """Return the record of a call that is repeated; None: it is new."""
        if not edit.record_id:
            return None
        record = await self._store.record_named(workflow, edit.record_id)
        if record is None:
            return None
        check_same(record, edit.digest)
        before = await data_record(self._store, workflow, record.version - 1)
        return Recorded(workflow, record, data_of(before))

    async def _edited(self, workflow: Workflow, edit: Edit) -> StageRecord:
        """Return the record of the data that were edited, if they may be now."""
        rules.check_next(workflow, Stage.USER_MODIFICATIONS)
        if edit.base_version not in (None, workflow.modification_version):
            raise FailedPreconditionError(
                "VERSION_OUTDATED",
                f"The latest version is {workflow.modification_version}; read it first.",
            )
        return await data_record(self._store, workflow, workflow.modification_version)

    async def _version(self, workflow: Workflow, before: StageRecord, edit: Edit) -> StageRecord:
        now_us = self._clock()
        content = await self._bench.do(
            lambda: modifications(
                data_of(before),
                edit.data,
                preferences_of(before).completed_by(edit.preferences),
                edit.editing_seconds,
                (now_us - before.create_time_us) / MICROSECONDS,
            )
        )
        return StageRecord(
            record_id=edit.record_id or new_id(),
            create_time_us=now_us,
            version=rules.number_of_next(workflow, Stage.USER_MODIFICATIONS),
            content=content,
            digest=edit.digest,
        )

    async def read(
        self, export_workflow_id: str, scope: Scope
    ) -> AsyncGenerator[Workflow | Recorded, None]:
        """Read a workflow.

        Yields:
            The workflow, then each of its records in the order of stages and versions.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND.
        """
        workflow = await self._store.workflow(export_workflow_id, scope)
        yield workflow
        record = await required(self._store, workflow, Stage.INITIAL_AI_SUMMARY, 1)
        yield Recorded(workflow, record)
        for version in range(1, workflow.modification_version + 1):
            before = data_of(record)
            record = await required(self._store, workflow, Stage.USER_MODIFICATIONS, version)
            yield Recorded(workflow, record, before)
        for number in range(1, workflow.deliverable_count + 1):
            record = await required(
                self._store, workflow, Stage.FINAL_SUMMARY_AND_DELIVERABLE, number
            )
            yield Recorded(workflow, record)

    async def compare(
        self, export_workflow_id: str, scope: Scope, from_version: int, to_version: int
    ) -> Comparison:
        """Compare two versions of the data; 0 is the machine's.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND or VERSION_NOT_FOUND.
            FailedPreconditionError: TOO_MANY_CHANGES.
        """
        workflow = await self._store.workflow(export_workflow_id, scope)
        for version in (from_version, to_version):
            if not 0 <= version <= workflow.modification_version:
                raise NotFoundError("VERSION_NOT_FOUND", f"There is no version {version}.")
        before = data_of(await data_record(self._store, workflow, from_version))
        after = data_of(await data_record(self._store, workflow, to_version))
        changes = await self._bench.do(lambda: changes_between(before, after))
        if await self._bench.do(lambda: take_too_much(changes)):
            raise FailedPreconditionError(
                "TOO_MANY_CHANGES", "The changes take over 1 MiB; compare versions in between."
            )
        return Comparison(before, after, changes, unchanged_share(before, changes))

    async def rate(
        self, export_workflow_id: str, scope: Scope, number: int, quality: Quality
    ) -> Recorded:
        """Record how good a deliverable is; number 0 is the latest.

        Raises:
            NotFoundError: EXPORT_WORKFLOW_NOT_FOUND or DELIVERABLE_NOT_FOUND.
        """
        workflow = await self._store.workflow(export_workflow_id, scope)
        record = await self._store.rate(workflow, number or workflow.deliverable_count, quality)
        self._hub.tell(export_workflow_id)
        return Recorded(workflow, record)
