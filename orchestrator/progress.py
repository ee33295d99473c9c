"""What of an execution is done: the texts as they stand, and the work that need not be done again.

Stages read it before they work and write to it when they have; so the same code runs an execution
from its start, goes on after a person's edit, and goes on after a restart, when it was read from
the record.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INTERCEPTION = "interception"
"""The slot of phase 1's text."""


def input_slot(index: int) -> str:
    """Return the slot of one of the person's texts, from 0."""
    return f"texts[{index}]"


def optimization_slot(loop_iteration: int) -> str:
    """Return the slot of the text that was fitted to one output."""
    return f"optimization[{loop_iteration}]"


@dataclass(frozen=True, slots=True)
class Draft:
    """A text as it stands, of a person or of a machine.

    Attributes:
        text: The text; a machine's one has passed its check.
        language: ISO 639-1; empty: not known yet.
        item_id: The item that holds it; empty: not recorded yet.
    """

    text: str
    language: str = ""
    item_id: str = ""


@dataclass(slots=True)
class Progress:
    """How far one execution is. Belongs to its run.

    Attributes:
        inputs: The person's texts in order, perhaps edited or translated.
        inputs_checked: Stage 1 has passed.
        steps: Finished calls of phase 1: their name in the control flow to the answer.
        values: What answers in JSON gave names to.
        interception: The text of phase 1; None: not written yet.
        optimized: The text fitted to an output, by its number.
        prompts: The text that passed stage 3, by the output's number.
        head: Item that holds the newest draft: what a person's next step has to be based on.
    """

    inputs: list[Draft]
    inputs_checked: bool = False
    steps: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    interception: Draft | None = None
    optimized: dict[int, Draft] = field(default_factory=dict)
    prompts: dict[int, str] = field(default_factory=dict)
    head: str = ""

    @property
    def drafts(self) -> dict[str, Draft]:
        """The texts that a person may change now, by slot."""
        drafts = {input_slot(index): draft for index, draft in enumerate(self.inputs)}
        if self.interception is not None:
            drafts[INTERCEPTION] = self.interception
        for number, draft in self.optimized.items():
            drafts[optimization_slot(number)] = draft
        return drafts

    def slot_of(self, item_id: str) -> str | None:
        """Return the slot whose present text an item holds; None: it is a text of the past."""
        return next((slot for slot, draft in self.drafts.items() if draft.item_id == item_id), None)

    def put(self, slot: str, draft: Draft) -> None:
        """Put a text into its slot; what was made from the one before is forgotten.

        Args:
            slot: See `input_slot`, `INTERCEPTION` and `optimization_slot`.
            draft: The new text.
        """
        if slot == INTERCEPTION:
            self.forget_optimized()
            self.interception = draft
        elif slot.startswith("optimization"):
            number = _number_in(slot)
            self.forget_optimized(number)
            self.optimized[number] = draft
        else:
            self.forget_interception()
            self.inputs[_number_in(slot)] = draft
        self.head = draft.item_id

    def forget_interception(self) -> None:
        """Let phase 1 be done anew, and all that follows."""
        self.steps.clear()
        self.values.clear()
        self.interception = None
        self.forget_optimized()

    def forget_optimized(self, number: int | None = None) -> None:
        """Let phase 2 and stage 3 be done anew, of one output or of all."""
        if number is None:
            self.optimized.clear()
            self.prompts.clear()
        else:
            self.optimized.pop(number, None)
            self.prompts.pop(number, None)


def _number_in(slot: str) -> int:
    return int(slot.partition("[")[2].rstrip("]"))
