"""How people work, from the database; see `insights.Patterns`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tracker_service.insights import Counted, Patterns, PromptChanges
from tracker_service.search import FacetKind, words_of
from tracker_service.store.selection import condition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.access import Audience
    from tracker_service.store.interface import ExecutionFilter
    from tracker_service.store.sql import SqlConnection

MAX_INPUTS: Final = 20_000
"""Latest inputs that are compared; their words are the only thing that is read as text."""
MAX_PAIRS: Final = 200


def patterns_of(connection: SqlConnection, wanted: ExecutionFilter, audience: Audience) -> Patterns:
    """Return how people work in the executions that match."""
    condition, values = condition_of(connection, wanted, audience)

    def pairs(sql: str) -> list[Counted]:
        found = connection.execute(
            f"{sql.format(condition=condition)} ORDER BY 3 DESC, 1, 2 LIMIT {MAX_PAIRS}", values
        )
        return [Counted(str(first), str(second), count) for first, second, count in found]

    with connection.snapshot():
        return Patterns(
            prompt_changes=_prompt_changes(_inputs(connection, condition, values)),
            next_configs=pairs(
                "SELECT config_name, later, COUNT(*) FROM (SELECT config_name, LEAD(config_name) "
                "OVER (PARTITION BY session_id ORDER BY start_time_us, key) AS later "
                "FROM executions WHERE {condition} AND session_id <> '') AS steps "
                "WHERE later IS NOT NULL GROUP BY config_name, later"
            ),
            edits=pairs(_config_facets("value IN ('user_edit', 'stage1_correction')")),
            # `output_` with its underscore as such, which LIKE would take for any character.
            outputs=pairs(_config_facets("SUBSTR(value, 1, 7) = 'output_'")),
            abandoned=pairs(
                "SELECT state, last_stage, COUNT(*) FROM executions WHERE {condition} "
                "AND state IN ('interrupted', 'cancelled') GROUP BY state, last_stage"
            ),
        )


def _config_facets(which: str) -> str:
    return (
        "SELECT config_name, value, COUNT(*) FROM executions JOIN execution_facets "
        f"ON execution_key = key AND kind = '{FacetKind.ITEM_TYPE}' AND {which} "
        "WHERE {condition} GROUP BY config_name, value"
    )


def _inputs(
    connection: SqlConnection, condition: str, values: Sequence[Any]
) -> list[tuple[str, str]]:
    """Return sessions and inputs, session by session, in their order."""
    found = connection.execute(
        "SELECT session_id, user_input FROM (SELECT session_id, user_input, start_time_us, key "
        f"FROM executions WHERE {condition} AND session_id <> '' AND user_input <> '' "
        f"ORDER BY start_time_us DESC, key DESC LIMIT {MAX_INPUTS}) AS latest "
        "ORDER BY session_id, start_time_us, key",
        values,
    )
    return [(session, text) for session, text in found]


def _prompt_changes(inputs: Sequence[tuple[str, str]]) -> PromptChanges:
    neighbours = [
        (before, after)
        for (session, before), (same_session, after) in pairwise(inputs)
        if session == same_session
    ]
    if not neighbours:
        return PromptChanges()
    return PromptChanges(
        pair_count=len(neighbours),
        same_count=sum(before == after for before, after in neighbours),
        longer_count=sum(len(after) > len(before) for before, after in neighbours),
        shorter_count=sum(len(after) < len(before) for before, after in neighbours),
        kept_word_share=sum(_kept(*one) for one in neighbours) / len(neighbours),
    )


def _kept(before: str, after: str) -> float:
    words = words_of(before)
    return len(words & words_of(after)) / len(words) if words else 0.0
