"""From the items of an execution to its progress: what need not be done again.

A piece of work counts as done when the item that holds its outcome was recorded. Of what was
withheld nothing is taken up: it is written and checked once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.model import Decision, Mode, OutputState, OutputStatus, SafetyLevel
from orchestrator.progress import INTERCEPTION, Draft, Progress, input_slot, optimization_slot
from servicekit.errors import FailedPreconditionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.configs.plan import Plan
    from orchestrator.events import Item
    from orchestrator.model import MediaFile


@dataclass(slots=True)
class Recalled:
    """An execution as its items tell of it.

    Attributes:
        facts: Metadata of its `pipeline_start`.
        progress: What is done.
        images: The person's pictures.
        outputs: How far each output is.
        stage: The latest stage that it reached.
    """

    facts: dict[str, object]
    progress: Progress
    outputs: list[OutputStatus]
    images: list[MediaFile] = field(default_factory=list)
    stage: int = 0

    @property
    def level(self) -> SafetyLevel:
        """The level that was applied."""
        return SafetyLevel[str(self.facts.get("safety_level", "kids")).upper()]

    @property
    def mode(self) -> Mode:
        """How it was run."""
        return Mode(str(self.facts.get("mode", Mode.WHOLE.value)))

    @property
    def language(self) -> str:
        """Language of the person."""
        return str(self.facts.get("language", "en"))

    @property
    def seed(self) -> int:
        """Seed of all outputs."""
        seed = self.facts.get("seed")
        return seed if isinstance(seed, int) else 0


def recall(items: Sequence[Item], plan: Plan) -> Recalled:
    """Read what was recorded.

    Args:
        items: All items inside the numbering, in order.
        plan: The execution's plan.

    Raises:
        FailedPreconditionError: NOT_RESUMABLE: its beginning was not recorded.
    """
    start = next((item for item in items if item.item_type == "pipeline_start"), None)
    if start is None:
        raise beginning_unknown()
    outputs = [OutputStatus(each.loop_iteration, each.id, each.media_type) for each in plan.outputs]
    reader = _Reader(plan, Recalled(dict(start.metadata), Progress([]), outputs))
    for item in items:
        reader.read(item)
    reader.finish()
    return reader.recalled


def beginning_unknown() -> FailedPreconditionError:
    """Return the error for an execution of which too little is recorded to go on with it."""
    return FailedPreconditionError(
        "NOT_RESUMABLE", "The beginning of this execution was not recorded; run it again."
    )


class _Reader:
    """Goes through the items once, in order."""

    def __init__(self, plan: Plan, recalled: Recalled) -> None:
        self.recalled = recalled
        self._plan = plan
        self._passed_inputs: set[int] = set()
        self._edits: dict[str, tuple[str, Draft]] = {}
        self._read: dict[str, Callable[[Item], None]] = {
            "stage_transition": self._transition,
            "user_input_text": self._input_text,
            "user_input_image": self._input_image,
            "stage1_safety_check": self._input_verdict,
            "stage1_safety_check_image": self._input_verdict,
            "translation_result": self._translation,
            "pipeline_input_text": self._given_text,
            "interception_iteration": self._step,
            "interception_final": self._interception,
            "optimization_result": self._optimization,
            "user_edit": self._edit,
            "stage2_safety_check": self._edit_verdict,
            "output_text_alternative": self._stand_in,
            "warning": self._warning,
        }

    def read(self, item: Item) -> None:
        """Take one item into account."""
        self.recalled.stage = max(self.recalled.stage, min(item.stage, 4))
        if item.withheld:
            return
        handler = self._read.get(item.item_type)
        if handler is not None:
            handler(item)
        elif item.item_type.startswith("output_"):
            self._output(item)

    def finish(self) -> None:
        """Tell whether stage 1 is done, which only all of its verdicts together say."""
        progress, plan = self.recalled.progress, self._plan
        wanted = plan.input_requirements.texts + len(plan.caller_texts)
        wanted += plan.input_requirements.images
        done = len(self._passed_inputs) == wanted
        if plan.translate_input:
            done = done and all(draft.language == "en" for draft in progress.inputs)
        progress.inputs_checked = done

    def _transition(self, item: Item) -> None:
        """Stage 2 begins, perhaps once more: what it made before counts no longer."""
        if item.stage == 2 and item.loop_iteration is None:
            self.recalled.progress.forget_interception()
            for status in self.recalled.outputs:
                status.begin_anew()
        elif item.stage == 1:
            self.recalled.progress.inputs.clear()
            self._passed_inputs.clear()

    def _input_text(self, item: Item) -> None:
        if str(item.metadata.get("field", "")).startswith("texts["):
            language = str(item.metadata.get("detected_language") or self.recalled.language)
            draft = Draft(item.content or "", language, item.item_id)
            self.recalled.progress.inputs.append(draft)
            self.recalled.progress.head = item.item_id

    def _input_image(self, item: Item) -> None:
        if item.media is not None and item.media not in self.recalled.images:
            self.recalled.images.append(item.media)

    def _input_verdict(self, item: Item) -> None:
        index = item.metadata.get("input_index")
        if isinstance(index, int) and _allowed(item):
            self._passed_inputs.add(index)

    def _translation(self, item: Item) -> None:
        index = item.metadata.get("input_index")
        if isinstance(index, int) and index < len(self.recalled.progress.inputs):
            language = str(item.metadata.get("to_lang", ""))
            draft = Draft(item.content or "", language, item.item_id)
            self.recalled.progress.put(input_slot(index), draft)

    def _given_text(self, item: Item) -> None:
        """What a stage was fed: tells the text of a regeneration, and what passed stage 3."""
        number = item.loop_iteration
        if item.stage == 3:
            language = str(item.metadata.get("language", ""))
            draft = Draft(item.content or "", language, item.item_id)
            self.recalled.progress.put(INTERCEPTION, draft)
        elif item.stage == 4 and number is not None:
            self.recalled.progress.prompts[number] = item.content or ""

    def _step(self, item: Item) -> None:
        if step := str(item.metadata.get("step", "")):
            self.recalled.progress.steps[step] = item.content or ""

    def _interception(self, item: Item) -> None:
        self._step(item)
        language = str(item.metadata.get("language", ""))
        values = item.metadata.get("values")
        draft = Draft(item.content or "", language, item.item_id)
        self.recalled.progress.put(INTERCEPTION, draft)
        if isinstance(values, dict):
            self.recalled.progress.values = {str(name): str(values[name]) for name in values}

    def _optimization(self, item: Item) -> None:
        if item.loop_iteration is not None:
            draft = Draft(item.content or "", "", item.item_id)
            self.recalled.progress.put(optimization_slot(item.loop_iteration), draft)

    def _edit(self, item: Item) -> None:
        draft = Draft(item.content or "", "", item.item_id)
        self._edits[item.item_id] = (str(item.metadata.get("field", "")), draft)

    def _edit_verdict(self, item: Item) -> None:
        edit = self._edits.get(str(item.metadata.get("of_item", "")))
        if edit is not None and _allowed(item):
            self.recalled.progress.put(*edit)

    def _stand_in(self, item: Item) -> None:
        status = self._status(item)
        if status is not None:
            status.state = OutputState.BLOCKED
            status.text_alternative = item.content or ""
            status.message = str(item.metadata.get("message", ""))
            status.item_id = item.item_id

    def _warning(self, item: Item) -> None:
        status = self._status(item)
        if status is not None and item.metadata.get("output_failed"):
            status.state = OutputState.FAILED
            status.reason = str(item.metadata.get("reason", ""))
            status.message = str(item.metadata.get("message", ""))

    def _output(self, item: Item) -> None:
        status = self._status(item)
        if status is None:
            return
        if status.state is OutputState.DELIVERED and item.media is not None:
            status.more_files = (*status.more_files, (item.item_id, item.media))
            return
        status.state = OutputState.DELIVERED
        status.item_id = item.item_id
        status.media = item.media
        status.text = "" if item.media else item.content or ""
        status.prompt = str(item.metadata.get("prompt", ""))
        seed = item.metadata.get("seed")
        status.seed = seed if isinstance(seed, int) else None

    def _status(self, item: Item) -> OutputStatus | None:
        number = item.loop_iteration or 0
        return self.recalled.outputs[number - 1] if 0 < number <= len(self._plan.outputs) else None


def _allowed(item: Item) -> bool:
    return item.metadata.get("decision") == Decision.ALLOW.value
