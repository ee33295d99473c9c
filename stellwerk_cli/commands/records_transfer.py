"""`stellwerk records export` and `import`: take records away, and bring some."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from stellwerk.tracker.v1 import export_service_pb2 as pb
from stellwerk.tracker.v1.execution_pb2 import ExecutionState
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.plain import plain_message
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


class State(StrEnum):
    """States to filter by."""

    RUNNING = "running"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


_FORMATS = {
    form: pb.ExportFormat.Value(f"EXPORT_FORMAT_{form.name}")
    for form in Format
    if form is not Format.JSONL
} | {Format.JSONL: pb.EXPORT_FORMAT_JSON_LINES}
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def export(
    to: Annotated[
        Path, typer.Option(dir_okay=False, allow_dash=True, help="The file; `-`: standard output.")
    ],
    execution_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="The executions. None: all that match."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Form of the file.")] = Format.JSON,
    config: Annotated[str, typer.Option(help="Only of this config.")] = "",
    session: Annotated[str, typer.Option(help="Only of this session.")] = "",
    user: Annotated[str, typer.Option(help="Only of this pseudonym.")] = "",
    state: Annotated[list[State] | None, typer.Option(help="Only so ended; repeatable.")] = None,
    only_completed: Annotated[
        bool, typer.Option("--only-completed", help="Only those that ended with an output.")
    ] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="Started at or after this time, UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="Started before this time, UTC.")
    ] = None,
    pseudonymise: Annotated[
        bool, typer.Option("--pseudonymise", help="Show people, sessions, groups as keyed hashes.")
    ] = False,
    drop_media: Annotated[bool, typer.Option("--drop-media", help="Without files.")] = False,
    drop_text: Annotated[
        bool, typer.Option("--drop-text", help="Without texts of people and models.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Write records to a file, all or none; a broken export goes on when asked for again."""
    states = {*(state or []), *([State.COMPLETED] if only_completed else [])}
    request = pb.ExportExecutionsRequest(
        format=_FORMATS[form],
        execution_ids=execution_ids or [],
        config_name=config,
        session_id=session,
        user_id=user,
        states=[ExecutionState.Value(f"EXECUTION_STATE_{one.name}") for one in sorted(states)],
        pseudonymise=pseudonymise,
        drop_media=drop_media,
        drop_text=drop_text,
    )
    if since is not None:
        request.start_time_from.FromDatetime(since.replace(tzinfo=UTC))
    if until is not None:
        request.start_time_before.FromDatetime(until.replace(tzinfo=UTC))

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            if str(to) == "-":
                async for chunk in client.export_chunks(request):
                    sys.stdout.buffer.write(chunk.data)
                return Exit.OK
            with _progress("exporting") as bar:
                size = await client.export_records(request, to, bar.arrived)
        say(f"{size:,} bytes: {to.resolve()}")
        return Exit.OK

    run_remote(work, server=server, as_json=False)


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
            with _one_file(path) as file, _progress("importing") as bar:
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


class _Bar:
    """A progress bar of a transfer."""

    def __init__(self, progress: Progress, task: TaskID, what: str) -> None:
        """Move `task` of `progress`."""
        self._progress = progress
        self._task = task
        self._what = what
        self._done = 0
        self.total = 0

    def arrived(self, chunk: pb.ExportExecutionsResponse) -> None:
        """A chunk of an export is written."""
        self._done += len(chunk.data)
        told = f"{chunk.record_count} records" if chunk.record_count else self._what
        self._progress.update(
            self._task, completed=self._done, total=chunk.size_bytes or None, description=told
        )

    def sent(self, size_bytes: int) -> None:
        """So much of a file is sent."""
        told = "storing" if size_bytes == self.total else self._what
        self._progress.update(self._task, completed=size_bytes, total=self.total, description=told)


@contextmanager
def _progress(what: str) -> Iterator[_Bar]:
    """Draw a bar on a person's screen; a log or a script gets none."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield _Bar(progress, progress.add_task(what, total=None), what)
