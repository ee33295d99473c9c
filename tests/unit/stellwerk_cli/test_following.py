"""Following an execution over broken connections, against a real gRPC server with a script."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import RemoteError
from stellwerk.orchestrator.v1.orchestrator_service_pb2 import RunExecutionRequest
from stellwerk.tracker.v1.execution_pb2 import (
    EXECUTION_STATE_COMPLETED,
    EXECUTION_STATE_INTERRUPTED,
    EXECUTION_STATE_RUNNING,
)
from stellwerk_cli.exits import Exit
from stellwerk_cli.following import Follower, Following
from stellwerk_cli.printers import JsonPrinter
from tests.unit.stellwerk_cli.scripted_orchestrator import (
    LOST,
    ScriptedOrchestrator,
    item,
    output,
    playing,
    state,
)

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = state(EXECUTION_STATE_RUNNING)
COMPLETED = state(EXECUTION_STATE_COMPLETED)


@dataclass
class Followed:
    """How a run was seen to end, and the lines that were printed."""

    end: Following
    lines: list[dict[str, Any]]

    def of_kind(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one kind."""
        return [line for line in self.lines if line["event"] == event]


async def followed(
    script: ScriptedOrchestrator, out: Path | None = None, *, back_seconds: float = 10.0
) -> Followed:
    """Run whatever the script plays, and follow it."""
    lines: list[str] = []
    async with playing(script) as client:
        printer = JsonPrinter(lines.append)
        follower = Follower(client, printer, out, back_seconds=back_seconds)
        end = await follower.follow(Following.of(), client.run(RunExecutionRequest()))
    return Followed(end, [json.loads(line) for line in lines])


async def test_end_of_the_run_is_the_exit_code() -> None:
    """A run that is seen to its end exits as the end says."""
    seen = await followed(ScriptedOrchestrator([RUNNING, item(1), COMPLETED]))
    assert seen.end.exit is Exit.OK


async def test_lost_connection_is_taken_up_after_the_last_item() -> None:
    """After a lost connection the run is watched from the last token, and no item shown twice."""
    script = ScriptedOrchestrator(
        [RUNNING, item(1), item(2), LOST],
        watches=[[item(2), item(3), LOST], [item(4), COMPLETED]],
        state=EXECUTION_STATE_RUNNING,
    )
    seen = await followed(script)
    assert seen.end.exit is Exit.OK
    assert script.tokens == [(1, 2), (1, 3)]
    assert [line["sequence_number"] for line in seen.of_kind("item_recorded")] == [1, 2, 3, 4]


async def test_run_that_nobody_knows_any_more_is_interrupted() -> None:
    """When nobody knows the run in time, it counts as interrupted."""
    seen = await followed(ScriptedOrchestrator([RUNNING, item(1), LOST]), back_seconds=0.2)
    assert seen.end.exit is Exit.INTERRUPTED


async def test_interrupted_run_is_seen_as_such_after_a_lost_connection() -> None:
    """A run that nobody works on reads as interrupted."""
    script = ScriptedOrchestrator(
        [RUNNING, item(1), LOST],
        watches=[[state(EXECUTION_STATE_INTERRUPTED)]],
        state=EXECUTION_STATE_INTERRUPTED,
    )
    assert (await followed(script)).end.exit is Exit.INTERRUPTED


async def test_call_that_fails_before_the_run_exists_is_an_error() -> None:
    """Without an execution there is nothing to go on with."""
    with pytest.raises(RemoteError):
        await followed(ScriptedOrchestrator([LOST]))


async def test_output_that_cannot_be_fetched_does_not_fail_the_run(tmp_path: Path) -> None:
    """The run keeps its end, and a note says how to fetch the output later."""
    script = ScriptedOrchestrator([RUNNING, item(1), output(1), COMPLETED])
    seen = await followed(script, tmp_path)
    assert seen.end.exit is Exit.OK
    assert seen.end.saved == []
    (note,) = seen.of_kind("note")
    assert "stellwerk watch" in note["text"]
