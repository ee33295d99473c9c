"""Records as they are stored, and what is asked of them everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from servicekit.errors import AlreadyExistsError, NotFoundError
from tracker_service.export_workflow.model import (
    FinalDeliverable,
    InitialSummary,
    Preferences,
    Stage,
    UserModifications,
)

if TYPE_CHECKING:
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.model import StageRecord, Workflow
    from tracker_service.export_workflow.store import WorkflowStore

MICROSECONDS: Final = 1_000_000
"""In a second."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record that is stored.

    Attributes:
        workflow: The workflow with it.
        record: The record.
        data_before: The data of the version before, for a record of stage 2.
    """

    workflow: Workflow
    record: StageRecord
    data_before: JsonValue = None


async def required(
    store: WorkflowStore, workflow: Workflow, stage: Stage, version: int
) -> StageRecord:
    """Return a record that a workflow has, unless it was removed this moment.

    Raises:
        NotFoundError: EXPORT_WORKFLOW_NOT_FOUND.
    """
    record = await store.record(workflow, stage, version)
    if record is None:
        raise NotFoundError("EXPORT_WORKFLOW_NOT_FOUND", "The export workflow was removed.")
    return record


async def data_record(store: WorkflowStore, workflow: Workflow, version: int) -> StageRecord:
    """Return the record with a version of the data; 0 is the machine's.

    Raises:
        NotFoundError: EXPORT_WORKFLOW_NOT_FOUND: it was removed this moment.
    """
    if version == 0:
        return await required(store, workflow, Stage.INITIAL_AI_SUMMARY, 1)
    return await required(store, workflow, Stage.USER_MODIFICATIONS, version)


def data_of(record: StageRecord) -> JsonValue:
    """Return the data of a record of stage 1 or 2."""
    content = record.content
    assert isinstance(content, (InitialSummary, UserModifications))
    return content.data


def preferences_of(record: StageRecord) -> Preferences:
    """Return what a person wanted of the document when a version of the data was recorded."""
    content = record.content
    return content.preferences if isinstance(content, UserModifications) else Preferences()


def check_same(record: StageRecord, digest: str) -> None:
    """Refuse a name that was used for something else.

    Raises:
        AlreadyExistsError: RECORD_DIFFERS.
    """
    if record.digest != digest:
        raise AlreadyExistsError(
            "RECORD_DIFFERS", "This id was used for another record; make a new one."
        )


def final_of(record: StageRecord) -> FinalDeliverable:
    """Return the content of a record of stage 3."""
    assert isinstance(record.content, FinalDeliverable)
    return record.content
