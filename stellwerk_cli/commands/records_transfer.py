"""`stellwerk records export` and `import`: take records away, and bring some."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.plain import plain_message
from stellwerk.tracker.v1 import export_service_pb2 as pb
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.progress import transfer_bar
from stellwerk_cli.record_options import (
    ConfigFilter,
    SessionFilter,
    SinceFilter,
    State,
    StateFilter,
    UntilFilter,
    UserFilter,
    set_time,
    state_numbers,
)
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from collections.abc import Iterator


class Format(StrEnum):
    """Forms of an export."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    PDF = "pdf"
    ZIP = "zip"
    RO_CRATE = "ro-crate"
    PROV_JSON = "prov-json"


_FORMATS = {
    form: pb.ExportFormat.Value(f"EXPORT_FORMAT_{form.name}")
    for form in Format
    if form is not Format.JSONL
} | {Format.JSONL: pb.EXPORT_FORMAT_JSON_LINES}

OnlyCompletedOption = Annotated[
    bool, typer.Option("--only-completed", help="Only those that ended with an output.")
]
PseudonymiseOption = Annotated[
    bool, typer.Option("--pseudonymise", help="Show people, sessions, groups as keyed hashes.")
]
DropTextOption = Annotated[
    bool, typer.Option("--drop-text", help="Without texts of people and models.")
]


def export(
    to: Annotated[
        Path, typer.Option(dir_okay=False, allow_dash=True, help="The file; `-`: standard output.")
    ],
    execution_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="The executions. None: all that match."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Form of the file.")] = Format.JSON,
    config: ConfigFilter = "",
    session: SessionFilter = "",
    user: UserFilter = "",
    state: StateFilter = None,
    only_completed: OnlyCompletedOption = False,
    since: SinceFilter = None,
    until: UntilFilter = None,
    pseudonymise: PseudonymiseOption = False,
    drop_media: Annotated[bool, typer.Option("--drop-media", help="Without files.")] = False,
    drop_text: DropTextOption = False,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Write records to a file, all or none; a broken export goes on when asked for again."""
    request = pb.ExportExecutionsRequest(
        format=_FORMATS[form],
        execution_ids=execution_ids or [],
        config_name=config,
        session_id=session,
        user_id=user,
        states=state_numbers([*(state or []), *([State.COMPLETED] if only_completed else [])]),
        pseudonymise=pseudonymise,
        drop_media=drop_media,
        drop_text=drop_text,
    )
    set_time(request.start_time_from, since)
    set_time(request.start_time_before, until)
    client = StellwerkClient(server, api_key=api_key)
    file = None if str(to) == "-" else to.resolve()
    run_remote(
        partial(_export, request, file, client, as_json=as_json), server=server, as_json=as_json
    )


async def _export(
    request: pb.ExportExecutionsRequest, to: Path | None, client: StellwerkClient, *, as_json: bool
) -> Exit:
    async with client:
        if to is None:
            async for chunk in client.export_chunks(request):
                sys.stdout.buffer.write(chunk.data)
            return Exit.OK
        with transfer_bar("exporting") as bar:
            size = await client.export_records(request, to, bar.arrived)
    if as_json:
        say(json.dumps({"path": str(to), "size_bytes": size}))
    else:
        say(f"{size:,} bytes: {to}")
    return Exit.OK


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            exists=True, help="A JSON, JSON Lines or ZIP file, or a folder with records or runs."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Bring records from elsewhere; repeating it stores nothing twice, originals stay."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            with _one_file(path) as file, transfer_bar("importing") as bar:
                bar.total = file.stat().st_size
                report = await client.import_records(
                    file, filename=path.name, dry_run=dry_run, on_sent=bar.sent
                )
        if as_json:
            say(json.dumps(plain_message(report), ensure_ascii=False))
        else:
            _tell(report)
        return Exit.FAULTS if report.skipped_count else Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _tell(report: pb.ImportExecutionsResponse) -> None:
    done = "would be imported" if report.dry_run else "imported"
    say(
        f"{report.read_count} records read: {report.imported_count} {done} "
        f"({report.item_count} items, {report.media_count} files), "
        f"{report.present_count} were there already, {report.skipped_count} skipped"
    )
    for one in report.warnings:
        say(f"  warning {one.reason}: {one.subject}{f' ({one.count} times)' * (one.count > 1)}")
    for entry in report.skipped:
        complain(f"{entry.source}: {entry.message} ({entry.reason})")
    if report.skipped_count > len(report.skipped):
        complain(f"… and {report.skipped_count - len(report.skipped)} more")


@contextmanager
def _one_file(path: Path) -> Iterator[Path]:
    """Give a file as it is, and a folder as a ZIP that is removed again."""
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="stellwerk-import-") as folder:
        packed = Path(folder) / "folder.zip"
        with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
            for file in sorted(path.rglob("*")):
                # Links could lead anywhere; what they lead to belongs to somebody else.
                if file.is_file() and not file.is_symlink():
                    archive.write(file, file.relative_to(path.parent))
        yield packed
