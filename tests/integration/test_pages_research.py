"""The research pages in a real browser: find, take out, bring in, verify, erase."""

from __future__ import annotations

import io
import json
import zipfile
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import openpyxl
import polars
import pypdf
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from rocrate.rocrate import ROCrate

from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from tests.fakes.ollama import FakeOllama
from tests.integration.chromium import PHONE, assert_accessible, open_browser, visiting
from tests.integration.http_edge import Edge, events_of, open_edge
from tests.integration.test_gateway_api import WISH
from tests.integration.tracker import make_run, new_id
from tests.support import eventually
from tests.unit.tracker_service.readers import read_csv, read_prov

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDEA = "Ein Zaunkönig baut ein Schloss aus Käse"
WORDS = "Zaunkönig Schl"
MANY = 70
ERASABLE = "nora"
PAGES = ("", "/sessions", "/charts", "/import", "/care")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ollama() -> AsyncIterator[FakeOllama]:
    """The model."""
    async with FakeOllama("Ein Turm aus Seife singt leise.") as ollama:
        yield ollama


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory, ollama: FakeOllama) -> AsyncIterator[Edge]:
    """A deployment with many short records."""
    keys = {"tracker_settings": {"pseudonym_key": "a key that the deployment keeps apart"}}
    folder = tmp_path_factory.mktemp("edge")
    async with open_edge(folder, ollama.url, house_settings=keys) as edge:
        for _ in range(MANY):
            await record(edge, make_run(new_id(), user="otto"))
        yield edge


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def execution_id(edge: Edge) -> str:
    """A real run with a picture, found by its words."""
    async with edge.browser() as browser:
        begun = await browser.post("/api/executions", json={**WISH, "texts": [IDEA]})
        found: str = begun.json()["execution_id"]
        await events_of(browser, found)
        await edge.house.record(found)

        async def is_found() -> bool:
            answer = await browser.post("/api/research/search", json={"text": WORDS})
            return bool(answer.json().get("executions"))

        await eventually(is_found, within_seconds=30)
    return found


async def record(edge: Edge, items: list[Any]) -> None:
    """Record a run directly."""
    call = edge.house.tracker.RecordItems(iter([tracker_pb2.RecordItemsRequest(items=items)]))
    assert [response.accepted_count async for response in call] == [len(items)]


# --- taking out ----------------------------------------------------------------------------------


