"""The four boxes that light up: where an execution stands, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]
Light = Literal["ahead", "busy", "edit", "done", "bad", "skipped"]

OVER = frozenset({"completed", "blocked", "failed", "cancelled"})
_ENDED_BADLY = frozenset({"blocked", "failed", "cancelled", "interrupted"})
_IN_STAGE_3 = frozenset({"checking"})
_IN_STAGE_4 = frozenset({"queued", "running"})


@dataclass(frozen=True)
class Station:
    """One stage as it is shown.

    Attributes:
        number: 1 to 4.
        light: What its lamp says.
    """

    number: int
    light: Light


def stations(execution: Json) -> list[Station]:
    """Return the four stages of an execution."""
    outputs = execution.get("outputs", [])
    reached = execution.get("stage", 0)
    state = execution["state"]
    return [
        Station(number, _light(number, min(reached, 4), state, [out["state"] for out in outputs]))
        for number in (1, 2, 3, 4)
    ]


def _light(number: int, reached: int, state: str, outputs: Sequence[str]) -> Light:
    if state == "completed":
        return "done" if number <= 2 or outputs else "skipped"
    if number >= 3 and not outputs:
        return "skipped"
    if state in _ENDED_BADLY:
        return "done" if number < reached else "bad" if number == max(reached, 1) else "skipped"
    if state == "awaiting_edit":
        return "done" if number < reached else "edit" if number == reached else "ahead"
    if number == 3 and _IN_STAGE_3 & set(outputs):
        return "busy"
    if number == 4 and _IN_STAGE_4 & set(outputs):
        return "busy"
    return "done" if number < reached else "busy" if number == max(reached, 1) else "ahead"
