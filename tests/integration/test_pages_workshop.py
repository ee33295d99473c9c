"""The workshop page in a real browser, and who may see the pages of the staff."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from gateway.server import running
from gateway.settings import GatewaySettings
from servicekit.api_keys import create_key
from servicekit.principals import Role
from tests.fakes.ollama import FakeOllama
from tests.integration.chromium import PHONE, assert_accessible, open_browser, visiting
from tests.integration.http_edge import Edge, open_edge
from tests.integration.test_gateway_api import WISH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAFF_PAGES = ("/research", "/research/sessions", "/research/charts", "/research/care", "/workshop")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """A deployment with one embedded worker."""
    async with (
        FakeOllama("Ein Turm aus Seife singt leise.") as ollama,
        open_edge(tmp_path_factory.mktemp("edge"), ollama.url) as edge,
    ):
        yield edge


@contextlib.asynccontextmanager
async def gateway_with_keys(edge: Edge, folder: Path, keys: Path) -> AsyncIterator[str]:
    """Run another gateway before the same services; it asks for API keys."""
    settings = GatewaySettings(
        listen_address="127.0.0.1:0",
        orchestrator_address=edge.house.address,
        generation_address=edge.house.settings.generation_address,
        tracker_address=edge.house.settings.tracker_address,
        cookie_secret_file=folder / "gateway.secret",
        api_keys_file=keys,
        grace_seconds=1,
    )
    async with running(settings) as address:
        yield f"http://{address}"


async def begun(browser: httpx.AsyncClient) -> str:
    """Begin a run and return its id."""
    answer = await browser.post("/api/executions", json=WISH)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    execution_id: str = answer.json()["execution_id"]
    return execution_id


@pytest.mark.parametrize(
    "looks",
    [{}, {"viewport": PHONE, "color_scheme": "dark", "locale": "en-GB", "has_touch": True}],
    ids=["german", "english"],
)
async def test_queue_is_paused_seen_cancelled_and_let_go(
    edge: Edge, browser: Browser, looks: dict[str, Any]
) -> None:
    """A job that waits shows up by itself, can be cancelled, and the queue goes on."""
    async with visiting(browser, edge.url, **looks) as visitor, edge.browser() as learner:
        page = await visitor.tab()
        await page.goto(f"{edge.url}/workshop")
        await page.locator("form[action='/workshop/pause'] button").click()
        await expect(page.locator("form[action='/workshop/resume']")).to_be_visible()
        await begun(learner)
        waiting = page.locator("#live tbody tr")
        await expect(waiting).to_have_count(1)
        for summary in await page.locator("main summary").all():
            await summary.click()
        await assert_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await waiting.locator("button").click()
        await expect(waiting).to_have_count(0)
        await page.locator("form[action='/workshop/resume'] button").click()
        await expect(page.locator("form[action='/workshop/pause']")).to_be_visible()


async def test_worker_is_drained_and_taken_back_by_keyboard(edge: Edge, browser: Browser) -> None:
    """Its card says how it is; the focus stays on its button while the page renews itself."""
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await page.goto(f"{edge.url}/workshop")
        card = page.locator("#worker-1")
        await card.locator("button").focus()
        async with page.expect_response("**/workshop/live"):
            pass
        await expect(card.locator("button")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(card.locator(".badge")).to_have_text("nimmt nichts an")
        await assert_accessible(page)
        await card.locator("button").focus()
        await page.keyboard.press("Enter")
        await expect(card.locator(".badge")).to_have_text("bereit")


async def test_pages_of_the_staff_are_not_for_learners(edge: Edge, tmp_path: Path) -> None:
    """Nobody is asked to log in, a learner is told kindly, a researcher comes in."""
    path = tmp_path / "keys.json"
    learner = create_key(path, role=Role.LEARNER, user="anna")
    researcher = create_key(path, role=Role.RESEARCHER, user="rosa")
    async with gateway_with_keys(edge, tmp_path, path) as url:
        guarded = Edge(url, edge.house)
        async with (
            guarded.browser() as nobody,
            guarded.browser() as pupil,
            guarded.browser() as rosa,
        ):
            await pupil.post("/login", data={"api_key": learner})
            await rosa.post("/login", data={"api_key": researcher})
            for address in STAFF_PAGES:
                asked = await nobody.get(address)
                assert (asked.status_code, asked.headers["location"].partition("?")[0]) == (
                    HTTPStatus.SEE_OTHER,
                    "/login",
                )
                refused = await pupil.get(address, headers={"Accept-Language": "de"})
                assert refused.status_code == HTTPStatus.FORBIDDEN
                assert "Das ist nur für Lehrende und Forschende." in refused.text
                assert (await rosa.get(address)).status_code == HTTPStatus.OK
            erased = await rosa.post("/research/erase", data={"user_id": "x", "again": "x"})
            assert erased.status_code == HTTPStatus.FORBIDDEN
            assert "lack the right" in erased.text
