"""The log of events: order, seams, bounds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.events import (
    EPHEMERAL_LIMIT,
    EventLog,
    Item,
    ItemRecorded,
    Logged,
    StageStarted,
    TextWritten,
)
from orchestrator.model import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable


def an_item(number: int) -> ItemRecorded:
    return ItemRecorded(
        Item(
            item_id=str(number),
            execution_id="e",
            epoch=1,
            sequence_number=number,
            occur_time=datetime.now(UTC),
            stage=2,
            item_type="warning",
        )
    )


def a_delta(text: str) -> TextWritten:
    return TextWritten(text, Phase.INTERCEPTION)


async def seen(log: EventLog, after: int = 0) -> list[Logged]:
    return [logged async for logged in log.watch(after)]


def numbers(logged: Iterable[Logged]) -> list[int]:
    return [
        each.event.item.sequence_number for each in logged if isinstance(each.event, ItemRecorded)
    ]


@given(
    count=st.integers(0, 30),
    after=st.integers(0, 35),
    others=st.lists(st.integers(0, 30), max_size=30),
)
def test_a_watcher_gets_every_item_after_its_token_once(
    count: int, after: int, others: list[int]
) -> None:
    """Whatever stands between the items, a token is followed by exactly the next numbers."""

    async def drill() -> list[Logged]:
        log = EventLog()
        for number in range(1, count + 1):
            log.add(an_item(number))
            for _ in range(others.count(number)):
                log.add(StageStarted(2))
        log.close()
        return await seen(log, after)

    assert numbers(asyncio.run(drill())) == list(range(min(after, count) + 1, count + 1))


@given(steps=st.lists(st.sampled_from(["item", "delta", "yield"]), max_size=60))
def test_live_watchers_see_items_and_deltas_in_order(steps: list[str]) -> None:
    """A watcher from the beginning sees everything in the order in which it happened."""

    async def drill() -> tuple[list[str], list[str]]:
        log, told, number = EventLog(), [], 0
        watching = asyncio.create_task(seen(log))
        await asyncio.sleep(0)
        for index, step in enumerate(steps):
            if step == "item":
                number += 1
                log.add(an_item(number))
                told.append(str(number))
            elif step == "delta":
                log.add(a_delta(f"delta {index}"))
                told.append(f"delta {index}")
            else:
                await asyncio.sleep(0)
        log.close()
        got = [
            each.event.text if isinstance(each.event, TextWritten) else str(each.sequence_number)
            for each in await watching
        ]
        return told, got

    told, got = asyncio.run(drill())
    assert got == told


async def test_a_slow_watcher_loses_old_deltas_but_no_item() -> None:
    """Ephemeral events are bounded per watcher, newest wins; items are never dropped."""
    log = EventLog()
    watching = log.watch()
    log.add(an_item(1))
    first = await anext(watching)
    for index in range(EPHEMERAL_LIMIT * 2):
        log.add(a_delta(str(index)))
    log.add(an_item(2))
    log.close()
    rest = [logged async for logged in watching]
    deltas = [each.event.text for each in rest if isinstance(each.event, TextWritten)]
    assert numbers([first, *rest]) == [1, 2]
    assert deltas == [str(index) for index in range(EPHEMERAL_LIMIT, EPHEMERAL_LIMIT * 2)]


async def test_who_comes_later_is_not_told_old_deltas() -> None:
    """Deltas are not replayed: they are worth nothing once the text is there."""
    log = EventLog()
    log.add(a_delta("gone"))
    log.add(an_item(1))
    log.close()
    assert [type(each.event) for each in await seen(log)] == [ItemRecorded]
