"""From data to a document, in a real browser at tablet size and over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.fakes.ollama import FakeOllama
from tests.integration.chromium import (
    PHONE,
    assert_accessible,
    assert_accessible_everywhere,
    open_browser,
    visiting,
)
from tests.integration.http_edge import Edge, events_of, open_edge
from tests.integration.test_gateway_api import WISH
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
INVOICE = {
    "customer": "Käserei Zaunkönig",
    "paid": False,
    "items": [
        {"name": "Bergkäse", "price": 12.5, "note": None},
        {"name": "Seife <script>alert(1)</script>", "price": 3},
    ],
    "tags": ["Käse", "Berg"],
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """A gateway before services whose model is a fake."""
    folder = tmp_path_factory.mktemp("exports")
    answer = "Die Käserei Zaunkönig bekommt eine Rechnung über zwei Posten."
    async with FakeOllama(answer) as ollama, open_edge(folder, ollama.url) as edge:
        yield edge


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with open_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def program(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """A program of somebody who may export."""
    async with edge.browser() as program:
        yield program


async def begin(page: Page, url: str, data: Any) -> str:
    """Hand data in; return the id of the workflow."""
    await page.goto(f"{url}/exports")
    await page.fill("input[name=document_type]", "Rechnung")
    await page.fill("textarea[name=document]", json.dumps(data, ensure_ascii=False))
    await page.click("form[enctype] button")
    await expect(page.locator("#summary")).to_be_visible()
    return page.url.rpartition("/")[2]


async def test_from_data_to_a_document(edge: Edge, browser: Browser) -> None:
    """Summary, changes, document with preview and download, another one, and two versions."""
    async with visiting(browser, edge.url) as researcher:
        page = await researcher.tab()
        await page.goto(f"{edge.url}/exports")
        await assert_accessible(page)
        await begin(page, edge.url, INVOICE)
        await expect(page.locator("#summary")).to_contain_text("Käserei Zaunkönig")
        await assert_accessible(page)

        await page.fill("[name='field:/items/0/price']", "13,75")
        await page.select_option("[name='field:/paid']", "true")
        await page.check("[name=remove][value='/items/1']")
        await page.fill("[name='add:/tags']", "neu")
        await expect(page.locator("#unsaved")).to_contain_text("4 geändert")
        await page.click("button[value=save]")
        await expect(page.locator("#versions")).to_contain_text("4 Änderungen")
        await page.fill("[name='field:/customer']", "Seifensiederei")
        await page.check("[name=template][value=full_report]")
        await page.check("[name=format][value=html]")
        await page.fill("[name=instructions]", "für Kinder")
        await page.click("button[value=document]")

        await expect(page.locator("#document")).to_be_visible()
        shown = page.frame_locator("iframe.preview")
        await expect(shown.locator("body")).to_contain_text("Seifensiederei")
        await expect(shown.locator("body")).to_contain_text("13.75")
        await assert_accessible(page)
        async with page.expect_download() as begun:
            await page.click("#download")
        download = await begun.value
        assert download.suggested_filename.endswith(".html")

        await page.click("#again summary")
        await page.check("#again [name=format][value=markdown]")
        await page.click("#again form button")
        await expect(page.locator("#earlier")).to_contain_text(".html")
        await page.select_option("[name=score]", "0.75")
        await page.click("form[action$=rating] button")
        await expect(page.locator("#document dl")).to_contain_text("75 %")

        await page.click("form[action$=comparison] button")
        table = page.locator(".differences")
        await expect(table.locator("tr.modification", has_text="13.75")).to_be_visible()
        await expect(table.locator("tr.deletion", has_text="Seife")).to_be_visible()
        await expect(table.locator("tr.addition", has_text="neu")).to_be_visible()
        await expect(page.locator(".side pre")).to_have_count(2)
        await assert_accessible(page)
        await page.goto(f"{edge.url}/exports")
        await expect(page.locator("tbody tr").first).to_contain_text("fertig")
        insights = page.locator("#insights")
        for told in ("von Menschen geändert", "Ganzer Bericht", "Markdown", "items[].price"):
            await expect(insights).to_contain_text(told)
        await assert_accessible_everywhere(page)
        assert researcher.never_told("Zaunkönig")


async def test_what_goes_wrong_is_said(edge: Edge, browser: Browser) -> None:
    """On a phone: no JSON, a word for a number, and a version that somebody else has passed."""
    async with visiting(browser, edge.url, viewport=PHONE) as researcher:
        page = await researcher.tab()
        await page.goto(f"{edge.url}/exports")
        await page.fill("input[name=document_type]", "Rechnung")
        await page.fill("textarea[name=document]", "{")
        await page.click("form[enctype] button")
        await expect(page.locator("#notice")).to_contain_text("kein JSON")
        await begin(page, edge.url, INVOICE)
        other = await researcher.tab()
        await other.goto(page.url)
        await page.fill("[name='field:/items/0/price']", "viel")
        await page.click("button[value=save]")
        await expect(page.locator("#notice")).to_contain_text("Zahl")
        await assert_accessible(page)
        await page.fill("[name='field:/items/0/price']", "1")
        await page.click("button[value=save]")
        await expect(page.locator("#versions")).to_be_visible()
        await other.fill("[name='field:/customer']", "Andere")
        await other.click("button[value=save]")
        await expect(other.locator("#notice")).to_contain_text("neuere Fassung")


async def test_a_program_goes_the_same_way(program: httpx.AsyncClient) -> None:
    """The endpoints record the three stages, and the file is what its hash says."""
    document = {"document_type": "invoice", "data": INVOICE}
    begun = await program.post("/api/exports", json={"document": document, "language": "de"})
    assert begun.status_code == HTTPStatus.CREATED, begun.text
    address = f"/api/exports/{begun.json()['workflow']['export_workflow_id']}"
    changed = await program.post(
        f"{address}/modifications",
        json={"modified_data": {**INVOICE, "paid": True}, "base_version": 0},
    )
    [change] = changed.json()["record"]["user_modifications"]["changes"]
    assert (change["field"], change["change_type"], change["new"]) == ("paid", "modification", True)
    missing = await program.post(f"{address}/deliverable", json={})
    assert (missing.status_code, missing.json()["reason"]) == (400, "TEMPLATE_MISSING")
    early = await program.post(f"{address}/regenerate", json={"export_format": "csv"})
    assert (early.status_code, early.json()["reason"]) == (409, "STAGE_OUT_OF_ORDER")
    wish = {"document_template": "data_table", "export_format": "json"}
    made = await program.post(f"{address}/deliverable", json=wish)
    assert made.status_code == HTTPStatus.OK, made.text
    digest = base64.b64encode(hashlib.sha256(made.content).digest()).decode()
    assert made.headers["content-digest"] == f"sha-256=:{digest}:"
    again = await program.post(f"{address}/regenerate", json={"export_format": "csv"})
    assert "Bergk" in again.text
    earlier = await program.get(f"{address}/deliverable", params={"version": 1})
    assert earlier.content == made.content
    rated = await program.post(f"{address}/rating", json={"score": 0.5})
    assert rated.json()["record"]["stage"] == "final_summary_and_deliverable"
    compared = (await program.get(f"{address}/comparison", params={"to_version": 1})).json()
    assert (compared["from_data"]["paid"], compared["to_data"]["paid"]) == (False, True)
    async with program.stream("GET", f"{address}/events", params={"after": 1}) as stream:
        lines = stream.aiter_lines()
        told = [await anext(lines) for _ in range(2)]
        assert told[0] == "event: deliverable_ready"
        assert json.loads(told[1].removeprefix("data:"))["deliverable_ready"] == 2
    whole = (await program.get(address)).json()
    assert whole["workflow"]["status"] == "completed"
    assert len(whole["records"]) == 4
    history = (await program.get("/api/exports/history", params={"status": "completed"})).json()
    assert address.endswith(history["workflows"][0]["export_workflow_id"])
    figures = (await program.get("/api/exports/insights")).json()
    assert figures["completed_count"] >= 1


async def test_runs_become_documents_without_scripts(program: httpx.AsyncClient) -> None:
    """From a run and from a sitting's runs, by forms alone; large data are edited as JSON."""
    runs = []
    for idea in ("Ein Turm aus Käse", "Ein Schiff aus Papier"):
        begun = await program.post("/api/executions", json={**WISH, "texts": [idea]})
        runs.append(begun.json()["execution_id"])
        await events_of(program, runs[-1])
    record = (await eventually(lambda: recorded(program, runs[-1])))["record"]
    sources = ({"execution_id": runs[-1]}, {"session_id": record["session_id"]})
    for source, count in zip(sources, (1, 2), strict=True):
        page = await until_there(program, await program.post("/exports", data=source))
        form = page.text.partition('id="data"')[2]
        assert f'name="field:/totals/executions" value="{count}"' in form
        wish = {"way": "document", "template": "learning_journey", "format": "markdown"}
        page = await until_there(program, await program.post(f"{page.url.path}/data", data=wish))
        shown = await program.get(f"{page.url.path}/documents/1/preview")
        assert "Ein Schiff aus Papier" in shown.text
        assert "sandbox" in shown.headers["content-security-policy"]
    large = json.dumps({"numbers": list(range(2000))})
    handed_in = {"document_type": "numbers", "document": large}
    page = await until_there(program, await program.post("/exports", data=handed_in))
    assert 'name="json"' in page.text
    changed = {"way": "save", "json": json.dumps({"numbers": [1]})}
    await program.post(f"{page.url.path}/data", data=changed)
    assert "Version 1" in (await program.get(page.url.path)).text


