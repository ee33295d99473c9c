"""`stellwerk safety`: ask the policy itself, without a server.

A teacher who wonders why a text was refused, and an author of term lists, need to see what each
layer saw. The text stays on this machine.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safety_service.explain import explain as explain_text
from safety_service.jury import Jury
from safety_service.model import Decision, Direction
from safety_service.model import Level as JudgedLevel
from safety_service.policy import SHIPPED_POLICIES, PolicyError
from safety_service.report import LabelledFileError, files_in, summarise
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import JsonOption, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safety_service.explain import Explanation
    from safety_service.report import FileReport, Judged, Share

app = typer.Typer(help="See what the safety policy sees.", no_args_is_help=True)

_COLOURS = {Decision.ALLOW: "green", Decision.BLOCK: "yellow", Decision.UNAVAILABLE: "red"}

_MOST_NAMED = 5  # faulty lines of a file

_PolicyOption = Annotated[
    Path, typer.Option(envvar="SAFETY_POLICY_DIR", file_okay=False, help="The policy's folder.")
]
_LevelOption = Annotated[Level, typer.Option(help="For whom it must be fit.")]


@app.callback()
def safety() -> None:
    """See what the safety policy sees."""


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The text. `-` reads it from standard input.")],
    level: _LevelOption = Level.KIDS,
    made_by_model: Annotated[
        bool, typer.Option("--output", help="Judge it as a model's text, not as a person's.")
    ] = False,
    policy: _PolicyOption = SHIPPED_POLICIES,
    as_json: JsonOption = False,
) -> None:
    """Show the verdict on a text and what each layer saw, without a server."""
    text = sys.stdin.read().rstrip("\n") if text == "-" else text
    direction = Direction.OUTPUT if made_by_model else Direction.INPUT
    try:
        explanation = explain_text(text, level.value, direction=direction, policy_dir=policy)
    except PolicyError as exc:
        complain(str(exc))
        raise typer.Exit(Exit.FAULTS) from exc
    if as_json:
        say(json.dumps(asdict(explanation), ensure_ascii=False))
    else:
        _show(explanation)


@app.command()
def report(
    path: Annotated[
        Path, typer.Argument(help="A file of JSON Lines {text, lang, label}, or a folder of them.")
    ],
    level: _LevelOption = Level.KIDS,
    policy: _PolicyOption = SHIPPED_POLICIES,
    as_json: JsonOption = False,
) -> None:
    """Print for each file which share of its texts is blocked, by which layer, and how fast.

    Lines that are no such object are left out and named on the error output.
    """
    files = _files(path)
    jury = _jury(policy, level)
    for file in files:
        faults: list[LabelledFileError] = []
        judged = _judged(file, jury, faults.append)
        _tell_left_out(faults, rows=len(judged))
        summary = summarise(str(file), judged)
        if as_json:
            say(json.dumps(_as_object(summary), ensure_ascii=False))
        else:
            _show_report(summary)


@app.command()
def test(
    file: Annotated[
        Path, typer.Argument(help="A file of JSON Lines {text, lang, label}, or a folder of them.")
    ],
    level: _LevelOption = Level.KIDS,
    policy: _PolicyOption = SHIPPED_POLICIES,
    as_json: JsonOption = False,
) -> None:
    """Name each text that is not judged as its label (harmful, benign) says."""
    files = _files(file)
    jury = _jury(policy, level)
    wrong = total = 0
    for path in files:
        for judged in _judged(path, jury):
            total += 1
            if not judged.as_labelled:
                wrong += 1
                _show_wrong(path, judged, as_json=as_json)
    if not as_json:
        say(f"{total - wrong} of {total} as labelled")
    if wrong:
        raise typer.Exit(Exit.FAULTS)


def _jury(policy: Path, level: Level) -> Jury:
    try:
        return Jury(policy, JudgedLevel(level.value))
    except PolicyError as exc:
        complain(str(exc))
        raise typer.Exit(Exit.FAULTS) from exc


def _files(path: Path) -> list[Path]:
    files = files_in(path)
    if not files:
        complain(f"{path}: holds no .jsonl file")
        raise typer.Exit(Exit.USAGE)
    return files


def _judged(
    path: Path,
    jury: Jury,
    left_out: Callable[[LabelledFileError], None] | None = None,
) -> list[Judged]:
    try:
        return jury.judge(path, left_out)
    except LabelledFileError as exc:
        complain(str(exc))
        raise typer.Exit(Exit.USAGE) from exc


def _tell_left_out(faults: Sequence[LabelledFileError], *, rows: int) -> None:
    """Name the lines that were left out, the first few; a file of nothing else is a wrong file."""
    for fault in faults[:_MOST_NAMED]:
        complain(str(fault))
    if len(faults) > _MOST_NAMED:
        complain(f"{len(faults) - _MOST_NAMED} more lines are left out for such reasons")
    if faults and not rows:
        raise typer.Exit(Exit.USAGE)


def _as_object(summary: FileReport) -> dict[str, object]:
    median, late = summary.latency_us
    return {
        "file": summary.file,
        "rows": summary.blocked.total,
        "blocked_share": summary.blocked.value,
        "unavailable_share": summary.unavailable.value,
        "interval": list(summary.blocked.interval),
        "latency_us": {"p50": median, "p95": late},
    }


def _show_report(summary: FileReport) -> None:
    median, late = summary.latency_us
    say(
        f"{summary.file}: {summary.blocked.total} texts, blocked {_percent(summary.blocked)}, "
        f"unavailable {summary.unavailable.value:.1%}, p50 {median:.0f} µs, p95 {late:.0f} µs"
    )
    if len(summary.by_label) > 1:
        for label, share in summary.by_label.items():
            say(f"  {label or 'no label'}: {share.total} texts, blocked {_percent(share)}")
    for layer, share in summary.by_layer.items():
        say(f"  layer {layer}: {share.value:.1%}")


def _percent(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%} to {high:.1%})"


def _show_wrong(path: Path, judged: Judged, *, as_json: bool) -> None:
    reasons = [f"{r.category} {r.entry_id or f'{r.score:.2f}'}" for r in judged.verdict.reasons]
    decision, row = judged.verdict.decision, judged.row
    if as_json:
        found = {"file": str(path), "line": judged.line, "text": row.text, "label": row.label}
        say(json.dumps(found | {"decision": decision, "reasons": reasons}, ensure_ascii=False))
    else:
        because = f" ({', '.join(reasons)})" if reasons else ""
        say(f"{path}:{judged.line}: {decision}{because}, but {row.label or 'harmless'}: {row.text}")


def _show(explanation: Explanation) -> None:
    verdict = explanation.verdict
    say(
        typer.style(verdict.decision.name, fg=_COLOURS[verdict.decision], bold=True)
        + f"  level {verdict.level}, policy {verdict.policy_version[:12]}"
    )
    for reading in explanation.readings:
        say(f"  read as    {reading}")
    for check in verdict.checks:
        detail = f" ({check.detail})" if check.detail else ""
        say(
            f"  layer {check.layer}    {check.name}: {check.outcome}{detail}, "
            f"{check.duration_seconds * 1e6:.0f} µs"
        )
    for term in explanation.terms:
        excuse = "" if term.counts else f"; does not count: {term.why_not}"
        say(f"  found      „{term.text}“ ({term.category}, {term.entry_id}{excuse})")
    if judged := explanation.judgement:
        share = f"{judged.known:.0%} of the words known"
        say(f"  judged     {judged.category} {judged.score:.2f}, {share}")
    for words in (verdict.message.de, verdict.message.en):
        if words:
            say(f"  tells      {words}")
