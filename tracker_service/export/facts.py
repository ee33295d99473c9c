"""The facts of records as a table, one row per item: what every tabular format writes.

The columns stand here once, so that CSV, XLSX and Parquet cannot say different things. A record
without items has one row whose item columns are empty, or it would vanish from its own export.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tracker_service.items import ExecutionItem, MediaRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.records import ExecutionRecord, ExecutionSummary

Row = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(Enum):
    """What a column holds; None always means that nothing is known."""

    TEXT = "text"
    INTEGER = "integer"
    SECONDS = "seconds"
    TIME = "time"  # microseconds since 1970 UTC
    FLAG = "flag"
    NUMBERS = "numbers"  # a tuple of integers
    JSON = "json"  # an object as text, as it was recorded


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As in the JSON form; where two things have one name there, ours is longer.
        kind: What it holds.
    """

    name: str
    kind: Kind


def _columns(kinds: str) -> tuple[Column, ...]:
    pairs = (entry.split(":") for entry in kinds.split())
    return tuple(Column(name, Kind(kind)) for name, kind in pairs)


RECORD_COLUMNS: Final = _columns(
    "execution_id:text config_name:text safety_level:text user_id:text session_id:text "
    "group_id:text parent_execution_id:text start_time:time end_time:time status:text "
    "last_epoch:integer complete:flag missing:numbers error:text taxonomy_version:text "
    "plan_digest:text policy_version:text software_version:text erased:flag"
)
"""What is said of an execution, in each of its rows."""

ITEM_COLUMNS: Final = _columns(
    "item_id:text epoch:integer sequence_number:integer timestamp:time stage:integer "
    "stage_iteration:integer loop_iteration:integer media_type:text item_type:text content:text "
    "file_path:text media_sha256:text media_size_bytes:integer media_mime_type:text "
    "media_filename:text config_used:text model_used:text backend_used:text prompt_id:text "
    "execution_time:seconds late:flag metadata:json"
)
"""What is said of an item."""

COLUMNS: Final = RECORD_COLUMNS + ITEM_COLUMNS
NAMES: Final = tuple(column.name for column in COLUMNS)

_NO_ITEM: Final = ExecutionItem._make((None,) * len(ExecutionItem._fields))
_NO_MEDIA: Final = (None,) * len(MediaRef._fields)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of some records: what is said of an execution once, of items by columns.

    Attributes:
        heads: Per record one value per column of `RECORD_COLUMNS`.
        head_of_row: Index of the head of each row.
        columns: Per column of `ITEM_COLUMNS` one value per row.
    """

    heads: list[Row]
    head_of_row: list[int]
    columns: tuple[Sequence[Any], ...]


def table_of(records: Sequence[ExecutionRecord]) -> Table:
    """Return the rows of records, in their order."""
    items: list[ExecutionItem] = []
    head_of_row: list[int] = []
    for index, record in enumerate(records):
        shown = record.items or (_NO_ITEM,)
        items += shown
        head_of_row += [index] * len(shown)
    return Table(
        [record_values(record.summary) for record in records], head_of_row, item_columns(items)
    )


def rows_of(record: ExecutionRecord) -> Iterator[Row]:
    """Yield the rows of a record, one value per column of `COLUMNS`."""
    table = table_of([record])
    for values in zip(*table.columns, strict=True):
        yield table.heads[0] + values


def record_values(summary: ExecutionSummary) -> Row:
    """Return one value per column of `RECORD_COLUMNS`."""
    return (
        summary.execution_id,
        summary.config_name or None,
        summary.safety_level or None,
        summary.user_id or None,
        summary.session_id or None,
        summary.group_id or None,
        summary.parent_execution_id or None,
        summary.start_time_us,
        summary.end_time_us,
        summary.state.value,
        summary.epoch,
        summary.complete,
        summary.missing,
        summary.error or None,
        summary.taxonomy_version or None,
        summary.plan_digest or None,
        summary.policy_version or None,
        summary.software_version or None,
        summary.erased,
    )


def item_columns(items: Sequence[ExecutionItem]) -> tuple[Sequence[Any], ...]:
    """Return one sequence of values per column of `ITEM_COLUMNS`.

    Columns, since a million rows are made several times faster so than one by one.

    Args:
        items: At least one.
    """
    fields: dict[str, Sequence[Any]] = dict(
        zip(ExecutionItem._fields, zip(*items, strict=True), strict=True)
    )
    media = [_NO_MEDIA if one is None else one for one in fields["media"]]
    uri, sha256, size_bytes, mime_type, filename = zip(*media, strict=True)
    return (
        fields["item_id"],
        fields["epoch"],
        fields["sequence_number"],
        fields["occur_time_us"],
        fields["stage"],
        fields["stage_iteration"],
        fields["loop_iteration"],
        _known(fields["media_type"]),
        fields["item_type"],
        fields["content"],
        uri,
        _known(sha256),
        size_bytes,
        _known(mime_type),
        _known(filename),
        _known(fields["config_used"]),
        _known(fields["model_used"]),
        _known(fields["backend_used"]),
        _known(fields["backend_job_id"]),
        [None if us is None else us / 1_000_000 for us in fields["run_duration_us"]],
        fields["late"],
        ["{}" if text == "" else text for text in fields["metadata_json"]],
    )


def _known(texts: Sequence[str | None]) -> list[str | None]:
    """Return texts with None for empty ones."""
    return [text or None for text in texts]


def time_text(time_us: int) -> str:
    """Return a time as RFC 3339 text with microseconds, UTC.

    Args:
        time_us: Microseconds since 1970 UTC.
    """
    return f"{_second_text(time_us // 1_000_000)}.{time_us % 1_000_000:06d}Z"


@lru_cache(maxsize=256)  # items come in the order of time
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def plain_text(value: Any, kind: Kind) -> str:
    """Return a value as the text that stands in a cell; nothing is an empty cell."""
    if value is None:
        return ""
    if kind is Kind.TIME:
        return time_text(value)
    if kind is Kind.FLAG:
        return "true" if value else "false"
    if kind is Kind.NUMBERS:
        return " ".join(map(str, value))
    return str(value)