def ids_in_zip(data: bytes) -> set[str]:
    """Read an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert any(name.startswith("media/") for name in archive.namelist())
        names = [name for name in archive.namelist() if name.startswith("records/")]
        return {json.loads(archive.read(name))["execution_id"] for name in names}


def ids_in_json(data: bytes) -> set[str]:
    """Read JSON."""
    return {each["execution_id"] for each in json.loads(data)}


def ids_in_lines(data: bytes) -> set[str]:
    """Read JSON Lines."""
    return {json.loads(line)["execution_id"] for line in data.splitlines()}


def ids_in_parquet(data: bytes) -> set[str]:
    """Read by polars."""
    return set(polars.read_parquet(io.BytesIO(data))["execution_id"])


def ids_in_workbook(data: bytes) -> set[str]:
    """Read by openpyxl."""
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True).worksheets[0]
    names, *rows = sheet.iter_rows(values_only=True)
    return {str(row[names.index("execution_id")]) for row in rows}


FORMATS: dict[str, Callable[[bytes], set[str]] | None] = {
    "zip": ids_in_zip,
    "json": ids_in_json,
    "jsonl": ids_in_lines,
    "parquet": ids_in_parquet,
    "xlsx": ids_in_workbook,
    "csv": None,
    "pdf": None,
    "ro-crate": None,
    "prov-json": None,
}


def assert_holds(path: Path, form: str, execution_id: str) -> None:
    """Open a file in the reader of its format and look for the one execution."""
    read = FORMATS[form]
    if read is not None:
        assert read(path.read_bytes()) == {execution_id}
    elif form == "csv":
        assert {row[0] for row in read_csv(path)} == {execution_id}
    elif form == "pdf":
        text = "".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
        assert execution_id in text.replace("\n", "")
    elif form == "ro-crate":
        folder = path.with_suffix("")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        assert any(execution_id in entity.id for entity in ROCrate(folder).get_entities())
    else:
        assert execution_id in {row[0] for row in read_prov(path)}


async def take_out(page: Page, form: str, path: Path) -> None:
    """Have a file made on the page that shows results, and save it."""
    await page.locator(f"input[value='{form}']").check()
    await page.locator("#results form[action='/research/exports'] .button").click()
    link = page.locator("#download")
    await expect(link).to_be_visible(timeout=30_000)
    async with page.expect_download() as download:
        await link.click()
    await (await download.value).save_as(path)
    await page.evaluate("document.getElementById('export').replaceChildren()")


async def search(page: Page, url: str, words: str) -> None:
    """Search by words."""
    await page.goto(f"{url}/research")
    await page.fill("input[name=words]", words)
    await page.keyboard.press("Enter")
    await expect(page.locator("#results tbody tr")).to_have_count(1)


async def test_what_is_found_is_taken_out_in_every_format(
    edge: Edge, browser: Browser, execution_id: str, tmp_path: Path
) -> None:
    """Words find one run; each format of it opens in its reader; no address ever holds a word."""
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await search(page, edge.url, WORDS)
        await expect(page.locator("#results td.idea a")).to_have_text(IDEA)
        await page.locator("#results summary").click()
        for form in FORMATS:
            path = tmp_path / f"file.{form}"
            await take_out(page, form, path)
            assert_holds(path, form, execution_id)
        await assert_accessible(page)
        assert page.url == f"{edge.url}/research"
        assert visitor.never_told("Zaunkönig")


async def test_file_without_names_and_texts_holds_none(
    edge: Edge, browser: Browser, execution_id: str, tmp_path: Path
) -> None:
    """The options of the dialog reach the file."""
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await search(page, edge.url, WORDS)
        session = await page.locator("#results td.id a").inner_text()
        await page.locator("#results summary").click()
        for option in ("pseudonymise", "drop_media", "drop_text"):
            await page.locator(f"#results input[name={option}]").check()
        await take_out(page, "jsonl", tmp_path / "file.jsonl")
    content = (tmp_path / "file.jsonl").read_text()
    assert execution_id in content
    assert "Zaunkönig" not in content
    assert session not in content


async def test_archive_brought_into_an_empty_deployment_is_the_same(
    edge: Edge, browser: Browser, ollama: FakeOllama, execution_id: str, tmp_path: Path
) -> None:
    """First only told, then done: record and picture are what they were."""
    path = tmp_path / "archive.zip"
    async with (
        visiting(browser, edge.url) as visitor,
        open_edge(tmp_path, ollama.url) as other,
        visiting(browser, other.url) as newcomer,
    ):
        page = await visitor.tab()
        await search(page, edge.url, WORDS)
        await page.locator("#results summary").click()
        await take_out(page, "zip", path)

        page = await newcomer.tab()
        await page.goto(f"{other.url}/research/import")
        await page.set_input_files("input[type=file]", path)
        await page.locator("form[data-import] .button").click()
        told = page.locator("#report dd")
        await expect(told.nth(1)).to_have_text("1")
        await assert_accessible(page)
        before = await page.request.get(f"{other.url}/api/research/execution/{execution_id}")
        assert before.status == HTTPStatus.NOT_FOUND
        await page.locator("input[name=dry_run]").uncheck()
        await page.locator("form[data-import] .button").click()
        await expect(page.locator("#report h2")).to_have_text("Das ist geschehen")
        await expect(told.nth(4)).to_have_text("1")

        [mine, theirs] = [await whole_record(each, execution_id) for each in (edge, other)]
    assert mine == theirs


async def whole_record(edge: Edge, execution_id: str) -> dict[str, bytes]:
    """Return what an archive of one execution holds, without when and by what it was made."""
    wanted = {"format": "zip", "execution_ids": [execution_id]}
    async with edge.browser() as browser:
        answer = await browser.post("/api/research/export", json=wanted)
    assert answer.status_code == HTTPStatus.OK, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if name.startswith(("records/", "media/"))
        }


async def test_file_that_is_none_is_reported(edge: Edge, browser: Browser, tmp_path: Path) -> None:
    """What cannot be read is named, with the reason, and an empty file is refused kindly."""
    wrong, empty = tmp_path / "wrong.json", tmp_path / "empty.json"
    wrong.write_text("this is no JSON")
    empty.write_bytes(b"")
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await page.goto(f"{edge.url}/research/import")
        await page.set_input_files("input[type=file]", wrong)
        await page.locator("form[data-import] .button").click()
        await expect(page.locator("#report td code").first).to_have_text("NO_JSON")
        await assert_accessible(page)
        await page.set_input_files("input[type=file]", empty)
        await page.locator("form[data-import] .button").click()
        await expect(page.locator("#notice")).to_contain_text("Wähl zuerst eine Datei")


# --- finding -------------------------------------------------------------------------------------


async def test_pages_stay_as_they_are_while_runs_arrive(edge: Edge, browser: Browser) -> None:
    """Forward and back again show the same rows, whatever came meanwhile."""

    async def rows(page: Page) -> list[str]:
        return [
            str(await link.get_attribute("href"))
            for link in await page.locator("#results td.idea a").all()
        ]

    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await page.goto(f"{edge.url}/research")
        await page.locator("main summary").first.click()
        await page.fill("input[name=user_id]", "otto")
        await page.keyboard.press("Enter")
        await expect(page.locator("#results button[name=next]")).to_be_enabled()
        first = await rows(page)
        await record(edge, make_run(new_id(), user="otto"))
        await page.locator("#results button[name=next]").click()
        await expect(page.locator("#results-title")).to_contain_text("Seite 2")
        second = await rows(page)
        assert len(first) == 50
        assert not set(first) & set(second)
        assert len(second) >= MANY - 50
        await page.locator("#results button[name=back]").click()
        await expect(page.locator("#results-title")).to_contain_text("Seite 1")


@pytest.mark.parametrize(
    "looks",
    [{}, {"viewport": PHONE, "color_scheme": "dark", "locale": "en-GB", "has_touch": True}],
    ids=["german", "english"],
)
async def test_every_page_is_accessible(
    edge: Edge, browser: Browser, execution_id: str, looks: dict[str, Any]
) -> None:
    """All of them, with everything folded out, in both languages, light and dark."""
    async with visiting(browser, edge.url, **looks) as visitor:
        page = await visitor.tab()
        for address in PAGES:
            await page.goto(f"{edge.url}/research{address}")
            for summary in await page.locator("main summary").all():
                await summary.click()
            await assert_accessible(page)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.goto(f"{edge.url}/research/sessions")
        await page.locator("main tbody a").first.click()
        await expect(page.locator("main tbody tr").first).to_be_visible()
        await assert_accessible(page)


async def test_search_and_export_need_only_a_keyboard(
    edge: Edge, browser: Browser, execution_id: str
) -> None:
    """From the first tab stop to the finished file."""
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await page.goto(f"{edge.url}/research")
        await tab_to(page, "input[name=words]")
        await page.keyboard.type(WORDS)
        await page.keyboard.press("Enter")
        await expect(page.locator("#results tbody tr")).to_have_count(1)
        await tab_to(page, "#results summary")
        await page.keyboard.press("Enter")
        await tab_to(page, "#results input[name=format]")
        await page.keyboard.press("ArrowDown")
        await tab_to(page, "#results form[action='/research/exports'] .button")
        await page.keyboard.press("Enter")
        await expect(page.locator("#download")).to_be_visible(timeout=30_000)
        await tab_to(page, "#download")
        async with page.expect_download() as download:
            await page.keyboard.press("Enter")
        assert (await download.value).suggested_filename == "executions.json"


async def tab_to(page: Page, selector: str) -> None:
    """Press the tab key until something has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"the keyboard does not reach {selector}")


