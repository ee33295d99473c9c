"""`stellwerk verify`: who made a file with what, if its mark can be believed. Works offline."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from generation_service.media.provenance import (
    Provenance,
    ReaderMissingError,
    Verdict,
    read_provenance,
)
from stellwerk_cli.commands.up import DEFAULT_DATA
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import JsonOption  # noqa: TC001 - typer reads the annotations
from stellwerk_cli.outputs import mark_path

MAX_BYTES = 1024 * 1024 * 1024
_AUTHORITY = Path("marking/authority.pem")
_SOURCES = {
    "trainedAlgorithmicMedia": "made by a machine: a model that was trained on samples",
    "compositeWithTrainedAlgorithmicMedia": "made by a machine from something that a person "
    "brought: a model that was trained on samples",
    "algorithmicMedia": "made by a machine by rules alone: nothing was trained",
    "composite": "made by a machine by rules alone, from something that a person brought",
}
_VERDICTS = {
    Verdict.TRUSTED: "unchanged since {signer} marked it",
    Verdict.UNKNOWN_SIGNER: "unchanged since it was marked",
    Verdict.CHANGED: "changed after it was marked, or the mark is not genuine; believe none of it",
    Verdict.UNMARKED: "no mark: nothing can be said about who made it",
}


def verify(
    file: Annotated[Path, typer.Argument(help="A picture, sound, film or model.", dir_okay=False)],
    manifest: Annotated[
        Path | None,
        typer.Option(help="Mark that is kept beside the file. Default: FILE.c2pa, if it is there."),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option(
            help="Certificate of whom to believe (PEM), such as the `marking/authority.pem` of a "
            "deployment."
        ),
    ] = None,
    data: Annotated[
        Path, typer.Option(help="The data folder of `up`, whose own marks are known.")
    ] = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Say who made a file with what, and whether it was changed since; exit code 1 if it was, or
    if it has no mark.
    """
    beside = manifest or _found(mark_path(file))
    told = _told(file, beside, authority or _found(data / _AUTHORITY))
    if as_json:
        say(json.dumps(asdict(told), ensure_ascii=False))
    else:
        for line in _lines(file, told):
            say(line)
    if told.verdict in (Verdict.CHANGED, Verdict.UNMARKED):
        raise typer.Exit(Exit.FAULTS)


def _told(file: Path, beside: Path | None, known: Path | None) -> Provenance:
    try:
        return read_provenance(
            _read(file),
            manifest=_read(beside) if beside else None,
            authorities=_read(known) if known else b"",
        )
    except ReaderMissingError as exc:
        complain("Marks cannot be read here: pip install 'stellwerk[c2pa]'.")
        raise typer.Exit(Exit.USAGE) from exc
    except ValueError as exc:
        complain(f"{known} holds no certificates in PEM.")
        raise typer.Exit(Exit.USAGE) from exc


def _found(path: Path) -> Path | None:
    return path if path.is_file() else None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            complain(f"{path} is larger than {MAX_BYTES // 1024**2} MiB.")
            raise typer.Exit(Exit.USAGE)
        return path.read_bytes()
    except OSError as exc:
        complain(f"{path} cannot be read: {exc.strerror}.")
        raise typer.Exit(Exit.USAGE) from exc


def _lines(file: Path, told: Provenance) -> list[str]:
    signer = _plain(told.signer) or "somebody without a name"
    lines = [f"{file.name}: {_VERDICTS[told.verdict].format(signer=signer)}"]
    if told.verdict is Verdict.UNMARKED:
        return lines
    if told.faults:
        lines.append(_row("faults", ", ".join(told.faults)))
    if told.source_type:
        lines.append(_row("how", _SOURCES.get(told.source_type, told.source_type)))
    lines += [_row(name, value) for name, value in _facts(told) if value]
    if told.verdict is Verdict.UNKNOWN_SIGNER:
        lines.append(
            _row("marked by", f"{signer}, as they call themselves: unknown here (--authority)")
        )
    elif told.verdict is Verdict.TRUSTED:
        lines.append(_row("marked by", f"{signer}, with {told.signed_with}"))
    return lines


def _facts(told: Provenance) -> list[tuple[str, str]]:
    making = told.making or {}
    return [
        ("by", told.agent),
        ("model", making.get("model", "")),
        ("config", making.get("output_config", "")),
        ("when", told.made_at),
        ("execution", making.get("execution_id", "")),
        ("sha256", making.get("sha256", "") and f"{making['sha256']} (without the mark)"),
    ]


def _row(name: str, value: str) -> str:
    return f"  {name:<10} {_plain(value)}"


def _plain(text: str) -> str:
    """A text of a stranger's file, without what would move a terminal's cursor."""
    return "".join(c for c in text if c.isprintable())[:200]
