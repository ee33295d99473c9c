"""What an export costs, beside a bare library writing the same rows from memory.

Every figure is taken in a process of its
own, so that its peak memory is its own. The export reads a SQLite store as the tracker does, shapes
records and writes the file; the reference has its rows in memory already.
"""

from __future__ import annotations

import asyncio
import csv
import json
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.apart import apart
from bench.figures import Figure, at_least, at_most, medians
from bench.report import main
from servicekit.collector import spare_collector
from tracker_service.access import EVERYTHING, Writer
from tracker_service.export.building import Progress, build_file, shaped_records
from tracker_service.export.facts import NAMES, rows_of
from tracker_service.export.formats import ExportFormat
from tracker_service.export.json_form import dump_line
from tracker_service.export.selection import ExportRequest, select
from tracker_service.export.shaping import Shape, Shaper
from tracker_service.export.stream import export_at_once
from tracker_service.export.writers import ExportNote
from tracker_service.items import ExecutionItem
from tracker_service.store.interface import Batch, ExecutionFilter
from tracker_service.store.sqlite import open_sqlite_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracker_service.export.facts import Row
    from tracker_service.items import MediaRef
    from tracker_service.records import ExecutionRecord
    from tracker_service.store.interface import Committed, Store

LENGTH = 15
SLICE = 2_000
"""Executions that the reference holds in memory at once."""
FORMATS = ("PARQUET", "CSV", "JSON_LINES", "ZIP")
ROUNDS = 3
SHARE = 0.4
PEAK_MB = 300.0
START_US = 1_763_000_000_000_000
TEXT = "Eine Blume auf der Wiese, gesehen durch ein Prisma aus Papier und Lärm. " * 5
METADATA = json.dumps(
    {"width": 512, "height": 512, "seed": 2**63 + 5, "cfg_scale": 7.5, "steps": 20, "loras": []}
)


Values = dict[str, float]


class Stopwatch:
    """Measures time by the clock and time of the processor, which neighbours disturb less."""

    def __init__(self) -> None:
        """Begin at zero, stopped."""
        self._clock = self._processor = 0.0

    def start(self) -> None:
        """Go on."""
        self._clock -= time.perf_counter()
        self._processor -= time.process_time()

    def stop(self) -> None:
        """Pause."""
        self._clock += time.perf_counter()
        self._processor += time.process_time()

    def read(self) -> dict[str, float]:
        """Return the seconds of both kinds."""
        return {"seconds": self._clock, "processor_seconds": self._processor}


class NoMedia:
    """The rows of this benchmark have no files."""

    async def save(self, media: MediaRef, to: Path) -> bool:
        """Have none."""
        return False


def items_of(number: int) -> list[ExecutionItem]:
    """Return the items of one execution."""
    execution_id = f"0190f1c2-7a11-7000-8000-{number:012x}"
    start = {"config_name": "dada", "safety_level": "kids", "user_id": f"u{number % 300}"}
    items = []
    for place in range(1, LENGTH + 1):
        content: str | None = TEXT
        kind, stage, metadata = "interception_iteration", 2, METADATA
        if place == 1:
            kind, stage, metadata, content = "pipeline_start", 0, json.dumps(start), None
        elif place == LENGTH:
            kind, stage, metadata, content = "pipeline_complete", 5, "{}", None
        items.append(
            ExecutionItem(
                item_id=f"0190f1c2-7a11-7{place:03x}-8000-{number:012x}",
                execution_id=execution_id,
                epoch=1,
                sequence_number=place,
                occur_time_us=START_US + number * 1_000_000 + place,
                stage=stage,
                stage_iteration=place if stage == 2 else None,
                loop_iteration=None,
                media_type="text",
                item_type=kind,
                content=content,
                media=None,
                config_used="dada",
                model_used="embedded/gemma3-270m",
                backend_used="embedded",
                backend_job_id="",
                run_duration_us=250_000,
                metadata_json=metadata,
            )
        )
    return items


async def fill(path: Path, executions: int) -> None:
    """Store `executions` whole executions."""
    store = await opened(path)
    writer = Writer(trusted=True, user_id="bench", session_id="", group_id="")
    for begin in range(0, executions, 100):
        numbers = range(begin, min(begin + 100, executions))
        items = [item for number in numbers for item in items_of(number)]
        await store.record(Batch(writer=writer, items=list(enumerate(items))))
    await store.close()


async def opened(path: Path) -> Any:
    """Open the store."""

    def ignored(_: Committed) -> None:
        """Nobody waits for commits here."""

    return await open_sqlite_store(path, lease_seconds=30, on_commit=ignored, synchronous="NORMAL")


# --- the export ----------------------------------------------------------------------------------


