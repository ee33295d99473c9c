"""`stellwerk audit`: who did what to the house itself; works on the file, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from servicekit.audit import read_audit
from stellwerk_cli.commands.up import DEFAULT_DATA
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.services import AUDIT_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FILE = Path(DEFAULT_DATA, AUDIT_NAME)


def audit(
    file: Annotated[
        Path,
        typer.Option("--file", envvar="STELLWERK_AUDIT_FILE", help="The log.", dir_okay=False),
    ] = DEFAULT_FILE,
    by: Annotated[str, typer.Option(help="Only what this user did.")] = "",
    act: Annotated[str, typer.Option(help="Only acts of this name, such as `EraseUser`.")] = "",
    since: Annotated[
        str, typer.Option(help="Only what was done at or after this time, such as `2026-11-20`.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """List administrative acts, oldest first, and say whether the log was changed.

    Each line is sealed over the one before. A line whose seal does not fit is named on stderr, and
    the exit code is 1.
    """
    broken = []
    try:
        for line in read_audit(file):
            if not line.intact:
                broken.append(line.number)
            if _is_wanted(line.content, by, act, since):
                said = line.content
                say(json.dumps(dict(said), ensure_ascii=False) if as_json else _row(said))
    except OSError as exc:
        complain(f"{file}: {exc.strerror}")
        raise typer.Exit(Exit.USAGE) from exc
    if broken:
        listed = ", ".join(map(str, broken[:10]))
        complain(f"{file}: {len(broken)} seals do not fit, lines {listed}: it was changed")
        raise typer.Exit(Exit.FAULTS)


def _is_wanted(content: Mapping[str, Any], by: str, act: str, since: str) -> bool:
    return bool(content) and (
        (not by or content.get("by") == by)
        and (not act or content.get("act") == act)
        and (not since or str(content.get("time", "")) >= since)
    )


def _row(content: Mapping[str, Any]) -> str:
    """Return a line for people: when, where, who, what, to what, and how it ended."""
    details = content.get("details") or {}
    what = " ".join(f"{name}={value}" for name, value in details.items())
    role = f" ({content['role']})" if content.get("role") else ""
    who = f"{content.get('by', '')}{role}"
    moment = str(content.get("time", ""))[:19].replace("T", " ")
    columns = f"{moment}  {content.get('service', ''):<12}  {who:<24}  {content.get('act', ''):<18}"
    return f"{columns}  {content.get('outcome', ''):<10}  {what}".rstrip()
