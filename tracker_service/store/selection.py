"""Which executions are meant, as SQL.

Lists must cost the same with a thousand executions and with a million. So what narrows a list most
is asked first, over an index that has the order of the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracker_service.search import FacetKind

if TYPE_CHECKING:
    from tracker_service.access import Audience
    from tracker_service.store.interface import ExecutionFilter
    from tracker_service.store.sql import SqlConnection

Condition = tuple[str, list[Any]]

_FACET: Final = "SELECT execution_key FROM execution_facets WHERE kind = ? AND value = ?"


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of executions.

    Attributes:
        tables: What stands behind FROM.
        condition: What stands behind WHERE.
        values: Its parameters.
        order: Columns that an index has in order: start time and key, or only the key.
    """

    tables: str
    condition: str
    values: list[Any]
    order: tuple[str, ...] = ("start_time_us", "key")


def condition_of(
    connection: SqlConnection, wanted: ExecutionFilter, audience: Audience
) -> Condition:
    """Return the condition that executions must fulfil, over the table `executions`."""
    parts = [*_fields(wanted, audience), *_facets(wanted)]
    if wanted.words:
        parts.append(connection.words_condition(wanted.words))
    return _joined(parts)


def selection_of(
    connection: SqlConnection, wanted: ExecutionFilter, audience: Audience
) -> Selection:
    """Return a choice whose order comes from an index."""
    facets = _facets(wanted)
    if wanted.words:
        # An index of words is in the order of recording; to sort what a common word finds by
        # start would cost as much as there is.
        words = connection.words_selection(wanted.words)
        condition, values = _joined(
            [(words.condition, words.values), *_fields(wanted, audience), *facets]
        )
        return Selection(words.tables, condition, values, words.order)
    if not facets:
        return Selection("executions", *condition_of(connection, wanted, audience))
    kind, value = _wanted_facets(wanted)[0]
    # The plus keeps SQLite from beginning with the executions.
    join: Condition = (
        "facets.kind = ? AND facets.value = ? AND executions.key = +facets.execution_key",
        [kind, value],
    )
    condition, values = _joined([join, *_fields(wanted, audience), *facets[1:]])
    return Selection(
        "execution_facets AS facets, executions",
        condition,
        values,
        ("facets.start_time_us", "facets.execution_key"),
    )


def _joined(parts: list[Condition]) -> Condition:
    return " AND ".join(text for text, _ in parts), [one for _, many in parts for one in many]


def _fields(wanted: ExecutionFilter, audience: Audience) -> list[Condition]:
    parts = [_readable(audience)]
    texts = {
        "config_name": wanted.config_name,
        "session_id": wanted.session_id,
        "user_id": wanted.user_id,
        "safety_level": wanted.safety_level,
    }
    parts += [(f"executions.{column} = ?", [text]) for column, text in texts.items() if text]
    if wanted.states:
        parts.append(_one_of("state", [state.value for state in wanted.states]))
    if wanted.execution_ids:
        parts.append(_one_of("execution_id", list(wanted.execution_ids)))
    if wanted.start_from_us is not None:
        parts.append(("executions.start_time_us >= ?", [wanted.start_from_us]))
    if wanted.start_before_us is not None:
        parts.append(("executions.start_time_us < ?", [wanted.start_before_us]))
    if wanted.erased is not None:
        parts.append((f"erased_time_us IS {'NOT ' * wanted.erased}NULL", []))
    return parts


def _wanted_facets(wanted: ExecutionFilter) -> list[tuple[str, str]]:
    facets = [(FacetKind.MODEL, wanted.model), (FacetKind.ITEM_TYPE, wanted.item_type)]
    return [(kind.value, value) for kind, value in facets if value]


def _facets(wanted: ExecutionFilter) -> list[Condition]:
    return [(f"executions.key IN ({_FACET})", [*facet]) for facet in _wanted_facets(wanted)]


def _one_of(column: str, values: list[Any]) -> Condition:
    return f"{column} IN ({', '.join('?' * len(values))})", values


def _readable(audience: Audience) -> Condition:
    if audience.everything:
        return "1 = 1", []
    own = [("session_id", audience.session_id), ("group_id", audience.group_id)]
    parts = [(f"{column} = ?", value) for column, value in own if value]
    if not parts:
        return "1 = 0", []
    return f"({' OR '.join(text for text, _ in parts)})", [value for _, value in parts]
