"""Options by which records are chosen; the commands about records share them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stellwerk.tracker.v1.execution_pb2 import ExecutionState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.timestamp_pb2 import Timestamp


class State(StrEnum):
    """States to filter by."""

    RUNNING = "running"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

ConfigFilter = Annotated[str, typer.Option(help="Only of this config.")]
SessionFilter = Annotated[str, typer.Option(help="Only of this session.")]
UserFilter = Annotated[str, typer.Option(help="Only of this pseudonym.")]
StateFilter = Annotated[list[State] | None, typer.Option(help="Only so ended; repeatable.")]
SinceFilter = Annotated[
    datetime | None, typer.Option(formats=_TIMES, help="Started at or after this time, UTC.")
]
UntilFilter = Annotated[
    datetime | None, typer.Option(formats=_TIMES, help="Started before this time, UTC.")
]


def state_numbers(states: Iterable[State] | None) -> list[ExecutionState.ValueType]:
    """Return states as requests have them, each once."""
    chosen = sorted(set(states or ()))
    return [ExecutionState.Value(f"EXECUTION_STATE_{one.name}") for one in chosen]


def set_time(field: Timestamp, moment: datetime | None) -> None:
    """Set a field of a request to a time that was given as UTC; None: leave it unset."""
    if moment is not None:
        field.FromDatetime(moment.replace(tzinfo=UTC))
