"""Figures of many workflows: what is counted of each record, and how counts become answers.

Counts are kept per owner and day while records are stored, so that an answer costs the same for ten
workflows and for a hundred thousand. Each record counts by itself alone; what it added is taken
away again when its workflow is removed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from tracker_service.export_workflow.model import (
    FinalDeliverable,
    InitialSummary,
    UserModifications,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker_service.export_workflow.model import StageRecord, Workflow

DAY_US: Final = 86_400 * 1_000_000
MAX_DAYS: Final = 366
MAX_NAME: Final = 200
"""Characters of a counted name; longer paths are counted by their beginning."""
_MILLION: Final = 1_000_000


class Kind(StrEnum):
    """What is counted."""

    WORKFLOW = "workflow"
    COMPLETED = "completed"
    REVIEWED = "reviewed"
    FORMAT = "format"
    TEMPLATE = "template"
    FIELD = "field"
    TOTAL_TIME = "total_time_ms"
    EDITING_TIME = "editing_time_ms"
    ACCURACY = "accuracy_millionths"
    CONFIDENCE = "confidence_millionths"


class Tally(NamedTuple):
    """Something that was counted.

    Attributes:
        kind: What.
        name: Which, for formats, templates and fields.
        number: How often.
        total: Sum of the values, for those that have one.
    """

    kind: Kind
    name: str
    number: int
    total: int = 0


@dataclass(frozen=True, slots=True)
class DayTally:
    """A tally of one day.

    Attributes:
        day: Days since 1970, UTC.
        tally: The tally.
    """

    day: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of some workflows; None: nothing to take a mean of.

    Attributes:
        workflow_count: Workflows.
        completed_count: Those with a deliverable.
        reviewed_count: Those with a recorded version of a person.
        mean_total_time_seconds: From the start to the first deliverable.
        mean_editing_time_seconds: Of the versions of which it was told.
        mean_ai_processing_accuracy: Of reviewed workflows, at their first deliverable.
        mean_confidence_score: Of first summaries of which it was measured.
    """

    workflow_count: int
    completed_count: int
    reviewed_count: int
    mean_total_time_seconds: float | None
    mean_editing_time_seconds: float | None
    mean_ai_processing_accuracy: float | None
    mean_confidence_score: float | None


@dataclass(frozen=True, slots=True)
class ExportInsights:
    """Figures of many workflows.

    Attributes:
        figures: Of all.
        days: Of each day (YYYY-MM-DD, UTC) with workflows, the latest 366, in order.
        formats: Deliverables by format, the most frequent first.
        templates: Deliverables by template, the most frequent first.
        fields: Corrections by field, the most corrected first.
    """

    figures: Figures
    days: tuple[tuple[str, Figures], ...]
    formats: tuple[tuple[str, int], ...]
    templates: tuple[tuple[str, int], ...]
    fields: tuple[tuple[str, int], ...]


def tallies_of(record: StageRecord, *, reviewed: bool) -> list[Tally]:
    """Return what counts of a record.

    Args:
        record: The record.
        reviewed: Whether its workflow has a version of a person.
    """
    match record.content:
        case InitialSummary() as first:
            return [
                Tally(Kind.WORKFLOW, "", 1),
                *_measured(Kind.CONFIDENCE, first.summary.metadata.confidence_score, _MILLION),
            ]
        case UserModifications() as edited:
            return [
                *([Tally(Kind.REVIEWED, "", 1)] if record.version == 1 else []),
                *_measured(Kind.EDITING_TIME, edited.actions.editing_time_seconds, 1000),
                *_corrections(edited),
            ]
        case FinalDeliverable() as final:
            return list(_delivery(final, first=record.version == 1, reviewed=reviewed))


def _delivery(final: FinalDeliverable, *, first: bool, reviewed: bool) -> Iterator[Tally]:
    yield Tally(Kind.FORMAT, final.deliverable.file_format[:MAX_NAME], 1)
    yield Tally(Kind.TEMPLATE, final.document_template[:MAX_NAME], 1)
    if first:
        yield Tally(Kind.COMPLETED, "", 1)
        yield Tally(Kind.TOTAL_TIME, "", 1, final.whole.total_time_us // 1000)
    if first and reviewed:
        yield from _measured(Kind.ACCURACY, final.whole.ai_processing_accuracy, _MILLION)


def _corrections(edited: UserModifications) -> list[Tally]:
    fields = Counter(change.general_field[:MAX_NAME] for change in edited.changes)
    return [Tally(Kind.FIELD, name, count) for name, count in fields.items()]


def _measured(kind: Kind, value: float | None, scale: int) -> list[Tally]:
    return [] if value is None else [Tally(kind, "", 1, round(value * scale))]


def day_of(workflow: Workflow) -> int:
    """Return the day on which a workflow counts: days since 1970, UTC."""
    return workflow.create_time_us // DAY_US


def insights_of(tallies: Iterable[DayTally], field_limit: int) -> ExportInsights:
    """Make an answer of tallies.

    Args:
        tallies: Those of fields and names may be of any day.
        field_limit: Most fields to return.
    """
    by_day: defaultdict[int, dict[Kind, tuple[int, int]]] = defaultdict(dict)
    whole: defaultdict[Kind, tuple[int, int]] = defaultdict(lambda: (0, 0))
    names: defaultdict[Kind, Counter[str]] = defaultdict(Counter)
    for one in tallies:
        kind, name, count, total = one.tally
        if name or kind in (Kind.FORMAT, Kind.TEMPLATE, Kind.FIELD):
            names[kind][name] += count
            continue
        by_day[one.day][kind] = (count, total)
        whole[kind] = (whole[kind][0] + count, whole[kind][1] + total)
    days = [(day_text(day), _figures(by_day[day])) for day in sorted(by_day)[-MAX_DAYS:]]
    return ExportInsights(
        figures=_figures(whole),
        days=tuple(days),
        formats=_frequent(names[Kind.FORMAT], len(names[Kind.FORMAT])),
        templates=_frequent(names[Kind.TEMPLATE], len(names[Kind.TEMPLATE])),
        fields=_frequent(names[Kind.FIELD], field_limit),
    )


def day_text(day: int) -> str:
    """Return a day, YYYY-MM-DD."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()


def _frequent(counts: Counter[str], limit: int) -> tuple[tuple[str, int], ...]:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(ordered[:limit])


def _figures(of: dict[Kind, tuple[int, int]]) -> Figures:
    def count(kind: Kind) -> int:
        return of.get(kind, (0, 0))[0]

    def mean(kind: Kind, scale: int) -> float | None:
        number, total = of.get(kind, (0, 0))
        return total / number / scale if number else None

    return Figures(
        workflow_count=count(Kind.WORKFLOW),
        completed_count=count(Kind.COMPLETED),
        reviewed_count=count(Kind.REVIEWED),
        mean_total_time_seconds=mean(Kind.TOTAL_TIME, 1000),
        mean_editing_time_seconds=mean(Kind.EDITING_TIME, 1000),
        mean_ai_processing_accuracy=mean(Kind.ACCURACY, _MILLION),
        mean_confidence_score=mean(Kind.CONFIDENCE, _MILLION),
    )
