"""A run on a person's screen: stages, texts while they are written, verdicts, progress.

Line by line rather than a full-screen display, so that it reads the same in a terminal, in a log
and in a screen reader; only the progress of a picture is drawn in place, and only on a terminal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from servicekit.plain import enum_word
from stellwerk.common.v1.types_pb2 import SafetyLevel
from stellwerk.orchestrator.v1.event_pb2 import PHASE_OPTIMIZATION
from stellwerk.safety.v1.verdict_pb2 import DECISION_ALLOW, DECISION_BLOCK
from stellwerk.tracker.v1.execution_pb2 import ExecutionState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from stellwerk.orchestrator.v1 import event_pb2
    from stellwerk.tracker.v1.execution_pb2 import ExecutionItem

STAGES = {1: "Input check", 2: "Interception", 3: "Output check", 4: "Generation"}
_STYLES = {
    "completed": "bold green",
    "blocked": "bold yellow",
    "failed": "bold red",
    "cancelled": "bold magenta",
    "interrupted": "bold magenta",
}
_ENDS = frozenset(_STYLES)
_INDENT = "    "
_SHOWN_ITEMS = {
    "interception_final": "",
    "optimization_result": "for this output: ",
    "translation_result": "translated: ",
    "output_text_alternative": "instead of the output: ",
}


class ScreenPrinter:
    """Draws the events of one run. Make a new one for each run."""

    def __init__(self, console: Console, language: str = "") -> None:
        """Draw to `console`.

        Args:
            console: Where to draw.
            language: The person's language for messages, ISO 639-1; empty: that of the run.
        """
        self._console = console
        self._language = language
        self._progress: Progress | None = None
        self._tasks: dict[int, TaskID] = {}
        self._streamed = ""
        self._line_open = False
        self._told: set[str] = set()  # what was explained where it happened is not said again

    def event(self, event: event_pb2.ExecutionEvent) -> None:
        """Draw what happened; an event of a newer server is passed over."""
        name = event.WhichOneof("event")
        if name == "state_changed":
            self._state_changed(event.execution_id, event.state_changed)
        elif name == "stage_started":
            self._stage_started(event.stage_started)
        elif name == "stage_finished":
            self._stage_finished(event.stage_finished)
        elif name == "text_delta":
            self._text_delta(event.text_delta)
        elif name == "item_recorded":
            self._item_recorded(event.item_recorded.item, event.item_recorded.withheld)
        elif name == "verdict_reached":
            self._verdict_reached(event.verdict_reached)
        elif name == "queue_updated":
            self._advance(event.queue_updated.loop_iteration, 0, _queue_words(event.queue_updated))
        elif name == "progress_made":
            made = event.progress_made
            self._advance(made.loop_iteration, made.percent, made.node or "being made")
        elif name == "output_ready":
            self._end_progress(event.output_ready.output.loop_iteration)
        elif name == "content_blocked":
            self._content_blocked(event.content_blocked)
        elif name == "work_failed":
            failed = event.work_failed
            self._told.add(failed.message)
            self._line(f"{failed.message} ({failed.reason})", "red")
        elif name == "snapshot":
            self._snapshot(event.snapshot)

    def saved(self, execution_id: str, output: event_pb2.Output, path: Path) -> None:
        """Say where an output was saved."""
        self._line(f"output {output.loop_iteration} saved: {path}", "green")

    def note(self, execution_id: str, text: str) -> None:
        """Draw a remark."""
        self._line(text, "dim")

    def close(self) -> None:
        """End an open line and the progress bars."""
        self._end_line()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._tasks.clear()

    def _state_changed(self, execution_id: str, changed: event_pb2.StateChanged) -> None:
        word = enum_word(ExecutionState.DESCRIPTOR, changed.state)
        if word not in _ENDS:
            self._line(f"execution {execution_id}: {word}", "dim", indent="")
            return
        self.close()
        seconds = changed.total_duration.ToNanoseconds() / 1e9
        text = Text(word.upper(), _STYLES[word])
        text.append(f"  after {seconds:.1f} s" if seconds else "", "default")
        text.append(f"  {changed.reason}" if changed.reason else "", "default")
        self._console.print(text)
        message = self._in_language(changed.message.texts)
        if message and message not in self._told:
            self._line(message, "")

    def _stage_started(self, started: event_pb2.StageStarted) -> None:
        name = STAGES.get(started.stage, f"Stage {started.stage}")
        if started.phase == PHASE_OPTIMIZATION:
            name = "Optimization"
        output = f" · output {started.loop_iteration}" if started.loop_iteration else ""
        self._line(f"{started.stage} {name}{output}", "bold cyan", indent="")

    def _stage_finished(self, finished: event_pb2.StageFinished) -> None:
        seconds = finished.run_duration.ToNanoseconds() / 1e9
        output = f"output {finished.loop_iteration}: " if finished.loop_iteration else ""
        self._line(f"{output}{seconds:.2f} s", "dim")

    def _text_delta(self, delta: event_pb2.TextDelta) -> None:
        if delta.HasField("loop_iteration"):
            return  # outputs run at once; their texts are shown whole
        if delta.restart:
            self._end_line()
            self._streamed = ""
        if not self._line_open:
            number = f"{delta.stage_iteration}: " if delta.stage_iteration else ""
            self._console.print(Text(_INDENT + number, "dim"), end="")
            self._line_open = True
        self._streamed += delta.text
        self._console.print(Text(delta.text), end="", soft_wrap=True)

    def _item_recorded(self, item: ExecutionItem, withheld: bool) -> None:
        streamed, self._streamed = self._streamed.strip(), ""
        if item.item_type == "pipeline_start":
            self._language = self._language or json.loads(item.metadata_json or b"{}").get(
                "language", ""
            )
        elif item.item_type == "warning":
            self._line("a check could not run; the policy allows to go on", "yellow")
        elif withheld:
            self._line("this text is not shown", "dim")
        elif item.item_type == "interception_iteration":
            self._iteration(item, shown=streamed == item.content.strip())
        elif streamed and streamed == item.content.strip():
            self._end_line()
        elif item.item_type in _SHOWN_ITEMS:
            self._line(f"{_SHOWN_ITEMS[item.item_type]}{item.content}", "")

    def _iteration(self, item: ExecutionItem, *, shown: bool) -> None:
        """Draw a pass of a loop; its language is known only now, so it stands behind the text."""
        language = _language_of(item)
        if not (shown and self._line_open):
            self._end_line()
            self._console.print(Text(f"{_INDENT}{item.stage_iteration}: ", "dim"), end="")
            self._console.print(Text(item.content), end="", soft_wrap=True)
        self._console.print(Text(f"  ({language})" if language else "", "dim"), soft_wrap=True)
        self._line_open = False

    def _verdict_reached(self, reached: event_pb2.VerdictReached) -> None:
        verdict = reached.verdict
        level = enum_word(SafetyLevel.DESCRIPTOR, verdict.safety_level)
        words = f"checked: fine for {level}"
        style = "green"
        if verdict.decision == DECISION_BLOCK:
            words, style = "checked: not for this age", "yellow"
        elif verdict.decision != DECISION_ALLOW:
            words, style = "a needed check could not run", "red"
        self._line(words, style)

    def _content_blocked(self, blocked: event_pb2.ContentBlocked) -> None:
        self._end_line()
        message = self._in_language(blocked.message.texts)
        self._told.add(message)
        panel = Panel(Text(message), border_style="yellow", expand=False)
        self._console.print(panel, soft_wrap=False)

    def _snapshot(self, snapshot: event_pb2.Snapshot) -> None:
        execution = snapshot.execution
        word = enum_word(ExecutionState.DESCRIPTOR, execution.state)
        self._line(f"{execution.config_name}: {word}, stage {execution.stage}", "dim", indent="")
        if snapshot.text_so_far:
            self._line(snapshot.text_so_far, "")

    def _advance(self, loop_iteration: int, percent: float, words: str) -> None:
        if not self._console.is_terminal:
            return
        self._end_line()
        if self._progress is None:
            columns = (
                TextColumn("    {task.fields[label]}"),
                BarColumn(),
                TextColumn("{task.description}"),
            )
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.start()
        if loop_iteration not in self._tasks:
            label = f"output {loop_iteration}"
            self._tasks[loop_iteration] = self._progress.add_task("", total=100, label=label)
        self._progress.update(self._tasks[loop_iteration], completed=percent, description=words)

    def _end_progress(self, loop_iteration: int) -> None:
        task = self._tasks.pop(loop_iteration, None)
        if self._progress is not None and task is not None:
            self._progress.remove_task(task)
            if not self._tasks:
                self.close()

    def _line(self, text: str, style: str, *, indent: str = _INDENT) -> None:
        self._end_line()
        # Text, not markup: what a learner writes in brackets stays text.
        self._console.print(Text(indent + text, style), soft_wrap=True)

    def _end_line(self) -> None:
        if self._line_open:
            self._console.print()
            self._line_open = False

    def _in_language(self, texts: Mapping[str, str]) -> str:
        return texts.get(self._language) or texts.get("en") or ""


def _language_of(item: ExecutionItem) -> str:
    language = json.loads(item.metadata_json or b"{}").get("language")
    return language if isinstance(language, str) else ""


def _queue_words(updated: event_pb2.QueueUpdated) -> str:
    if updated.position == 0:
        return "next in the queue"
    words = f"{updated.position} before it"
    if updated.HasField("estimate_duration"):
        words += f", about {updated.estimate_duration.ToNanoseconds() / 1e9:.0f} s"
    return words
