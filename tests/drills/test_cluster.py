"""All of a cluster at once: its processes are killed or replaced while thirty sessions work."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from servicekit.api_keys import create_key
from servicekit.principals import Role
from stellwerk.tracker.v1 import execution_pb2
from tests.drills.children import (
    COMPLETED,
    NOT_RESUMABLE,
    SESSIONS,
    UNAVAILABLE,
    Child,
    checked_picture,
    checked_record,
)
from tests.drills.cluster import KEYS, open_cluster
from tests.drills.page_watcher import PageWatcher
from tests.drills.turns import MOST_PASSED, most_passed, shares_of, waits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from tests.drills.cluster import Cluster
    from tests.fakes.ollama import FakeOllama
    from tests.integration.generation_fleet import Member

RUNS = 200
JOB_SECONDS = 1.0
CHAOS_SECONDS = 4.0
MOST_SECONDS = 900.0
GAP_SECONDS = 0.8
NOT_YET = {"LEASE_HELD", "EXECUTION_CLOSED"}
"""What a resumption is refused for while another one goes on, or has ended."""
WORD = re.compile(r"Wort\d+wort")


def _answer(request: object) -> str:
    return f"Ein Bild mit {next(iter(WORD.findall(str(request))), 'nichts')}."


@pytest.mark.timeout(1500)
async def test_all_runs_end_rightly_whoever_dies(
    tmp_path: Path, ollama: FakeOllama, seed: int, tell: Callable[[str], None]
) -> None:
    """Each of 200 runs ends with its own picture, made known once; nobody goes without."""
    ollama.answer = _answer
    async with open_cluster(tmp_path, ollama.url, job_seconds=JOB_SECONDS) as cluster:
        children = [Child(cluster, number, seed) for number in range(RUNS)]
        killed: Counter[str] = Counter()
        chaos = asyncio.create_task(unrest(cluster, random.Random(seed), killed))
        started = time.monotonic()
        works = [asyncio.create_task(child.work()) for child in children]
        _, late = await asyncio.wait(works, timeout=MOST_SECONDS)
        if late:
            tell(
                f"after {MOST_SECONDS:.0f} s: {ends_of(children)}, died: {dict(killed)}; refused: "
                f"{dict(refusals_of(children))}"
            )
        assert not late
        seconds = time.monotonic() - started
        await calm(cluster, chaos)
        resumed = sum(child.resumed for child in children)
        refusals = refusals_of(children)
        tell(
            f"{ends_of(children)} in {seconds:.0f} s, {resumed} resumed; died: {dict(killed)}; "
            f"refused, then tried again: {dict(refusals)}"
        )
        assert {child.state for child in children} == {COMPLETED}
        assert set(refusals) <= {UNAVAILABLE, NOT_RESUMABLE, *NOT_YET}
        await check_all(cluster, children)
        done = Counter(
            run.prompt_id
            for comfy in cluster.comfys
            for run in comfy.runs
            if run.outcome == "execution_success"
        )
        tell(f"{done.total()} pictures were made for {RUNS} runs")
        assert set(done.values()) == {1}
        waits = await waits_of(cluster.nats.options("stellwerk"))
        shares = shares_of(waits, crowd=SESSIONS // 2)
        lags = [share.lag for share in shares.values()]
        within = sum(share.is_within_a_fifth for share in shares.values())
        tell(
            f"{sum(share.had for share in shares.values())} turns while half of the sessions "
            f"waited: each had {min(lags):+.1f} to {max(lags):+.1f} of what was due to it, "
            f"{within} of {len(shares)} within 20 %; before somebody who waited, nobody had more "
            f"than {most_passed(waits)}"
        )
        assert len(shares) == SESSIONS
        assert all(share.is_fair for share in shares.values())
        assert most_passed(waits) <= MOST_PASSED


async def unrest(cluster: Cluster, choice: random.Random, killed: Counter[str]) -> None:
    """Kill one of each kind every few seconds, and restart NATS and PostgreSQL once each."""
    rounds = 0
    while True:
        await asyncio.sleep(CHAOS_SECONDS)
        rounds += 1
        victims = {kind: choice.choice(those) for kind, those in cluster.members.items()}
        for kind, victim in victims.items():
            await victim.kill()
            killed[kind] += 1
        if rounds == 2:
            await cluster.restart_nats()
            killed["nats"] += 1
        if rounds == 3:
            await cluster.restart_database()
            killed["postgres"] += 1
        for victim in victims.values():
            await victim.start()
        for victim in victims.values():
            await victim.serving()


async def calm(cluster: Cluster, chaos: asyncio.Task[None]) -> None:
    """End the unrest, and wait until all serve again."""
    if chaos.done():
        chaos.result()  # it ends by itself only when it fails
    chaos.cancel()
    await asyncio.gather(chaos, return_exceptions=True)
    for member in everyone(cluster):
        if member.process is None or member.process.returncode is not None:
            await member.start()
        await member.serving()


def everyone(cluster: Cluster) -> list[Member]:
    """Return all processes."""
    return [member for those in cluster.members.values() for member in those]


def ends_of(children: Sequence[Child]) -> dict[str, int]:
    """Count how runs ended, with the reasons."""
    return dict(
        Counter(
            f"{execution_pb2.ExecutionState.Name(child.state)} {child.why}".strip()
            for child in children
        )
    )


def refusals_of(children: Sequence[Child]) -> Counter[str]:
    """Count why calls failed."""
    return sum((child.refusals for child in children), Counter[str]())


async def check_all(cluster: Cluster, children: Sequence[Child]) -> None:
    """Check the records and pictures of all children."""
    prompts = []
    for child in children:
        record = await checked_record(cluster, child)
        prompts.append(await checked_picture(cluster, child, record))
    assert len({child.execution_id for child in children}) == len(children)
    assert len(set(prompts)) == len(prompts)


@pytest.mark.timeout(1500)
async def test_nobody_notices_a_rolling_restart(
    tmp_path: Path, ollama: FakeOllama, seed: int, tell: Callable[[str], None]
) -> None:
    """While every process is replaced, calls fail with UNAVAILABLE alone; watchers miss nothing."""
    ollama.answer = _answer
    key = create_key(tmp_path / KEYS, role=Role.ADMIN, user="aufsicht")
    async with open_cluster(tmp_path, ollama.url, job_seconds=JOB_SECONDS, gateways=2) as cluster:
        watchers = await load_while(cluster, replace_all(cluster), seed, key)
        children = [watcher.child for watcher in watchers]
        resumed = sum(child.resumed for child in children)
        refusals = refusals_of(children)
        repeated = sum(child.repeated for child in children)
        tell(
            f"{len(everyone(cluster))} processes replaced under {len(children)} runs: "
            f"{ends_of(children)}, {resumed} resumed, {repeated} items shown twice to watchers, "
            f"refused, then tried again: {dict(refusals)}"
        )
        assert set(refusals) <= {UNAVAILABLE}
        assert {child.state for child in children} == {COMPLETED}
        await check_all(cluster, children)
        for watcher in watchers:
            assert not watcher.refusals
            record = await checked_record(cluster, watcher.child)
            item_ids = [item.item_id for item in record.items]
            assert watcher.child.watched == item_ids
            assert list(dict.fromkeys(watcher.shown)) == item_ids


async def load_while(
    cluster: Cluster, replacing: Coroutine[None, None, None], seed: int, key: str
) -> list[PageWatcher]:
    """Let child after child begin while something is done, each watched twice; wait for all.

    Returns:
        Those who watched on the page.
    """
    gateways = [gateway.address for gateway in cluster.members["gateway"]]
    watchers: list[PageWatcher] = []
    async with asyncio.timeout(MOST_SECONDS), asyncio.TaskGroup() as group:
        replaced = group.create_task(replacing)
        while not replaced.done():
            child = Child(cluster, len(watchers), seed)
            watchers.append(PageWatcher(child, gateways, key))
            for work in (child.work(), child.watch(), watchers[-1].watch()):
                group.create_task(work)
            await asyncio.sleep(GAP_SECONDS)
    return watchers


async def replace_all(cluster: Cluster) -> None:
    """Restart one process after the other, as a rolling update does."""
    for member in everyone(cluster):
        await member.stop()
        await member.start()
        await member.serving()
