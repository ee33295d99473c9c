"""Making things on the page, in a real browser: what a learner meets in a workshop."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Page, expect

from tests.fakes.ollama import FakeOllama
from tests.integration.chromium import (
    PHONE,
    TABLET,
    Visitor,
    assert_accessible,
    assert_accessible_everywhere,
    open_browser,
    visiting,
)
from tests.integration.guarded import photograph
from tests.integration.http_edge import Edge, open_edge
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from playwright.async_api import Browser

IDEA = "Ein Turm aus Käse steht am Meer"
FIRST = "Ein Turm aus Seife singt leise."
ANSWER = f"{FIRST} Unten im Regen sitzt ein kleiner Hund und hört ihm zu."
HARMFUL = "eine nackte Frau wird erschossen"
FIRST_PAGE_BYTES = 150_000

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the_ollama() -> AsyncIterator[FakeOllama]:
    """The only model."""
    async with FakeOllama(ANSWER) as ollama:
        yield ollama


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    tmp_path_factory: pytest.TempPathFactory, the_ollama: FakeOllama
) -> AsyncIterator[Edge]:
    """A gateway before services whose model is a fake; all tests here share it, like a class."""
    async with open_edge(tmp_path_factory.mktemp("pages"), the_ollama.url) as edge:
        yield edge


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; each learner has a profile of their own in it."""
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def ollama(the_ollama: FakeOllama, teacher: httpx.AsyncClient) -> AsyncIterator[FakeOllama]:
    """The model, to be stopped in the middle; at the end everything flows again."""
    yield the_ollama
    the_ollama.gate.set()
    await teacher.post("/api/workshop/queue/resume")