async def export(form: ExportFormat, database: Path, folder: Path) -> Values:
    """Export everything to a file and measure it."""
    store = await opened(database)
    request = ExportRequest(form, (), ExecutionFilter(), EVERYTHING, "", Shape())
    path = folder / "export"
    watch = Stopwatch()
    watch.start()
    if form.value.at_once:
        with path.open("wb") as file:
            async for chunk in export_at_once(store, request, Shaper(Shape(), b"")):
                file.write(chunk.data)
    else:
        selection = await select(store, request)
        records = shaped_records(selection, await store.last_key(), Shaper(Shape(), b""))
        note = ExportNote(START_US, {}, "bench")
        await build_file(form, records, NoMedia(), path, note, Progress())
    watch.stop()
    await store.close()
    return {**watch.read(), "peak_mb": peak_mb()}


# --- the reference -------------------------------------------------------------------------------


async def reference(form: ExportFormat, database: Path, folder: Path) -> Values:
    """Write the same rows with the bare library; only the writing is timed."""
    store = await opened(database)
    write, close = _bare_writer(form, folder / "reference")
    watch = Stopwatch()
    async for records in _slices(store):
        prepared = _prepared(form, records)
        watch.start()
        write(prepared)
        watch.stop()
    watch.start()
    close()
    watch.stop()
    await store.close()
    return {**watch.read(), "peak_mb": peak_mb()}


async def _slices(store: Store) -> Any:
    key, until = 0, await store.last_key()
    records: list[ExecutionRecord] = []
    while found := await store.records_after(ExecutionFilter(), EVERYTHING, key, until):
        key = found[-1].key
        records += [one.record for one in found]
        if len(records) >= SLICE:
            yield records
            records = []
    if records:
        yield records


def _prepared(form: ExportFormat, records: list[ExecutionRecord]) -> Any:
    """Return what the library is given: rows for tables, JSON values for lines and ZIP."""
    if form in (ExportFormat.CSV, ExportFormat.PARQUET):
        rows: list[Row] = [row for record in records for row in rows_of(record)]
        return list(zip(*rows, strict=True)) if form is ExportFormat.PARQUET else rows
    return [json.loads(dump_line(record)) for record in records]


def _bare_writer(
    form: ExportFormat, path: Path
) -> tuple[Callable[[Any], object], Callable[[], object]]:
    if form is ExportFormat.PARQUET:
        return _bare_parquet(path)
    if form is ExportFormat.ZIP:
        archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)

        def add(values: list[Any]) -> None:
            for value in values:
                text = json.dumps(value, ensure_ascii=False, indent=2)
                archive.writestr(f"records/dada/{value['execution_id']}.json", text)

        return add, archive.close
    file = path.open("w", encoding="utf-8", newline="")
    if form is ExportFormat.CSV:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        return writer.writerows, file.close
    return lambda values: file.writelines(_lines(values)), file.close


def _lines(values: list[Any]) -> Iterator[str]:
    for value in values:
        yield json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _bare_parquet(path: Path) -> tuple[Callable[[Any], object], Callable[[], object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tracker_service.export.parquet_file import SCHEMA

    writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def write(columns: Any) -> None:
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)
        ]
        writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))

    return write, writer.close


# --- running -------------------------------------------------------------------------------------


def peak_mb() -> float:
    """Return the most memory that this process had, in MB.

    Not from `getrusage`, which begins with the peak of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def measure(what: str, form: str, database: Path) -> Values:
    """Measure one way to write a format; call it in a process of its own."""
    spare_collector()
    work = export if what == "export" else reference
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(work(ExportFormat[form], database, Path(folder)))


def figures(short: bool) -> Iterator[Figure]:
    """Measure all formats; ours and the reference take turns."""
    executions = (100_000 if short else 1_000_000) // LENGTH
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "tracker.sqlite3"
        asyncio.run(fill(database, executions))
        for form in FORMATS:
            rounds: dict[str, list[Values]] = {"export": [], "reference": []}
            for _ in range(1 if short else ROUNDS):
                for what, values in rounds.items():
                    values.append(apart(measure, what, form, database))
            yield from beside(form, executions * LENGTH, *map(medians, rounds.values()))


def beside(form: str, items: int, ours: Values, bare: Values) -> Iterator[Figure]:
    """Return the figures of a format."""
    name = f"export of {items:,} items, {form.lower().replace('_', ' ')}"
    goals = (at_least(SHARE, "ratio"),)
    rates = items / ours["seconds"], items / bare["seconds"]
    yield Figure(name, "items/s", *rates, goals, more_is_better=True)
    rates = items / ours["processor_seconds"], items / bare["processor_seconds"]
    yield Figure(f"{name}, CPU", "items/s", *rates, more_is_better=True)
    yield Figure(f"{name}, memory", "MB", ours["peak_mb"], goals=(at_most(PEAK_MB),))


if __name__ == "__main__":
    main("export", figures)
