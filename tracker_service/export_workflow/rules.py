"""Which stage may follow, and what a workflow is after it.

Stage 1 begins a workflow. Stage 2 may be left out or repeated until there is a deliverable; stage 3
closes the data and may be repeated with another template or format.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from servicekit.errors import FailedPreconditionError
from tracker_service.export_workflow.limits import MAX_VERSIONS
from tracker_service.export_workflow.model import (
    STATUS_AFTER,
    FinalDeliverable,
    Stage,
    Status,
    UserModifications,
)

if TYPE_CHECKING:
    from tracker_service.export_workflow.model import StageRecord, Workflow

_NAMES: Final = {stage: stage.name.lower() for stage in Stage}


def check_next(workflow: Workflow, stage: Stage) -> None:
    """Refuse a stage that may not follow now.

    Raises:
        FailedPreconditionError: STAGE_OUT_OF_ORDER, WORKFLOW_CLOSED or TOO_MANY_VERSIONS.
    """
    if stage is Stage.INITIAL_AI_SUMMARY:
        raise FailedPreconditionError(
            "STAGE_OUT_OF_ORDER",
            f"`{_NAMES[stage]}` is recorded already, and only once; start another workflow.",
        )
    closed = workflow.status is Status.COMPLETED
    if closed and stage is Stage.USER_MODIFICATIONS:
        raise FailedPreconditionError(
            "WORKFLOW_CLOSED",
            "The workflow has a deliverable, so its data stay as they are; start another one.",
        )
    if number_of_next(workflow, stage) > MAX_VERSIONS:
        raise FailedPreconditionError(
            "TOO_MANY_VERSIONS", f"A workflow has at most {MAX_VERSIONS} versions of a stage."
        )


def check_own(workflow: Workflow) -> None:
    """Refuse to do a stage of a workflow that a foreign system does.

    Raises:
        FailedPreconditionError: WORKFLOW_FOREIGN.
    """
    if workflow.foreign:
        raise FailedPreconditionError(
            "WORKFLOW_FOREIGN",
            "A foreign system does the stages of this workflow and records them.",
        )


def number_of_next(workflow: Workflow, stage: Stage) -> int:
    """Return which number the next record of a stage has."""
    if stage is Stage.USER_MODIFICATIONS:
        return workflow.modification_version + 1
    return workflow.deliverable_count + 1


def after(workflow: Workflow, record: StageRecord, now_us: int) -> Workflow:
    """Return what a workflow is once a record is stored.

    Args:
        workflow: Before.
        record: Of stage 2 or 3.
        now_us: The time, microseconds since 1970 UTC.
    """
    changed = replace(workflow, status=STATUS_AFTER[record.stage], update_time_us=now_us)
    match record.content:
        case UserModifications():
            return replace(changed, modification_version=record.version)
        case FinalDeliverable() as final:
            return replace(
                changed,
                deliverable_count=record.version,
                document_template=final.document_template,
                deliverable=final.deliverable,
                ai_processing_accuracy=final.whole.ai_processing_accuracy,
            )
        case _:
            return changed
