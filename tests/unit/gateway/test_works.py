"""Work that outlasts a page: whose it is, how it ends, and that there is never too much of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.pages.works import MOST, Work, Works
from servicekit.errors import (
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
)
from servicekit.principals import Principal, Role
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROSA = Principal(id="rosa", role=Role.RESEARCHER, session="s", group="", actor=Role.SERVICE)
OTTO = Principal(id="otto", role=Role.RESEARCHER, session="s", group="", actor=Role.SERVICE)


@pytest.fixture
async def works() -> AsyncIterator[Works]:
    """All works of a process."""
    async with Works() as works:
        yield works


async def for_ever(_: Work) -> object:
    """Never end by itself."""
    return await asyncio.Event().wait()


async def test_outcome_is_found_by_its_owner_alone(works: Works) -> None:
    """Whoever else asks learns nothing, not even that there is something."""

    async def count(work: Work) -> str:
        work.done_count = 3
        return "counted"

    work = await works.begin(ROSA, count)
    await eventually(lambda: work.is_over)
    assert works.find(work.work_id, ROSA).outcome == "counted"
    with pytest.raises(NotFoundError):
        works.find(work.work_id, OTTO)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FailedPreconditionError("TOO_MANY_FOUND", "Narrow the search."), "TOO_MANY_FOUND"),
        (ValueError("a bug"), "INTERNAL"),
    ],
)
async def test_failure_is_told(works: Works, error: Exception, reason: str) -> None:
    """A foreseen failure by its reason, a bug without its text."""

    async def fail(_: Work) -> object:
        raise error

    work = await works.begin(ROSA, fail)
    await eventually(lambda: work.is_over)
    assert work.reason == reason
    assert "bug" not in work.message


async def test_there_is_never_too_much(works: Works) -> None:
    """One more than fits is refused, with when to try again."""
    for _ in range(MOST):
        await works.begin(ROSA, for_ever)
    with pytest.raises(ResourceExhaustedError) as caught:
        await works.begin(OTTO, for_ever)
    assert caught.value.retry_seconds


async def test_what_is_over_makes_room(works: Works) -> None:
    """Somebody's finished file from a while ago keeps nobody waiting."""

    async def at_once(_: Work) -> str:
        return "done"

    async def is_done() -> bool:
        work = await works.begin(ROSA, at_once)
        await eventually(lambda: work.is_over)
        return works.find(work.work_id, ROSA).outcome == "done"

    assert [await is_done() for _ in range(2 * MOST)] == [True] * (2 * MOST)


async def test_what_runs_ends_with_the_process() -> None:
    """Leaving ends all of it."""
    ended = asyncio.Event()

    async def wait(_: Work) -> object:
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    async with Works() as works:
        await works.begin(ROSA, wait)
        await asyncio.sleep(0)
    assert ended.is_set()
