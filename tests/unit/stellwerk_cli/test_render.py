"""What a person sees of a run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from rich.console import Console

from stellwerk.common.v1.types_pb2 import SAFETY_LEVEL_KIDS, LocalizedText
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.safety.v1.verdict_pb2 import DECISION_ALLOW, DECISION_UNAVAILABLE, Verdict
from stellwerk.tracker.v1.execution_pb2 import (
    EXECUTION_STATE_BLOCKED,
    EXECUTION_STATE_COMPLETED,
    EXECUTION_STATE_FAILED,
    EXECUTION_STATE_RUNNING,
    ExecutionItem,
)
from stellwerk_cli.render import ScreenPrinter

if TYPE_CHECKING:
    from collections.abc import Iterable


def screen(events: Iterable[dict[str, Any]], *, language: str = "", terminal: bool = False) -> str:
    """Return what is drawn for some events."""
    target = io.StringIO()
    console = Console(file=target, width=100, force_terminal=terminal, highlight=False)
    printer = ScreenPrinter(console, language)
    for event in events:
        printer.event(event_pb2.ExecutionEvent(execution_id="x", **event))
    printer.close()
    return target.getvalue()


def delta(text: str, **place: Any) -> dict[str, Any]:
    """Make a piece of text."""
    return {"text_delta": event_pb2.TextDelta(text=text, **place)}


def item(item_type: str, content: str = "", **fields: Any) -> dict[str, Any]:
    """Make a recorded item."""
    recorded = ExecutionItem(item_type=item_type, content=content, **fields)
    return {"item_recorded": event_pb2.ItemRecorded(item=recorded)}


def test_streamed_text_is_not_repeated_by_its_item() -> None:
    """A text that was written live is shown once."""
    drawn = screen([delta("Eine "), delta("Blume"), item("interception_final", "Eine Blume")])
    assert drawn.count("Eine Blume") == 1


def test_text_that_was_not_streamed_is_shown_with_its_item() -> None:
    """A text whose deltas were missed is shown when it is recorded."""
    facts = b'{"language": "fr"}'
    recorded = item("interception_iteration", "Fleur", stage_iteration=2, metadata_json=facts)
    assert "2: Fleur  (fr)" in screen([recorded])
    assert screen([delta("Fleur", stage_iteration=2), recorded]).count("Fleur") == 1


def test_texts_start_anew_after_a_restart() -> None:
    """A restart begins a new line, and the item decides what is shown."""
    drawn = screen(
        [delta("Wrong"), delta("Right", restart=True), item("interception_final", "Right")]
    )
    assert drawn.count("Right") == 1


def test_withheld_text_stays_hidden() -> None:
    """A withheld item is named, without content."""
    recorded = event_pb2.ItemRecorded(
        item=ExecutionItem(item_type="interception_final"), withheld=True
    )
    assert "not shown" in screen([{"item_recorded": recorded}])


def test_brackets_of_a_learner_stay_text() -> None:
    """Text is never read as markup."""
    text = "[bold red]Nein[/] [link=x]"
    assert text in screen([item("interception_final", text)])


def test_end_tells_state_reason_and_message_in_the_persons_language() -> None:
    """A failed run shows its reason and the message for the person."""
    changed = event_pb2.StateChanged(
        state=EXECUTION_STATE_FAILED,
        reason="SAFETY_UNAVAILABLE",
        message=LocalizedText(texts={"de": "Später noch einmal.", "en": "Try later."}),
        total_duration=Duration(seconds=2),
    )
    drawn = screen([{"state_changed": changed}], language="de")
    assert "FAILED  after 2.0 s  SAFETY_UNAVAILABLE" in drawn
    assert "Später noch einmal." in drawn


def test_block_is_explained_once() -> None:
    """The kind message of a block is not repeated at the end."""
    message = LocalizedText(texts={"en": "Try a friendlier word."})
    drawn = screen(
        [
            {"content_blocked": event_pb2.ContentBlocked(stage=1, message=message)},
            {
                "state_changed": event_pb2.StateChanged(
                    state=EXECUTION_STATE_BLOCKED, message=message
                )
            },
        ]
    )
    assert drawn.count("Try a friendlier word.") == 1
    assert "BLOCKED" in drawn


def test_verdicts_tell_an_outage_from_a_refusal() -> None:
    """A verdict reads as fine, as a refusal, or as a check that could not run."""
    fine = Verdict(decision=DECISION_ALLOW, safety_level=SAFETY_LEVEL_KIDS)
    outage = Verdict(decision=DECISION_UNAVAILABLE)
    drawn = screen(
        [{"verdict_reached": event_pb2.VerdictReached(verdict=one)} for one in (fine, outage)]
    )
    assert "fine for kids" in drawn
    assert "could not run" in drawn


def test_progress_is_drawn_on_terminals_only() -> None:
    """Progress bars do not fill logs."""
    events: list[dict[str, Any]] = [
        {"queue_updated": event_pb2.QueueUpdated(loop_iteration=1, position=3)},
        {"progress_made": event_pb2.ProgressMade(loop_iteration=1, percent=40.0)},
        {"output_ready": event_pb2.OutputReady(output=event_pb2.Output(loop_iteration=1))},
    ]
    assert screen(events) == ""
    assert "output 1" in screen(events, terminal=True)


def test_stages_are_named_with_their_output() -> None:
    """Stages of an output say which one."""
    drawn = screen(
        [
            {"state_changed": event_pb2.StateChanged(state=EXECUTION_STATE_RUNNING)},
            {"stage_started": event_pb2.StageStarted(stage=1)},
            {"stage_started": event_pb2.StageStarted(stage=4, loop_iteration=2)},
            {"state_changed": event_pb2.StateChanged(state=EXECUTION_STATE_COMPLETED)},
        ]
    )
    assert "1 Input check" in drawn
    assert "4 Generation · output 2" in drawn
    assert drawn.rstrip().endswith("COMPLETED")
