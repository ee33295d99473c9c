"""Taxonomy 1.1: which events there are, and in which stage each may occur.

It is a table, so that a researcher can read it beside the specification, and so that the tracker
refuses a wrong combination at its edge, where the producer can still be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from tracker_service.items import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

TAXONOMY_VERSION: Final = "1.1"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one item type.

    Attributes:
        stages: The stages in which it may occur.
        needs_stage_iteration: It belongs to one pass of a loop in stage 2.
        needs_loop_iteration: It belongs to one output.
    """

    stages: frozenset[int]
    needs_stage_iteration: bool = False
    needs_loop_iteration: bool = False


_ANY: Final = frozenset(range(6))
_TABLE: Final[tuple[tuple[Rule, str], ...]] = (
    (Rule(frozenset({0})), "pipeline_start"),
    (Rule(_ANY), "stage_transition backend_switch warning pipeline_error"),
    (
        Rule(frozenset({1})),
        "user_input_text user_input_image user_input_audio user_input_video stage1_correction "
        "stage1_safety_check stage1_safety_check_image stage1_blocked",
    ),
    (Rule(frozenset({1, 3})), "translation_result"),
    (
        Rule(frozenset({2, 3, 4})),
        "pipeline_input_text pipeline_input_image pipeline_input_audio",
    ),
    (
        Rule(frozenset({2})),
        "stage2_safety_check stage2_blocked interception_final "
        "interception_image_transformation interception_style_transfer "
        "interception_nested_recursion_start interception_nested_recursion_end",
    ),
    (Rule(frozenset({2}), needs_stage_iteration=True), "interception_iteration"),
    (Rule(frozenset({2}), needs_loop_iteration=True), "optimization_result"),
    (Rule(frozenset({2, 3})), "user_edit"),
    (Rule(frozenset({3}), needs_loop_iteration=True), "stage3_safety_check stage3_blocked"),
    (
        Rule(frozenset({4}), needs_loop_iteration=True),
        "output_image output_audio output_music output_video output_3d output_animation "
        "output_hybrid output_code output_text_alternative stage4_safety_check_image "
        "stage4_blocked",
    ),
    (Rule(frozenset({5})), "pipeline_complete pipeline_blocked pipeline_cancelled"),
)

RULES: Final[Mapping[str, Rule]] = {name: rule for rule, names in _TABLE for name in names.split()}
"""Rule of each known item type."""

TERMINAL_STATES: Final[Mapping[str, str]] = {
    "pipeline_complete": "completed",
    "pipeline_blocked": "blocked",
    "pipeline_error": "failed",
    "pipeline_cancelled": "cancelled",
}
"""The items that end an execution, and the state that each leaves behind."""

DELIVERED_OUTPUTS: Final = frozenset(
    name for name in RULES if name.startswith("output_") and name != "output_text_alternative"
)
"""The items that count as a delivered output."""

VERDICTS: Final = frozenset(name for name in RULES if "_safety_check" in name)
"""The items that carry a verdict, and with it the version of the policy."""

STAGE_BLOCKS: Final = frozenset(
    name for name in RULES if name.startswith("stage") and name.endswith("_blocked")
)
"""The items that say what was blocked in a stage, and why."""

MAX_REMEMBERED_TYPES: Final = 1000


class Taxonomy:
    """Checks items against the table, and warns once about each type that it does not know."""

    def __init__(self) -> None:
        """Start with no type warned about."""
        self._warned: set[str] = set()

    def check(
        self,
        item_type: str,
        stage: int,
        stage_iteration: int | None,
        loop_iteration: int | None,
    ) -> None:
        """Check that an item stands where its type may stand.

        Args:
            item_type: Name of the type; unknown ones are let through.
            stage: 0 to 5.
            stage_iteration: As in the item.
            loop_iteration: As in the item.

        Raises:
            Refusal: STAGE_MISMATCH or ITERATION_MISSING.
        """
        rule = RULES.get(item_type)
        if rule is None:
            self._warn(item_type)
            return
        if stage not in rule.stages:
            allowed = ", ".join(str(one) for one in sorted(rule.stages))
            raise Refusal("STAGE_MISMATCH", f"{item_type} belongs to stage {allowed}, not {stage}.")
        if rule.needs_stage_iteration and stage_iteration is None:
            raise Refusal("ITERATION_MISSING", f"{item_type} needs `stage_iteration`.")
        if rule.needs_loop_iteration and loop_iteration is None:
            raise Refusal("ITERATION_MISSING", f"{item_type} needs `loop_iteration`.")

    def _warn(self, item_type: str) -> None:
        if item_type in self._warned or len(self._warned) >= MAX_REMEMBERED_TYPES:
            return
        self._warned.add(item_type)
        log.warning("item_type_unknown", item_type=item_type)
