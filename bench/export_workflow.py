"""Whether histories and figures of export workflows stay quick when there are very many.

The first 1 000 workflows go through the store, each with all three stages; the others are copies of
them, of other people, but that one in three always belongs to one busy person. Then a tracker
serves them, and what is measured is whole calls over gRPC. The reference is the same tracker with
1 000 of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figures import Figure, at_most
from bench.lists import SLOWER, Database, elapsed_ms
from bench.report import main
from servicekit.channel import open_channel
from servicekit.principals import Role, identity_metadata
from servicekit.server import start_server
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import ExportWorkflowServiceStub
from tests.unit.tracker_service.export_workflow.workflows import (
    make_delivery,
    make_edit,
    make_initial,
    make_workflow,
)
from tracker_service.export_workflow import rules
from tracker_service.service import registration
from tracker_service.settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import (
        ExportWorkflowServiceAsyncStub,
    )
    from tracker_service.store.interface import Store

Metadata = tuple[tuple[str, str], ...]

UNIT = 1000
"""Workflows that are stored one by one; more are copies of these."""
ROUNDS = 200
AT_ONCE = 64
DAYS = 30
SECOND_US = 1_000_000
FORMATS = ["json", "csv", "xlsx", "pdf", "docx", "markdown", "html"]
FIELDS = [f"field{number}" for number in range(200)]
BUSY = "busy"


async def store_one(store: Store, number: int, now_us: int) -> None:
    """Store a workflow of the last days, with an edit and a deliverable."""
    choice = random.Random(number)
    owner = BUSY if number % 3 == 0 else f"person{choice.randrange(1000)}"
    start_us = now_us - choice.randrange(DAYS * 86_400) * SECOND_US
    data = {name: choice.random() for name in choice.sample(FIELDS, 20)}
    edited = data | {name: "corrected" for name in choice.sample(sorted(data), 3)}
    workflow = await store.workflows.create(
        make_workflow(start_us, owner, document_id=f"d{number % 1000}"),
        make_initial(start_us, data),
        (),
    )
    edit = make_edit(workflow, data, edited, start_us + 60 * SECOND_US)
    changed = rules.after(workflow, edit, now_us)
    workflow = await store.workflows.append(workflow, changed, edit)
    file = b"x" * 1000
    delivery = make_delivery(workflow, file, start_us + 90 * SECOND_US, choice.choice(FORMATS))
    changed = rules.after(workflow, delivery, now_us)
    await store.workflows.append(workflow, changed, delivery, file)


async def fill(store: Store) -> None:
    """Store the first workflows, many at once."""
    now_us = time.time_ns() // 1000
    numbers = iter(range(UNIT))

    async def work() -> None:
        for number in numbers:
            await store_one(store, number, now_us)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def multiply(database: Database, count: int) -> None:
    """Copy workflows, their records and their figures until there are `count` of them."""
    copies = count // UNIT
    with contextlib.closing(database.connect()) as connection:
        for number in range(1, copies):
            for statement in copying(number):
                connection.execute(statement)
        connection.execute(
            f"UPDATE export_tallies SET tally = tally * {copies}, total = total * {copies} "
            f"WHERE owner IN ('', '{BUSY}')"
        )
        connection.commit()


def copying(number: int) -> list[str]:
    """Return the statements that make a copy of the first workflows."""
    owner = f"CASE owner WHEN '{BUSY}' THEN owner ELSE owner || '-{number}' END"
    shift_us = number * 7 * SECOND_US
    columns = (
        "status, update_time_us, document_type, language, is_foreign, modification_version, "
        "deliverable_count, document_template, file_format, deliverable, ai_processing_accuracy"
    )
    return [
        "INSERT INTO export_workflows (key, export_workflow_id, document_id, owner, "
        f"create_time_us, {columns}) SELECT key + {number * UNIT}, "
        f"export_workflow_id || '-{number}', document_id || '-{number}', {owner}, "
        f"create_time_us - {shift_us}, {columns} FROM export_workflows WHERE key <= {UNIT}",
        "INSERT INTO export_stages (workflow_key, stage, version, record_id, create_time_us, "
        f"digest, content, data) SELECT workflow_key + {number * UNIT}, stage, version, record_id, "
        f"create_time_us, digest, content, data FROM export_stages WHERE workflow_key <= {UNIT}",
        "INSERT INTO export_tallies (owner, day, kind, name, tally, total) "
        f"SELECT owner || '-{number}', day, kind, name, tally, total FROM export_tallies "
        f"WHERE owner NOT IN ('', '{BUSY}') AND owner NOT LIKE '%-%'",
    ]


def questions(stub: ExportWorkflowServiceAsyncStub) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what is asked: by the busy person, and by an admin who sees all."""
    busy = tuple(identity_metadata(user=BUSY, role=Role.RESEARCHER))

    def history(who: Metadata = (), **wanted: Any) -> Callable[[], Awaitable[object]]:
        request = pb.ListExportHistoryRequest(**wanted)
        return lambda: stub.ListExportHistory(request, metadata=who)

    request = pb.GetExportInsightsRequest()
    return {
        "history_own": history(busy),
        "history_all": history(),
        "history_by_format": history(busy, file_format="pdf"),
        "history_by_rare_document": history(busy, document_id="d7"),
        "history_of_nothing": history(busy, document_template="none"),
        "insights_own": lambda: stub.GetExportInsights(request, metadata=busy),
        "insights_all": lambda: stub.GetExportInsights(request),
    }


async def measure(database: Database, folder: Path, count: int) -> dict[str, float]:
    """Return the median of each question, in milliseconds."""
    async with database.opened() as store:
        await fill(store)
    if count > UNIT:
        await asyncio.to_thread(multiply, database, count)
    settings = TrackerSettings(
        listen_address="127.0.0.1:0", data_dir=folder, database_url=database.url
    )
    async with (
        start_server(settings, registration(settings)) as server,
        open_channel(server.address) as channel,
    ):
        stub: ExportWorkflowServiceAsyncStub = ExportWorkflowServiceStub(channel)
        return {
            name: statistics.median([await elapsed_ms(ask) for _ in range(ROUNDS)])
            for name, ask in questions(stub).items()
        }


def figures(short: bool) -> Iterator[Figure]:
    """Measure the first workflows, then many more, in a SQLite file and in a PostgreSQL."""
    many = 10_000 if short else 100_000
    for kind, name in {"sqlite": "SQLite", "postgres": "PostgreSQL"}.items():
        few_ms, many_ms = (measured(kind, count) for count in (UNIT, many))
        for question, ms in many_ms.items():
            what = f"{question.replace('_', ' ')}, {name}, {many:,} workflows, p50"
            yield Figure(what, "ms", ms, few_ms[question], (at_most(SLOWER, "ratio"),))


def measured(kind: str, count: int) -> dict[str, float]:
    """Return the median of each question to a fresh tracker, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Database(kind, Path(folder)), Path(folder), count))


if __name__ == "__main__":
    main("export_workflow", figures)
