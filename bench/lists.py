"""Whether lists, searches and watching stay as fast when there is much more to look through.

The reference is another store with 10 000 executions, asked in turn with the first. Executions have
few items, since a list never reads them; times are medians over repeated questions, in
milliseconds, without gRPC. The first 10 000 executions are recorded, the others are copies of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench.figures import Figure, at_most
from bench.multiplying import multiply
from bench.report import main
from tests.postgres import fresh_database
from tests.unit.tracker_service.builders import SECOND_US, SERVICE, make_item, make_start
from tracker_service.access import EVERYTHING, Audience
from tracker_service.records import ExecutionState
from tracker_service.store.interface import Batch, ExecutionFilter
from tracker_service.store.postgres import open_postgres_store
from tracker_service.store.sqlite import open_sqlite_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tracker_service.items import ExecutionItem
    from tracker_service.store.interface import Committed, Store

ROUNDS = 200
MOST_SECONDS = 6.0
"""Time after which a question is not repeated any more."""
UNIT = 10_000
"""Executions that are recorded; more are copies of these."""
PER_BATCH = 1000
SLOWER = 1.5
WORDS = ["rot", "blau", "grün", "Blume", "Haus", "Wind", "Wasser", "Katze", "Stern", "Traum"]
CONFIGS = [f"config{number}" for number in range(30)]


def run_of(number: int) -> list[ExecutionItem]:
    """Make a short run; one in a hundred has a rare word and a rare model."""
    choice = random.Random(number)
    rare = number % 100 == 7
    text = " ".join(choice.choices(WORDS, k=6)) + (" Zaunkönig" if rare else "")
    name = f"e{number}"
    at = {"occur_time_us": number * SECOND_US}
    return [
        make_start(
            name,
            config_name=choice.choice(CONFIGS),
            session_id=f"s{number // 10}",
            user_id=f"u{number // 30}",
        ),
        make_item(name, 2, "user_input_text", stage=1, content=text, **at),
        make_item(
            name, 3, "pipeline_complete", stage=5, model_used="rare/x" if rare else "m/y", **at
        ),
    ]


class Database:
    """A database to fill and to ask.

    Attributes:
        url: Of a PostgreSQL; empty: a SQLite file.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        """Make an empty one.

        Args:
            kind: `sqlite` or `postgres`.
            folder: For the file of SQLite.
        """
        folder.mkdir(exist_ok=True)
        self._kind = kind
        self._path = folder / "tracker.sqlite3"
        self.url = fresh_database() if kind == "postgres" else ""

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """Open the store."""

        def ignored(_: Committed) -> None:
            """Nobody waits for commits here."""

        if self.url:
            store = await open_postgres_store(self.url, lease_seconds=1e6, on_commit=ignored)
        else:
            store = await open_sqlite_store(self._path, lease_seconds=1e6, on_commit=ignored)
        try:
            yield store
        finally:
            await store.close()

    def connect(self) -> Any:
        """Open a connection of the driver, for changes that no store makes."""
        if self.url:
            return psycopg.connect(self.url)
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        return connection

    def multiply(self, count: int) -> None:
        """Copy what is there until there are `count` executions."""
        with contextlib.closing(self.connect()) as connection:
            multiply(connection, self._kind, UNIT, count)


async def fill(store: Store, count: int) -> None:
    """Store executions and have them prepared for being found."""
    for begin in range(0, count, PER_BATCH):
        items = [item for number in range(begin, begin + PER_BATCH) for item in run_of(number)]
        await store.record(Batch(SERVICE, list(enumerate(items))))
    while await store.insights.index_changed(500):
        pass


def questions(store: Store, count: int) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what is asked."""
    done = (ExecutionState.COMPLETED,)
    filters = {
        "newest": ExecutionFilter(),
        "oldest": ExecutionFilter(oldest_first=True),
        "by_config": ExecutionFilter(config_name=CONFIGS[3]),
        "by_session": ExecutionFilter(session_id="s5"),
        "by_user": ExecutionFilter(user_id="u5"),
        "by_state": ExecutionFilter(states=done),
        "by_level": ExecutionFilter(safety_level="kids"),
        "by_common_model": ExecutionFilter(model="m/y"),
        "by_rare_model": ExecutionFilter(model="rare/x"),
        "by_item_type": ExecutionFilter(item_type="user_input_text"),
        "by_common_word": ExecutionFilter(words=("blume",)),
        "by_rare_word": ExecutionFilter(words=("zaunkonig",)),
    }

    def page(wanted: ExecutionFilter) -> Callable[[], Awaitable[object]]:
        return lambda: store.page(wanted, EVERYTHING, 50, None)

    pupil = Audience(False, session_id="s7", group_id="")
    return {
        **{name: page(wanted) for name, wanted in filters.items()},
        "as_learner": lambda: store.page(ExecutionFilter(), pupil, 50, None),
        "sessions": lambda: store.insights.sessions(ExecutionFilter(), EVERYTHING, 50, None),
        "watch": lambda: store.items_after(f"e{count // 2}", EVERYTHING, 0, 64),
        "record": lambda: store.record_of(f"e{count // 2}", EVERYTHING),
    }


async def prepare(database: Database, count: int) -> None:
    """Fill a database."""
    async with database.opened() as store:
        await fill(store, UNIT)
    if count > UNIT:
        await asyncio.to_thread(database.multiply, count)


async def measure(kind: str, count: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Return for each question its medians with many and with few executions, in milliseconds."""
    many, few = (Database(kind, folder / str(number)) for number in (count, UNIT))
    await prepare(many, count)
    await prepare(few, UNIT)
    async with many.opened() as store, few.opened() as reference:
        asked, before = questions(store, count), questions(reference, UNIT)
        return {name: await in_turn_ms(asked[name], before[name]) for name in asked}


async def in_turn_ms(
    ask: Callable[[], Awaitable[object]], reference: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """Return how long both answers take, in milliseconds; in turn, as machines get busy."""
    times: list[tuple[float, float]] = []
    give_up = time.monotonic() + MOST_SECONDS
    while len(times) < ROUNDS and (not times or time.monotonic() < give_up):
        times.append((await elapsed_ms(ask), await elapsed_ms(reference)))
    ours, others = zip(*times, strict=True)
    return statistics.median(ours), statistics.median(others)


async def elapsed_ms(ask: Callable[[], Awaitable[object]]) -> float:
    """Return how long an answer takes, in milliseconds."""
    started = time.perf_counter()
    await ask()
    return (time.perf_counter() - started) * 1000


def figures(short: bool) -> Iterator[Figure]:
    """Measure 10 000 executions, then many more, in a SQLite file and in a PostgreSQL."""
    many = 50_000 if short else 1_000_000
    for kind, name in {"sqlite": "SQLite", "postgres": "PostgreSQL"}.items():
        with tempfile.TemporaryDirectory() as folder:
            medians = asyncio.run(measure(kind, many, Path(folder)))
        for question, (ms, few_ms) in medians.items():
            what = f"{question.replace('_', ' ')}, {name}, {many:,} executions, p50"
            yield Figure(what, "ms", ms, few_ms, (at_most(SLOWER, "ratio"),))


if __name__ == "__main__":
    main("lists", figures)
