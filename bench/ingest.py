"""Items stored durably per second, through the front door, on both databases.

The reference, measured in the same run on the same disk, writes the same rows in the same batches
without gRPC, checks or chains: `executemany` on SQLite (`synchronous=FULL`), `COPY` on PostgreSQL,
one commit per batch. Ours sends batches over one record stream to a tracker in a process of its
own, as in a deployment, and counts what was acknowledged. PostgreSQL comes from its wheel.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import uuid_utils

from bench.figures import Figure, at_least
from bench.report import main
from servicekit.channel import open_channel
from tests.integration.tracker import Item, Process, Request, tracker_on
from tests.postgres import fresh_database, shared_server
from tracker_service.converters import read_item
from tracker_service.lifecycle import Execution
from tracker_service.recording import NewItem
from tracker_service.store import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BATCHES = (64, 512)
LEAST_SHARE = 0.5
ITEMS_PER_EXECUTION = 15
_NAMES = f"execution_key, position, {rows.ITEM_COLUMNS}"
_TYPES = {"item_id": "TEXT UNIQUE", "metadata": "TEXT", "content": "TEXT", "seal": "BLOB"}


def make_items(count: int) -> list[Item]:
    """Make runs of plausible items."""
    metadata = {"messages": [{"role": "user", "content": "Eine Blume auf der Wiese " * 8}]}
    items = []
    for number in range(count):
        place = number % ITEMS_PER_EXECUTION + 1
        if place == 1:
            execution_id = str(uuid_utils.uuid7())
        facts: Any = {"config_name": "dada", "user_id": "u", "session_id": "s"}
        item = Item(
            item_id=str(uuid_utils.uuid7()),
            execution_id=execution_id,
            epoch=1,
            sequence_number=place,
            item_type="pipeline_start" if place == 1 else "warning",
            content="Eine Blume tanzt über die Wiese und lacht. " * 4,
            model_used="ollama/gemma3",
            metadata_json=json.dumps(facts if place == 1 else metadata).encode(),
        )
        if place == ITEMS_PER_EXECUTION:
            item.item_type, item.stage = "pipeline_complete", 5
        item.occur_time.FromMicroseconds(time.time_ns() // 1000)
        items.append(item)
    return items


def batches_of(values: list[Any], size: int) -> list[list[Any]]:
    """Cut a list."""
    return [values[begin : begin + size] for begin in range(0, len(values), size)]


async def ours(count: int, size: int, url: str) -> float:
    """Return items per second through RecordItems."""
    requests = [Request(items=batch) for batch in batches_of(make_items(count), size)]

    async def stream() -> AsyncIterator[Request]:
        for request in requests:
            yield request

    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder), DATABASE_URL=url, FILES="false", LOG_LEVEL="ERROR")
        process.start()
        try:
            async with open_channel(process.address) as channel:
                await channel.channel_ready()
                stub = tracker_on(channel, Path(folder)).stub
                started = time.perf_counter()
                accepted = 0
                async for response in stub.RecordItems(stream()):
                    accepted += response.accepted_count
                seconds = time.perf_counter() - started
        finally:
            process.end(signal.SIGTERM)
    assert accepted == count
    return count / seconds


def bare_rows(count: int) -> list[tuple[Any, ...]]:
    """Return the same rows as the tracker stores."""
    owner = Execution(1, "e", 0, 0, 0)
    return [
        rows.item_values(NewItem(owner, n, read_item(item), bytes(32)))
        for n, item in enumerate(make_items(count), 1)
    ]


def bare_sqlite(count: int, size: int) -> float:
    """Return rows per second by `executemany`."""
    batches = batches_of(bare_rows(count), size)
    columns = ", ".join(f"{name} {_TYPES.get(name, '')}" for name in _NAMES.split(", "))
    marks = ", ".join("?" * len(_NAMES.split(", ")))
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bare.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"CREATE TABLE items ({columns})")
        started = time.perf_counter()
        for batch in batches:
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO items ({_NAMES}) VALUES ({marks})", batch)
            connection.execute("COMMIT")
        seconds = time.perf_counter() - started
        connection.close()
    return count / seconds


def bare_postgres(count: int, size: int) -> float:
    """Return rows per second by `COPY`, into a plain table with the same key."""
    batches = batches_of(bare_rows(count), size)
    with psycopg.connect(fresh_database(), autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (LIKE items INCLUDING INDEXES)")
        started = time.perf_counter()
        for batch in batches:
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY bare ({_NAMES}) FROM STDIN".encode()) as copy,
            ):
                for row in batch:
                    copy.write_row(row)
        return count / (time.perf_counter() - started)


def measure(kind: str, count: int, size: int) -> tuple[float, float]:
    """Return items per second of ours and of the reference, one after the other."""
    if kind == "SQLite":
        return asyncio.run(ours(count, size, "")), bare_sqlite(count, size)
    return asyncio.run(ours(count, size, fresh_database())), bare_postgres(count, size)


def figures(short: bool) -> Iterator[Figure]:
    """Measure both databases with both sizes of batch; figures are medians of the rounds."""
    count, rounds = (10_000, 1) if short else (30_000, 3)
    shared_server()
    for size in BATCHES:
        for kind in ("SQLite", "PostgreSQL"):
            pairs = [measure(kind, count, size) for _ in range(rounds)]
            mine, bare = (statistics.median(values) for values in zip(*pairs, strict=True))
            yield Figure(
                f"items stored durably, {kind}, {size} a batch",
                "items/s",
                mine,
                bare,
                (at_least(LEAST_SHARE, "ratio"),),
                more_is_better=True,
            )


if __name__ == "__main__":
    main("ingest", figures)
