"""Sessions, statistics and patterns on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tracker_service import converters
from tracker_service.insights import Dimension
from tracker_service.records import ExecutionState
from tracker_service.search import query_words
from tracker_service.store.interface import ExecutionFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker_service.insights import (
        ConfigUsage,
        Counted,
        Patterns,
        Session,
        StatisticsRow,
    )

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIMENSIONS: Final = {
    pb.STATISTICS_DIMENSION_DAY: Dimension.DAY,
    pb.STATISTICS_DIMENSION_CONFIG: Dimension.CONFIG,
    pb.STATISTICS_DIMENSION_MODEL: Dimension.MODEL,
    pb.STATISTICS_DIMENSION_LEVEL: Dimension.LEVEL,
}


# --- from the wire -------------------------------------------------------------------------------


def read_list_filter(request: pb.ListExecutionsRequest) -> ExecutionFilter:
    """Read the filters of a list.

    Raises:
        InvalidArgumentError: STATE_UNSPECIFIED or TEXT_INVALID.
    """
    return replace(
        converters.read_filter(request),
        user_id=request.user_id,
        safety_level=level_word(request.safety_level),
        model=request.model_used,
        item_type=request.item_type,
        words=query_words(request.text) if request.text else (),
        oldest_first=request.order == pb.EXECUTION_ORDER_OLDEST_FIRST,
    )


def read_scope(request: pb.GetStatisticsRequest | pb.GetPatternsRequest) -> ExecutionFilter:
    """Read which executions figures are about."""
    return replace(
        read_span(request), config_name=request.config_name, session_id=request.session_id
    )


def read_span(
    request: pb.GetStatisticsRequest | pb.GetPatternsRequest | pb.ListConfigUsageRequest,
) -> ExecutionFilter:
    """Read a span of time."""
    lower, upper = request.start_time_from, request.start_time_before
    return ExecutionFilter(
        start_from_us=(
            converters.bounded_us(lower) if request.HasField("start_time_from") else None
        ),
        start_before_us=(
            converters.bounded_us(upper) if request.HasField("start_time_before") else None
        ),
    )


def read_dimensions(numbers: Sequence[int]) -> list[Dimension]:
    """Read what figures are split by.

    Raises:
        InvalidArgumentError: DIMENSION_UNSPECIFIED.
    """
    known = {int(number): dimension for number, dimension in _DIMENSIONS.items()}
    if any(number not in known for number in numbers):
        raise InvalidArgumentError(
            "DIMENSION_UNSPECIFIED", "Name dimensions that exist.", field="dimensions"
        )
    return [known[number] for number in numbers]


def level_word(number: int) -> str:
    """Return a safety level as records have it; empty: none."""
    if number not in types_pb2.SafetyLevel.values() or not number:
        return ""
    name = types_pb2.SafetyLevel.Name(types_pb2.SafetyLevel.ValueType(number))
    return name.removeprefix("SAFETY_LEVEL_").lower()


# --- to the wire ---------------------------------------------------------------------------------


def session_message(session: Session) -> pb.Session:
    """Write a session."""
    message = pb.Session(
        session_id=session.session_id,
        group_id=session.group_id,
        execution_count=session.execution_count,
        user_count=session.user_count,
        states=_states(session.states),
    )
    converters.set_time(message.first_start_time, session.first_start_us)
    converters.set_time(message.last_start_time, session.last_start_us)
    return message


def statistics_message(row: StatisticsRow) -> pb.StatisticsRow:
    """Write a row of statistics."""
    message = pb.StatisticsRow(
        day="" if row.day is None else day_text(row.day),
        config_name=row.config_name,
        model_used=row.model,
        safety_level=converters.level_number(row.level or ""),
        execution_count=row.execution_count,
        states=_states(row.states),
        blocks=row.blocks,
        output_count=row.output_count,
        iteration_count=row.iteration_count,
    )
    if row.duration_p50_us is not None and row.duration_p95_us is not None:
        message.duration_p50.FromMicroseconds(row.duration_p50_us)
        message.duration_p95.FromMicroseconds(row.duration_p95_us)
    return message


def patterns_message(patterns: Patterns) -> pb.GetPatternsResponse:
    """Write patterns."""
    changes = patterns.prompt_changes
    return pb.GetPatternsResponse(
        prompt_changes=pb.PromptChanges(
            pair_count=changes.pair_count,
            same_count=changes.same_count,
            longer_count=changes.longer_count,
            shorter_count=changes.shorter_count,
            kept_word_share=changes.kept_word_share,
        ),
        next_configs=_counts(patterns.next_configs),
        edits=_counts(patterns.edits),
        outputs=_counts(patterns.outputs),
        abandoned=_counts(patterns.abandoned),
    )


def usage_message(usage: ConfigUsage) -> pb.ConfigUsage:
    """Write the use of a config."""
    message = pb.ConfigUsage(
        config_name=usage.config_name,
        execution_count=usage.execution_count,
        session_count=usage.session_count,
        completed_count=usage.completed_count,
    )
    converters.set_time(message.last_start_time, usage.last_start_us)
    return message


def day_text(day: int) -> str:
    """Return days since 1970-01-01 as a date."""
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def _states(states: Mapping[str, int]) -> list[pb.StateCount]:
    return [
        pb.StateCount(state=converters.state_number(ExecutionState(name)), count=count)
        for name, count in states.items()
    ]


def _counts(counts: Sequence[Counted]) -> list[pb.PatternCount]:
    return [pb.PatternCount(first=one.first, second=one.second, count=one.count) for one in counts]
