"""States of the pages that are rarer: a run that stopped, a door with a lock, nothing there."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from servicekit.api_keys import create_key
from servicekit.principals import Role
from tests.fakes.ollama import FakeOllama
from tests.integration.chromium import (
    Visitor,
    assert_accessible_everywhere,
    open_browser,
    visiting,
)
from tests.integration.house import another_orchestrator
from tests.integration.http_edge import Edge, open_edge, open_gateway
from tests.integration.steps import Person
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDEA = "Ein Turm aus Käse steht am Meer"
ANSWER = "Ein Turm aus Seife singt leise."
STALE_MS = 76_000
"""A little more than the page waits for a stream that says nothing."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """A gateway before services whose model is a fake."""
    async with FakeOllama(ANSWER) as ollama:
        folder = tmp_path_factory.mktemp("states")
        async with open_edge(folder, ollama.url) as edge:
            yield edge


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with open_browser() as browser:
        yield browser


async def pseudonym_of(visitor: Visitor) -> str:
    """Return the 32 digits that a browser was offered: of the person, then of the sitting."""
    cookies = await visitor.context.cookies()
    [offer] = [each.get("value", "") for each in cookies if each.get("name") == "stellwerk-offer"]
    return offer.partition(".")[0]


async def test_an_interrupted_run_is_taken_up(edge: Edge, browser: Browser, tmp_path: Path) -> None:
    """After the orchestrator went away the page offers to go on, and the run goes on."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        await page.goto(edge.url)
        token = await pseudonym_of(learner)
        async with another_orchestrator(edge.house, spool_dir=tmp_path / "spool") as other:
            person = Person(other, user=f"learner-{token[:16]}", session=f"page-{token[16:]}")
            await person.start(texts=[IDEA])
        address = f"{edge.url}/make/{person.execution_id}"

        async def is_interrupted() -> bool:
            await page.goto(address)
            return await page.locator("form[action$=resume]").count() > 0

        await eventually(is_interrupted, within_seconds=30)
        await assert_accessible_everywhere(page)
        await page.click("form[action$=resume] button")
        await page.click("button[value=intercept]")
        await expect(page.locator("#rewriting textarea")).to_have_value(ANSWER)


async def test_a_stream_that_fell_silent_is_opened_anew(edge: Edge, browser: Browser) -> None:
    """A connection that died without a word, as tablets have it, is noticed."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        await page.clock.install()
        await page.goto(edge.url)
        await page.fill("textarea[name=text]", IDEA)
        await page.check("input[value=dada]", force=True)
        await page.click("button[value=steps]")
        await expect(page.locator("button[value=intercept]")).to_be_visible()

        def streams() -> int:
            return sum(request.url.endswith("/events") for request in learner.requests)

        assert await eventually(streams) == 1
        await page.clock.fast_forward(STALE_MS)
        await eventually(lambda: streams() > 1)
        await page.click("button[value=intercept]")
        await expect(page.locator("#rewriting textarea")).to_have_value(ANSWER)


async def test_staff_come_in_by_keyboard(edge: Edge, browser: Browser, tmp_path: Path) -> None:
    """A key is asked for, a wrong one is said to be wrong, and the right one leads on."""
    keys = tmp_path / "keys.toml"
    key = create_key(keys, role=Role.TEACHER, user="frau-kim", group="4b")
    async with (
        open_gateway(edge.house, tmp_path, api_keys_file=keys) as locked,
        visiting(browser, locked.url) as teacher,
    ):
        page = await teacher.tab()
        await page.goto(f"{locked.url}/workshop")
        await assert_accessible_everywhere(page)
        await page.focus("input[name=api_key]")
        await page.keyboard.type("sw_wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#refused")).to_be_visible()
        await assert_accessible_everywhere(page)
        await page.focus("input[name=api_key]")
        await page.keyboard.type(key)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/workshop")


async def test_nothing_there_is_a_page_too(edge: Edge, browser: Browser) -> None:
    """An address that leads nowhere ends on a page with a way on."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        for path in ("/make/nothing-here", "/nowhere"):
            answer = await page.goto(f"{edge.url}{path}")
            assert answer is not None
            assert answer.status == HTTPStatus.NOT_FOUND
            await expect(page.locator("main a.button")).to_be_visible()
            await assert_accessible_everywhere(page)
