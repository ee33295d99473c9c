"""The steps of a person who edits in between, and what makes one impossible.

A step says which text it is based on. So two tabs of one session cannot work against each other:
the second is told that the text has changed, instead of overwriting it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.progress import INTERCEPTION
from orchestrator.stages.edits import apply_edits
from orchestrator.stages.input_check import translate_inputs
from orchestrator.stages.interception import intercept
from orchestrator.stages.outputs import make_outputs, optimize_outputs
from servicekit.errors import FailedPreconditionError, InvalidArgumentError

if TYPE_CHECKING:
    from orchestrator.stages.edits import Edit
    from orchestrator.stages.run import Run


class StepKind(StrEnum):
    """Which step it is."""

    INTERCEPT = "intercept"
    OPTIMIZE = "optimize"
    RENDER = "render"

    @property
    def rpc(self) -> str:
        """The name of the call that asks for it."""
        return self.value.capitalize()


_EDITABLE = {
    StepKind.INTERCEPT: ("texts",),
    StepKind.OPTIMIZE: (INTERCEPTION,),
    StepKind.RENDER: (INTERCEPTION, "optimization"),
}
"""Beginnings of the slots whose texts a step may change."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a person.

    Attributes:
        based_on: Item that holds the newest text that the person has seen.
        edits: Texts that the person changed since.
        outputs: Numbers of the outputs that it is for; empty: all.
    """

    kind: StepKind
    based_on: str
    edits: tuple[Edit, ...] = ()
    outputs: tuple[int, ...] = ()

    def require_possible(self, run: Run) -> None:
        """Refuse what cannot be done where the run stands.

        Raises:
            FailedPreconditionError: STEP_STALE or STEP_OUT_OF_ORDER.
            InvalidArgumentError: EDIT_NOT_POSSIBLE or OUTPUT_UNKNOWN, naming the field.
        """
        if self.based_on != run.progress.head:
            raise _stale()
        if self.kind is not StepKind.INTERCEPT and run.progress.interception is None:
            raise FailedPreconditionError(
                "STEP_OUT_OF_ORDER", "There is no text to go on with; intercept first."
            )
        for index, edit in enumerate(self.edits):
            self._require_edit(run, index, edit)
        numbers = {planned.loop_iteration for planned in run.plan.outputs}
        for index, number in enumerate(self.outputs):
            if number not in numbers:
                raise InvalidArgumentError(
                    "OUTPUT_UNKNOWN",
                    f"This run has no output {number}.",
                    field=f"loop_iterations[{index}]",
                )

    def _require_edit(self, run: Run, index: int, edit: Edit) -> None:
        slot = run.progress.slot_of(edit.of_item)
        if slot is None:
            raise _stale()
        repeated = any(edit.of_item == other.of_item for other in self.edits[:index])
        if repeated or not slot.startswith(_EDITABLE[self.kind]):
            raise InvalidArgumentError(
                "EDIT_NOT_POSSIBLE",
                "Change the texts that this step works on, each once.",
                field=f"edits[{index}].of_item_id",
            )

    async def take(self, run: Run) -> None:
        """Do it.

        Raises:
            Blocked: A text does not fit the level.
            StageFailure: A model or a verdict could not be had.
        """
        await apply_edits(run, self.edits)
        chosen = self.outputs or tuple(planned.loop_iteration for planned in run.plan.outputs)
        if self.kind is StepKind.INTERCEPT:
            await translate_inputs(run)
            run.begin_anew()
            await intercept(run)
        elif self.kind is StepKind.OPTIMIZE:
            for number in chosen:
                run.progress.forget_optimized(number)
                run.status(number).begin_anew()
            await optimize_outputs(run, chosen)
        else:
            await make_outputs(run, chosen)


def _stale() -> FailedPreconditionError:
    return FailedPreconditionError(
        "STEP_STALE",
        "The text has changed since, perhaps in another tab; look at it again and go on from "
        "there.",
    )
