"""How long the pages of the web edge take with 10 000 executions stored.

The executions go straight into the tracker's database, as in `bench.lists`; then the services and
the gateway run in this process, so that each figure holds the work of all of them and of the
client. Times are from the request to the last byte over a connection that is open, in milliseconds.
There is no reference but the goal: p95 below 100 ms.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, at_most
from bench.lists import UNIT, Database, fill
from bench.report import main
from tests.fakes.ollama import FakeOllama
from tests.integration.http_edge import events_of, open_edge
from tests.integration.test_gateway_api import WISH

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

GOAL_MS = 100.0
PAGES: dict[str, tuple[str, dict[str, str] | None]] = {
    "make": ("/", None),
    "look": ("/look/{execution_id}", None),
    "research": ("/research", None),
    "search_words": ("/research", {"words": "blume"}),
    "search_rare_word": ("/research", {"words": "zaunkönig"}),
    "search_config": ("/research", {"config_name": "config3", "states": "completed"}),
    "sessions": ("/research/sessions", None),
    "session": ("/research/sessions/s5", None),
    "charts": ("/research/charts", None),
    "exports": ("/exports", None),
    "workshop": ("/workshop", None),
    "workshop_live": ("/workshop/live", None),
}
"""Name to address and, where it is posted, form."""


async def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the times of each page, in milliseconds."""
    async with Database("sqlite", folder).opened() as store:
        await fill(store, UNIT)
    async with (
        FakeOllama() as ollama,
        open_edge(folder, ollama.url) as edge,
        edge.browser() as browser,
    ):
        begun = (await browser.post("/api/executions", json=WISH)).json()
        await events_of(browser, begun["execution_id"])
        return {
            name: [
                await load_ms(browser, address.format_map(begun), form) for _ in range(rounds + 1)
            ][1:]
            for name, (address, form) in PAGES.items()
        }


async def load_ms(browser: httpx.AsyncClient, address: str, form: dict[str, str] | None) -> float:
    """Load a page and return how long it took."""
    started = time.perf_counter()
    answer = await (browser.get(address) if form is None else browser.post(address, data=form))
    took = (time.perf_counter() - started) * 1000
    if answer.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{address} answered {answer.status_code}")
    return took


def figures(short: bool) -> Iterator[Figure]:
    """Measure every page."""
    with tempfile.TemporaryDirectory() as folder:
        times = asyncio.run(measure(Path(folder), 20 if short else 100))
    for name, found in times.items():
        p95 = statistics.quantiles(found, n=20)[-1]
        yield Figure(f"page {name.replace('_', ' ')}, p95", "ms", p95, goals=(at_most(GOAL_MS),))


if __name__ == "__main__":
    main("pages", figures)