@pytest_asyncio.fixture(loop_scope="module")
async def teacher(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who looks after the queue."""
    async with edge.browser() as teacher:
        yield teacher


async def begin(page: Page, url: str, idea: str = IDEA, way: str = "steps") -> str:
    """Fill in the form and send it; return the id of the run."""
    await page.goto(url)
    await page.fill("textarea[name=text]", idea)
    await page.check("input[value=dada]", force=True)
    await page.click(f"button[value={way}]")
    await page.wait_for_url("**/make/*")
    return page.url.rpartition("/")[2]


def is_over(page: Page) -> Any:
    """Expect that a run has ended and the page says so."""
    return expect(page.locator("#run[data-over=yes]")).to_be_visible()


@pytest.mark.parametrize(
    "looks",
    [{"viewport": TABLET}, {"viewport": PHONE, "color_scheme": "dark", "has_touch": True}],
    ids=["tablet", "phone"],
)
async def test_an_idea_changed_between_the_steps_becomes_a_picture(
    edge: Edge, browser: Browser, looks: dict[str, Any]
) -> None:
    """The picture is made from the person's words, and every state is accessible."""
    async with visiting(browser, edge.url, **looks) as learner:
        page = await learner.tab()
        await page.goto(edge.url)
        await assert_accessible(page)
        await begin(page, edge.url)
        await page.click("button[value=intercept]")
        words = page.locator("#rewriting textarea")
        await expect(words).to_have_value(ANSWER)
        await assert_accessible(page)
        await words.fill("Ein Turm aus Seife tanzt.")
        await page.click("button[value=render]")
        await is_over(page)
        picture = page.locator("#output-1 img")
        await expect(picture).to_have_js_property("complete", True)
        assert await picture.evaluate("img => img.naturalWidth") > 0
        await expect(page.locator("#rewriting .said")).to_have_text("Ein Turm aus Seife tanzt.")
        await page.click("text=Was du geändert hast")
        await expect(page.locator("#rewriting details[open] ins").first).to_be_visible()
        await assert_accessible(page)
        for view in ("learner", "advanced", "researcher"):
            await page.goto(
                page.url.partition("?")[0].replace("/make/", "/look/") + f"?view={view}"
            )
            await expect(page.locator("main")).to_contain_text("Ein Turm aus Seife tanzt.")
            await assert_accessible(page)
        assert learner.never_told("Turm")


async def test_a_blocked_idea_gets_kind_words(edge: Edge, browser: Browser) -> None:
    """What is not for here is said kindly, with a way on that keeps the person's own words."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        sizes: list[int] = []

        async def weigh(response: Any) -> None:
            sizes.append(len(response.headers) * 40 + int(response.headers["content-length"]))

        page.on("response", weigh)
        await page.goto(edge.url)
        await page.wait_for_load_state("networkidle")
        assert 0 < sum(sizes) < FIRST_PAGE_BYTES
        page.remove_listener("response", weigh)
        await begin(page, edge.url, HARMFUL, "all")
        await expect(page.locator("#blocked")).to_contain_text("Das geht hier nicht")
        await assert_accessible_everywhere(page)
        await page.click("#blocked a")
        await expect(page.locator("textarea[name=text]")).to_have_value(HARMFUL)
        assert learner.never_told("nackte")


async def test_what_nobody_can_check_is_not_called_forbidden(edge: Edge, browser: Browser) -> None:
    """A picture where no guard for pictures is: the page tells an outage from a refusal."""
    async with visiting(browser, edge.url, viewport=PHONE) as learner:
        page = await learner.tab()
        await page.goto(edge.url)
        await page.fill("textarea[name=text]", IDEA)
        await page.check("input[value=picture_and_words]", force=True)
        picture = FilePayload(name="ich.png", mimeType="image/png", buffer=photograph())
        await page.set_input_files("input[name=pictures]", picture)
        await expect(page.locator("#preview img")).to_be_visible()
        await assert_accessible(page)
        await page.click("button[value=steps]")
        await expect(page.locator("#failed")).to_contain_text("Deine Idee ist nicht verboten")
        await assert_accessible_everywhere(page)


async def test_a_run_can_be_stopped_while_it_waits_and_while_it_runs(
    edge: Edge, browser: Browser, ollama: FakeOllama, teacher: httpx.AsyncClient
) -> None:
    """Stopping reaches the model that writes, and the job in the queue."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        left = ollama.left_count
        ollama.gate.clear()
        await begin(page, edge.url, way="all")
        await expect(page.locator("#rewriting")).to_contain_text(FIRST)
        await page.click("#cancel button")
        await expect(page.locator("#cancelled")).to_be_visible()
        await eventually(lambda: ollama.left_count == left + 1)
        await assert_accessible_everywhere(page)
        ollama.gate.set()
        await teacher.post("/api/workshop/queue/pause")
        await begin(page, edge.url, way="all")
        await expect(page.locator("#output-1.queued")).to_be_visible()
        await page.click("#cancel button")
        await expect(page.locator("#cancelled")).to_be_visible()


async def test_a_reload_in_any_stage_loses_nothing(
    edge: Edge, browser: Browser, ollama: FakeOllama, teacher: httpx.AsyncClient
) -> None:
    """In the middle of each stage the page comes back as it was, and goes on by itself."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        await begin(page, edge.url)
        await page.fill("#idea textarea", IDEA + " und singt")
        await page.reload()
        await expect(page.locator("#idea textarea")).to_have_value(IDEA + " und singt")
        ollama.gate.clear()
        await page.click("button[value=intercept]")
        await expect(page.locator("#rewriting .writing")).to_contain_text(FIRST)
        await page.reload()
        await expect(page.locator("#rewriting .writing")).to_contain_text(FIRST)
        ollama.gate.set()
        await expect(page.locator("#rewriting textarea")).to_have_value(ANSWER)
        # Translations are remembered, so this one must be of a text that no other test has.
        await page.fill("#rewriting textarea", "Ein Turm aus Seife lädt neu.")
        ollama.gate.clear()
        await page.click("button[value=render]")
        await expect(page.locator("#station-3.busy")).to_be_visible()
        await page.reload()
        await expect(page.locator("#station-3.busy")).to_be_visible()
        await teacher.post("/api/workshop/queue/pause")
        ollama.gate.set()
        await expect(page.locator("#output-1.queued")).to_be_visible()
        await page.reload()
        await expect(page.locator("#output-1.queued")).to_be_visible()
        await assert_accessible_everywhere(page)
        await teacher.post("/api/workshop/queue/resume")
        await is_over(page)
        await expect(page.locator("#output-1 img")).to_be_visible()
        await page.go_back()
        await page.go_forward()
        await expect(page.locator("#output-1 img")).to_be_visible()


async def test_a_lost_network_is_caught_up_with(
    edge: Edge, browser: Browser, ollama: FakeOllama
) -> None:
    """The page says that the connection is gone, and shows the end once it is back."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        ollama.gate.clear()
        execution_id = await begin(page, edge.url, way="all")
        await expect(page.locator("#rewriting")).to_contain_text(FIRST)
        learner.is_offline = True
        await learner.context.set_offline(True)
        await expect(page.locator("#connection")).to_be_visible()
        await assert_accessible(page)
        ollama.gate.set()

        async def done() -> bool:
            # Playwright's own requests leave the machine by another way.
            answer = await learner.context.request.get(f"{edge.url}/api/executions/{execution_id}")
            return bool((await answer.json())["state"] == "completed")

        await eventually(done, within_seconds=60)
        await expect(page.locator("#rewriting .writing")).to_be_visible()
        await learner.context.set_offline(False)
        await is_over(page)
        await expect(page.locator("#output-1 img")).to_be_visible()


async def test_several_outputs_stand_side_by_side(edge: Edge, browser: Browser) -> None:
    """A picture, a sound to play and a model to turn, from the same words."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        await page.goto(edge.url)
        for output in ("embedded_image", "embedded_sound", "embedded_3d"):
            await page.check(f"input[value={output}]", force=True)
        await page.fill("textarea[name=text]", IDEA)
        await page.click("button[value=all]")
        await page.wait_for_url("**/make/*")
        await is_over(page)
        await expect(page.locator(".output.delivered")).to_have_count(3)
        await expect(page.locator(".output img")).to_be_visible()
        sound = page.locator(".output audio")
        await expect(sound).not_to_have_js_property("duration", None)
        # Without a graphics driver the page says that the model can be saved.
        model = page.locator("canvas.model")
        await expect(model).to_have_attribute("data-state", re.compile("open|failed"))
        await assert_accessible_everywhere(page)


async def test_two_tabs_show_the_same(edge: Edge, browser: Browser) -> None:
    """A step in one tab arrives in the other."""
    async with visiting(browser, edge.url) as learner:
        one, other = await learner.tab(), await learner.tab()
        await begin(one, edge.url)
        await other.goto(one.url)
        await expect(other.locator("button[value=intercept]")).to_be_visible()
        await one.click("button[value=intercept]")
        await expect(other.locator("#rewriting textarea")).to_have_value(ANSWER)
        await other.click("button[value=render]")
        await is_over(one)
        await is_over(other)


async def test_learners_never_see_what_others_make(
    edge: Edge, browser: Browser, teacher: httpx.AsyncClient
) -> None:
    """Whoever knows an address finds nothing there that is somebody else's."""
    async with visiting(browser, edge.url) as one, visiting(browser, edge.url) as other:
        page = await one.tab()
        execution_id = await begin(page, edge.url, way="all")
        await is_over(page)
        picture = await page.locator("#output-1 img").get_attribute("src")
        stranger = await other.tab()
        await stranger.goto(edge.url)
        for path in (
            f"/make/{execution_id}",
            f"/make/{execution_id}/words",
            f"/make/{execution_id}/panel",
            f"/look/{execution_id}",
            f"/look/{execution_id}/programs/{execution_id}",
            picture,
        ):
            answer = await stranger.goto(f"{edge.url}{path}")
            assert answer is not None
            assert answer.status == HTTPStatus.NOT_FOUND
            assert "Turm" not in await stranger.content()
        cancelled = await other.context.request.post(f"{edge.url}/make/{execution_id}/cancel")
        assert cancelled.status == HTTPStatus.NOT_FOUND
        # Staff of a machine without keys sees the record, its files, and takes it out.
        seen = await eventually(lambda: found(teacher, f"/research/look/{execution_id}"))
        assert IDEA in seen.text
        assert picture is not None
        await found(teacher, picture.replace("/api/", "/research/"))
        taken = await found(teacher, f"/research/look/{execution_id}/export?format=json")
        [record] = taken.json()
        assert record["execution_id"] == execution_id


async def found(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Fetch what must be there; a record may still be on its way."""
    answer = await client.get(path)
    assert answer.status_code == HTTPStatus.OK
    return answer


async def test_the_whole_way_works_by_keyboard(edge: Edge, browser: Browser) -> None:
    """No mouse, no finger: tabulator, space and enter are enough."""
    async with visiting(browser, edge.url) as learner:
        page = await learner.tab()
        await page.goto(edge.url)
        await tab_to(page, "textarea[name=text]")
        await page.keyboard.type(IDEA)
        await tab_to(page, "input[name=config]:checked")
        await page.keyboard.press("ArrowRight")
        await tab_to(page, "input[value=embedded_image_b]")
        await page.keyboard.press("Space")
        await tab_to(page, "button[value=steps]")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/make/*")
        for way in ("intercept", "render"):
            await expect(page.locator(f"button[value={way}]")).to_be_visible()
            await tab_to(page, f"button[value={way}]")
            await page.keyboard.press("Enter")
        await is_over(page)
        await expect(page.locator("#output-1 h2")).to_have_text("Farbdruck")
        await tab_to(page, ".actions a[href*='/look/']")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/look/*")


async def test_again_and_with_other_words(edge: Edge, browser: Browser) -> None:
    """Another one has another chance; other words can keep the chance, in English, too."""
    async with visiting(browser, edge.url, locale="en-GB") as learner:
        page = await learner.tab()
        await begin(page, edge.url, way="all")
        await is_over(page)
        first = page.url
        await page.click("text=Another one")
        await page.wait_for_url(lambda url: url != first)
        await is_over(page)
        await page.click("text=Change the words")
        await expect(page.locator("textarea[name=text]")).to_be_visible()
        await page.fill("textarea[name=text]", "Ein Schiff aus Papier")
        await expect(page.locator("input[name=seed]")).to_be_checked()
        seeds = [await page.locator("input[name=seed]").get_attribute("value")]
        await page.click("button[value=all]")
        await is_over(page)
        seeds.append(await seed_of(learner, page.url.rpartition("/")[2]))
        assert seeds[0] == seeds[1]


async def seed_of(learner: Visitor, execution_id: str) -> str:
    """Return the seed of a run's first output."""
    answer = await learner.context.request.get(f"{learner.url}/api/executions/{execution_id}")
    return str((await answer.json())["outputs"][0]["seed"])


async def tab_to(page: Page, selector: str) -> None:
    """Press the tabulator until the focus is there."""
    for _ in range(120):
        if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the tabulator never reaches {selector}")