async def recorded(program: httpx.AsyncClient, execution_id: str) -> Any:
    """Return what search tells of a run, once its record is complete."""
    listed = (await program.get(f"/api/research/execution/{execution_id}")).json()
    [record] = listed if isinstance(listed, list) else [listed]
    return {"record": record} if record.get("status") == "completed" else None


async def until_there(program: httpx.AsyncClient, answer: httpx.Response) -> httpx.Response:
    """Follow what a form answered, until what it began is done."""

    async def done() -> httpx.Response | None:
        page = await program.get(answer.headers["location"], follow_redirects=True)
        assert page.status_code == HTTPStatus.OK, page.text
        assert "notice bad" not in page.text, page.text
        return None if "/works/" in page.url.path else page

    found = await eventually(done, within_seconds=60)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "SOURCE_MISSING"),
        ({"execution_id": "x", "document": {"document_type": "a", "data": {}}}, "SOURCE_MISSING"),
        ({"document": {"document_type": "a", "data": "text"}}, "DOCUMENT_INVALID"),
        ({"document": {"document_type": "a", "data": ["x" * 2**20]}}, "DOCUMENT_TOO_LARGE"),
        ({"document": {"document_type": "a", "data": {"a": "\ud800"}}}, "DOCUMENT_INVALID"),
        ({"selection": {}}, "SOURCE_MISSING"),
        ({"selection": {"start_time_from": "0001-01-01T00:01:00+01:00"}}, "TIME_INVALID"),
    ],
    ids=["none", "two", "no object", "large", "half a character", "everything", "no time"],
)
async def test_faulty_sources_are_refused(
    program: httpx.AsyncClient, body: dict[str, Any], reason: str
) -> None:
    """The reason says what is wrong."""
    answer = await program.post("/api/exports", content=json.dumps(body), headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
