"""How executions end: in which state, with which words, and what the terminal item says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.model import ExecutionState, OutputState, StageFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.stages.run import Run

_ITEM_TYPES = {
    ExecutionState.COMPLETED: "pipeline_complete",
    ExecutionState.BLOCKED: "pipeline_blocked",
    ExecutionState.FAILED: "pipeline_error",
    ExecutionState.CANCELLED: "pipeline_cancelled",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """One way to end.

    Attributes:
        reason: UPPER_SNAKE, where there is something to tell apart.
        message: For the person, by language.
        failure: What did not work, for FAILED.
        stack_trace: For researchers and admins, of what nobody foresaw.
    """

    state: ExecutionState
    reason: str = ""
    message: Mapping[str, str] = field(default_factory=dict)
    failure: StageFailure | None = None
    stack_trace: str = ""

    @property
    def item_type(self) -> str:
        """The terminal item's type."""
        return _ITEM_TYPES[self.state]

    def facts(self, run: Run, total_seconds: float, item_count: int) -> dict[str, object]:
        """Return the metadata of the terminal item.

        Args:
            run: The execution.
            total_seconds: How long this process ran it.
            item_count: Count of its items, the terminal one included.
        """
        facts: dict[str, object] = {}
        if self.failure is not None:
            facts = {
                "error_type": self.failure.reason,
                "error_stage": run.stage,
                "error_message": self.failure.message,
                "recoverable": self.failure.recoverable,
            }
        elif self.reason:
            facts["reason"] = self.reason
        if self.stack_trace:
            facts["stack_trace"] = self.stack_trace
        delivered = sum(each.state is OutputState.DELIVERED for each in run.outputs)
        return {
            **facts,
            "total_duration_seconds": round(total_seconds, 6),
            "total_items_logged": item_count,
            "outputs_generated": delivered,
            "stages_completed": sorted(run.stages_completed),
        }


CANCELLED = Ending(ExecutionState.CANCELLED, message={"de": "Abgebrochen.", "en": "Cancelled."})
EDIT_TIME_OVER = Ending(
    ExecutionState.CANCELLED,
    "EDIT_TIME_OVER",
    {
        "de": "Die Zeit zum Bearbeiten ist um. Fang einfach noch einmal an.",
        "en": "The time to edit is over. Just begin again.",
    },
)
INTERRUPTED = Ending(
    ExecutionState.INTERRUPTED,
    message={
        "de": "Der Dienst wird gerade neu gestartet. Was aufgezeichnet ist, bleibt.",
        "en": "The service is restarting. What was recorded stays.",
    },
)


def failed(failure: StageFailure) -> Ending:
    """Return the end of what did not work."""
    return Ending(ExecutionState.FAILED, failure.reason, {"en": failure.message}, failure=failure)


def crashed(stack_trace: str) -> Ending:
    """Return the end of what nobody foresaw."""
    failure = StageFailure("INTERNAL", "Internal error.", recoverable=False)
    return Ending(
        ExecutionState.FAILED,
        failure.reason,
        {"en": failure.message},
        failure=failure,
        stack_trace=stack_trace,
    )


def ending_of_outputs(run: Run) -> Ending:
    """Return how an execution ends by how its outputs did; without any it has done its work."""
    states = {status.state for status in run.outputs}
    if not states or OutputState.DELIVERED in states:
        return Ending(ExecutionState.COMPLETED)
    if OutputState.FAILED in states:
        status = next(each for each in run.outputs if each.state is OutputState.FAILED)
        return failed(StageFailure(status.reason, status.message))
    blocked = next(each for each in run.outputs if each.state is OutputState.BLOCKED)
    return Ending(ExecutionState.BLOCKED, message={run.language: blocked.message})
