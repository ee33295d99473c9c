"""Records: executions as readers see them, with or without their items."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tracker_service.metadata import is_withheld, read_metadata
from tracker_service.taxonomy import DELIVERED_OUTPUTS, TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.items import ExecutionItem

MAX_USER_INPUT: Final = 200
"""Code points of the first input text that a summary shows."""

INPUT_TEXT: Final = "user_input_text"
TRANSITION: Final = "stage_transition"
"""The type of the items that hold texts which the person gave."""

MAX_MISSING: Final = 1000
"""Missing numbers that a record names at most."""


class ExecutionState(StrEnum):
    """Where an execution stands; the values are those of the JSON form."""

    RUNNING = "running"
    AWAITING_EDIT = "awaiting_edit"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_terminal(self) -> bool:
        """Whether a terminal item brought it here."""
        return self.value in TERMINAL_STATES.values()


OPEN_STATES: Final = (ExecutionState.RUNNING, ExecutionState.AWAITING_EDIT)
"""The states of executions that somebody runs."""


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """An execution without its items; empty text means "none" or "not known".

    Attributes:
        execution_id: The execution.
        config_name: Its config.
        safety_level: `kids`, `youth`, `adult`, `off`, or empty.
        user_id: Pseudonym of the person.
        session_id: The sitting.
        group_id: The class.
        parent_execution_id: The execution it was made from.
        start_time_us: Time of the first item, microseconds since 1970 UTC.
        end_time_us: Time of the terminal item.
        state: Where it stands.
        epoch: The latest claim.
        last_sequence_number: Highest number known, from items and heartbeats.
        item_count: Items that are stored.
        complete: It has ended and nothing is missing.
        missing: The missing numbers, the first `MAX_MISSING` at most.
        error: Reason of a failed one.
        user_input: First input text, cut to `MAX_USER_INPUT` code points.
        plan_digest: Of the stored plan.
        policy_version: Of the safety policy.
        software_version: Of what ran it.
        taxonomy_version: Such as `1.1`.
        outputs_generated: Delivered outputs.
        erased: Its content was erased.
    """

    execution_id: str
    config_name: str
    safety_level: str
    user_id: str
    session_id: str
    group_id: str
    parent_execution_id: str
    start_time_us: int | None
    end_time_us: int | None
    state: ExecutionState
    epoch: int
    last_sequence_number: int
    item_count: int
    complete: bool
    missing: tuple[int, ...]
    error: str
    user_input: str
    plan_digest: str
    policy_version: str
    software_version: str
    taxonomy_version: str
    outputs_generated: int
    erased: bool = False


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """An execution with everything that happened in it.

    Attributes:
        summary: The execution.
        items: All items by epoch and sequence number.
    """

    summary: ExecutionSummary
    items: tuple[ExecutionItem, ...]


def input_texts(items: Iterable[ExecutionItem]) -> list[str]:
    """Return the texts that the person gave, in their order.

    A run that was cut in stage 1 begins that stage once more and records them again, so those
    before do not count.
    """
    texts: list[str] = []
    for item in items:
        if item.item_type == TRANSITION and item.stage == 1:
            texts.clear()
        elif is_input_text(item) and item.content is not None:
            texts.append(item.content)
    return texts


def is_input_text(item: ExecutionItem) -> bool:
    """Tell whether `item` is a text that the person gave."""
    return item.item_type == INPUT_TEXT


def is_delivered_output(item: ExecutionItem) -> bool:
    """Tell whether `item` is an output that reached the person."""
    return item.item_type in DELIVERED_OUTPUTS and not is_withheld(item.metadata_json)


def count_outputs(items: Iterable[ExecutionItem]) -> int:
    """Return how many outputs were delivered: as the terminal item says, else as counted."""
    count = 0
    for item in items:
        if item.late:
            continue
        if item.item_type in TERMINAL_STATES:
            stated = stated_outputs(item)
            if stated is not None:
                return stated
        count += is_delivered_output(item)
    return count


def stated_outputs(item: ExecutionItem) -> int | None:
    """Return the count of outputs that a terminal item states; None when it states none."""
    value = read_metadata(item.metadata_json).get("outputs_generated")
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_count else None