async def test_figures_name_what_was_blocked(edge: Edge, browser: Browser) -> None:
    """A run that is blocked counts under the categories of its verdict, in drawing and table."""
    async with edge.browser() as learner:
        blocked = {**WISH, "texts": ["eine nackte Frau wird erschossen"]}
        begun = (await learner.post("/api/executions", json=blocked)).json()
        events = await events_of(learner, begun["execution_id"])
        assert events[-1]["state_changed"]["state"] == "blocked"
        await edge.house.record(begun["execution_id"])
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()

        async def is_counted() -> bool:
            await page.goto(f"{edge.url}/research/charts")
            categories = page.locator("section[aria-labelledby=blocks-title] td:first-child")
            return "Gewalt" in await categories.all_inner_texts()

        await eventually(is_counted, within_seconds=30)


# --- care ----------------------------------------------------------------------------------------


async def test_records_are_verified_one_by_one_and_all(
    edge: Edge, browser: Browser, execution_id: str
) -> None:
    """A row says whether it is unchanged, and so does a look at all of them."""
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await search(page, edge.url, WORDS)
        await page.locator("#results td form button").click()
        await expect(page.locator("#results td .badge.good").last).to_have_text("unverändert")
        await page.goto(f"{edge.url}/research/care")
        await page.locator("form[action='/research/verify'] button").click()
        verified = page.locator("#verified .notice.good")
        await expect(verified).to_be_visible(timeout=60_000)
        await expect(verified).to_contain_text("Aufzeichnungen sind, wie sie gespeichert")
        await assert_accessible(page)


async def test_erasing_needs_the_name_twice_and_gives_a_receipt(
    edge: Edge, browser: Browser
) -> None:
    """A wrong name erases nothing; the right one all of it, and the receipt says so."""
    await record(edge, make_run(new_id(), user=ERASABLE))
    async with visiting(browser, edge.url) as visitor:
        page = await visitor.tab()
        await page.goto(f"{edge.url}/research/care")
        await page.fill("input[name=user_id]", ERASABLE)
        await page.locator("form[action='/research/erase'] button").click()
        await expect(page.locator("#doubt")).to_contain_text("1 Arbeiten")
        await assert_accessible(page)
        await page.fill("input[name=again]", "nor")
        await page.locator("form[action='/research/erase'] button").click()
        await expect(page.locator("#doubt")).to_contain_text("Das war nicht dasselbe")
        await page.fill("input[name=again]", ERASABLE)
        await page.locator("form[action='/research/erase'] button").click()
        await expect(page.locator("#receipt .notice.good")).to_be_visible(timeout=30_000)
        await assert_accessible(page)
        await expect(page.locator("#receipt dd").nth(3)).to_have_text("1")
        assert ERASABLE not in page.url
        assert visitor.never_told(ERASABLE)
