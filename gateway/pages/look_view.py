"""What the page about an execution shows: the same items, told to a learner or to a researcher."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.pages.differences import Piece, differences

Json = dict[str, Any]
Kind = Literal["input", "edit", "pass", "text", "verdict", "blocked", "output", "instead", "fault"]

VIEWS = ("learner", "advanced", "researcher")
_KINDS: dict[str, Kind] = {
    "user_input_text": "input",
    "user_input_image": "input",
    "user_input_audio": "input",
    "user_input_video": "input",
    "user_edit": "edit",
    "interception_iteration": "pass",
    "interception_final": "text",
    "optimization_result": "text",
    "translation_result": "text",
    "output_text_alternative": "instead",
    "pipeline_error": "fault",
    "warning": "fault",
}


@dataclass(frozen=True)
class Step:
    """One step of the way from the idea to what came out.

    Attributes:
        kind: What it is.
        item: The item behind it.
        changes: What an edit changed, or what a text made of the one before.
        verdicts: The checks of this very text or picture.
    """

    kind: Kind
    item: Json
    changes: list[Piece] = field(default_factory=list)
    verdicts: list[Json] = field(default_factory=list)

    @property
    def output(self) -> int:
        """Number of the output that it belongs to; 0: to the whole."""
        return int(self.item.get("loop_iteration", 0))


@dataclass(frozen=True)
class LookView:
    """An execution as its page shows it.

    Attributes:
        facts: What is known of the whole.
        items: Its items, in order.
    """

    facts: Json
    items: list[Json]

    @property
    def id(self) -> str:
        """The execution's id."""
        return str(self.facts["execution_id"])

    @property
    def steps(self) -> list[Step]:
        """The way from the idea to what came out."""
        texts: dict[str, str] = {}
        before = ""
        steps: list[Step] = []
        for item in self.items:
            item_type, content = item["item_type"], item.get("content", "")
            texts[item["item_id"]] = content
            if item_type.endswith(("_safety_check", "_safety_check_image")):
                _give(steps, item)
                continue
            kind = kind_of(item_type)
            if kind is None:
                continue
            if kind == "edit":
                older = texts.get(item.get("metadata", {}).get("of_item", ""), "")
            else:
                older = before if kind == "text" and item_type != "translation_result" else ""
            changes = differences(older, content) if older and content != older else []
            steps.append(Step(kind, item, changes))
            if kind in ("input", "edit", "pass", "text") and content:
                before = content
        return steps

    @property
    def short_way(self) -> list[Step]:
        """Own input, last transformation, what came out."""
        steps = [step for step in self.steps if step.kind in ("input", "output", "instead")]
        last = next((step for step in reversed(self.steps) if _is_rewriting(step.item)), None)
        place = next((i for i, s in enumerate(steps) if s.kind in ("output", "instead")), None)
        if last is not None:
            steps.insert(len(steps) if place is None else place, last)
        return steps

    @property
    def has_loop(self) -> bool:
        """Whether stage 2 went round."""
        return any(step.kind == "pass" for step in self.steps)


def kind_of(item_type: str) -> Kind | None:
    """Return what an item is on the way; None: it is none of it."""
    if item_type.endswith("_blocked"):
        return "blocked"
    if item_type.startswith("output_") and item_type not in _KINDS:
        return "output"
    return _KINDS.get(item_type)


def _is_rewriting(item: Json) -> bool:
    """Whether it is the text of stage 2, from the machine or as the person left it."""
    if item["item_type"] == "user_edit":
        return bool(item.get("metadata", {}).get("field") == "interception")
    return bool(item["item_type"] == "interception_final")


def moment_of(item: Json) -> datetime:
    """Return when an item happened."""
    return datetime.fromisoformat(item["occur_time"])


def as_json(value: object) -> str:
    """Write a value for people who read JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _give(steps: list[Step], verdict: Json) -> None:
    """Let a verdict stand with what it is about: the item it names, else the one before it."""
    about = verdict.get("metadata", {}).get("of_item")
    number = verdict.get("loop_iteration", 0)
    stands = [step for step in steps if about is None or step.item["item_id"] == about]
    same = [step for step in stands if step.output in (0, number)]
    if same:
        same[-1].verdicts.append(verdict)
