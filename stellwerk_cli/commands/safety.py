"""`stellwerk safety`: ask the policy itself, without a server.

A teacher who wonders why a text was refused, and an author of term lists, need to see what each
layer saw. The text stays on this machine.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from safety_service.explain import explain as explain_text
from safety_service.model import Decision, Direction
from safety_service.policy import SHIPPED_POLICIES, PolicyError
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import JsonOption, Level

if TYPE_CHECKING:
    from safety_service.explain import Explanation

app = typer.Typer(help="See what the safety policy sees.", no_args_is_help=True)

_COLOURS = {Decision.ALLOW: "green", Decision.BLOCK: "yellow", Decision.UNAVAILABLE: "red"}


@app.callback()
def safety() -> None:
    """See what the safety policy sees."""


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The text. `-` reads it from standard input.")],
    level: Annotated[Level, typer.Option(help="For whom it must be fit.")] = Level.KIDS,
    made_by_model: Annotated[
        bool, typer.Option("--output", help="Judge it as a model's text, not as a person's.")
    ] = False,
    policy: Annotated[
        Path, typer.Option(envvar="SAFETY_POLICY_DIR", file_okay=False, help="The policy's folder.")
    ] = SHIPPED_POLICIES,
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
    for words in (verdict.message.de, verdict.message.en):
        if words:
            say(f"  tells      {words}")
