"""The HTTP edge before real services."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.ollama import FakeOllama
from tests.integration.http_edge import Edge, events_of, open_edge
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

IDEA = "Ein Turm aus Käse steht am Meer"
WISH = {
    "config": "dada",
    "texts": [IDEA],
    "safety_level": "kids",
    "language": "de",
    "parameters": {"width": 256, "height": 256},
}


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """A gateway before services whose model is a fake."""
    async with (
        FakeOllama("Ein Turm aus Seife singt leise.") as ollama,
        open_edge(tmp_path, ollama.url) as edge,
    ):
        yield edge


async def begun(browser: httpx.AsyncClient, **changes: Any) -> str:
    """Start a run and return its id."""
    answer = await browser.post("/api/executions", json={**WISH, **changes})
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    execution_id: str = answer.json()["execution_id"]
    return execution_id


async def test_an_idea_becomes_a_picture(edge: Edge) -> None:
    """Start, follow the events, fetch the whole picture, a part of it and a small one."""
    async with edge.browser() as browser:
        execution_id = await begun(browser)
        events = await events_of(browser, execution_id)
        assert events[-1]["state_changed"]["state"] == "completed"
        execution = (await browser.get(f"/api/executions/{execution_id}")).json()
        [output] = execution["outputs"]
        url = f"/api/executions/{execution_id}/items/{output['item_id']}/media"
        whole = await browser.get(url)
        assert whole.headers["content-type"] == "image/png"
        assert whole.headers["x-content-type-options"] == "nosniff"
        assert len(whole.content) == output["media"]["size_bytes"]
        for first, last in ((0, 9), (5, 5), (20_000, 20_099)):
            part = await browser.get(url, headers={"Range": f"bytes={first}-{last}"})
            assert part.status_code == HTTPStatus.PARTIAL_CONTENT
            assert part.content == whole.content[first : last + 1]
        beyond = await browser.get(url, headers={"Range": "bytes=99999999-"})
        assert beyond.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        known = await browser.get(url, headers={"If-None-Match": whole.headers["etag"]})
        assert (known.status_code, known.content) == (HTTPStatus.NOT_MODIFIED, b"")
        small = await browser.get(url, params={"thumbnail": 64})
        assert small.headers["content-type"] == "image/webp"
        assert len(small.content) < len(whole.content)


async def test_stream_goes_on_where_it_broke(edge: Edge) -> None:
    """From any event's id on, what comes is what came after it: no gap, no repeat."""
    async with edge.browser() as browser:
        execution_id = await begun(browser)
        numbered = [e for e in await events_of(browser, execution_id) if e["id"]]
        recorded = [e for e in numbered if e["event"] == "item_recorded"]
        middle = recorded[len(recorded) // 2]
        again = await events_of(browser, execution_id, after=middle["id"])
        after = [e["sequence_number"] for e in again if e["event"] == "item_recorded"]
        assert after == list(range(middle["sequence_number"] + 1, after[-1] + 1))


async def test_nobody_sees_what_another_browser_made(edge: Edge) -> None:
    """Another cookie, or none, finds nothing: not the run, its events, its picture, its end."""
    async with edge.browser() as one, edge.browser() as other:
        execution_id = await begun(one)
        events = await events_of(one, execution_id)
        [output] = (await one.get(f"/api/executions/{execution_id}")).json()["outputs"]
        assert events
        urls = (
            f"/api/executions/{execution_id}",
            f"/api/executions/{execution_id}/events",
            f"/api/executions/{execution_id}/items/{output['item_id']}/media",
            f"/api/media/{output['media']['sha256']}",
        )
        for url in urls:
            assert (await other.get(url)).status_code == HTTPStatus.NOT_FOUND
        cancelled = await other.post(f"/api/executions/{execution_id}/cancel")
        assert cancelled.json()["reason"] == "EXECUTION_NOT_FOUND"


async def test_texts_can_be_changed_between_the_stages(edge: Edge) -> None:
    """Step by step with an edit: the picture is made from the person's own words."""
    async with edge.browser() as browser:
        execution_id = await begun(browser, step_by_step=True)
        url = f"/api/executions/{execution_id}"

        async def waiting() -> Any:
            found = (await browser.get(url)).json()
            return found if found["state"] == "awaiting_edit" else None

        idea = await eventually(waiting)
        step = {"based_on_item_id": idea["head_item_id"]}
        assert (await browser.post(f"{url}/intercept", json=step)).status_code == 202
        await eventually(lambda: _moved(browser, url, idea["head_item_id"]))
        rewritten = await eventually(waiting)
        draft = next(each for each in rewritten["drafts"] if each["field"] == "interception")
        assert draft["text"] == "Ein Turm aus Seife singt leise."
        edit = {
            "of_item_id": draft["item_id"],
            "text": "Ein Turm aus Seife tanzt.",
            "editing_seconds": 4.5,
        }
        step = {"based_on_item_id": rewritten["head_item_id"], "edits": [edit]}
        stale = await browser.post(
            f"{url}/render", json={**step, "based_on_item_id": idea["head_item_id"]}
        )
        assert (stale.status_code, stale.json()["reason"]) == (409, "STEP_STALE")
        assert (await browser.post(f"{url}/render", json=step)).status_code == 202
        events = await events_of(browser, execution_id)
        assert events[-1]["state_changed"]["state"] == "completed"
        items = [e["item_recorded"]["item"] for e in events if e["event"] == "item_recorded"]
        [made] = [item for item in items if item["item_type"] == "user_edit"]
        assert made["content"] == "Ein Turm aus Seife tanzt."


async def _moved(browser: httpx.AsyncClient, url: str, head: str) -> bool:
    found = (await browser.get(url)).json()
    return bool(found["state"] == "awaiting_edit" and found.get("head_item_id") != head)


async def test_problems_say_what_is_wrong(edge: Edge) -> None:
    """problem+json with the reason, the faulty field, and never a text that came."""
    async with edge.browser() as browser:
        unknown = await browser.post("/api/executions", json={**WISH, "config": "dadda"})
        assert unknown.headers["content-type"] == "application/problem+json"
        assert (unknown.status_code, unknown.json()["reason"]) == (404, "CONFIG_NOT_FOUND")
        faulty = await browser.post("/api/executions", json={**WISH, "texts": [{"x": IDEA}]})
        assert (faulty.status_code, faulty.json()["faults"][0]["field"]) == (422, "texts.0")
        assert IDEA not in faulty.text
        nowhere = await browser.get("/api/nowhere")
        assert (nowhere.status_code, nowhere.json()["reason"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}]
)
async def test_another_site_can_do_nothing_here(edge: Edge, headers: dict[str, str]) -> None:
    """What another page makes a browser send is refused, whatever its cookie."""
    async with edge.browser() as browser:
        execution_id = await begun(browser)
        url = f"/api/executions/{execution_id}/cancel"
        answer = await browser.post(url, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (403, "FOREIGN_ORIGIN")


async def test_research_finds_exports_and_brings_back(edge: Edge) -> None:
    """The lists, one record, all of a config, and their import, which finds all of it there."""
    async with edge.browser() as browser:
        execution_id = await begun(browser)
        await events_of(browser, execution_id)
        await edge.house.record(execution_id)
        listed = (await browser.get("/api/research/config/dada/executions")).json()
        assert listed["executions"][0] == {
            **listed["executions"][0],
            "id": execution_id,
            "status": "completed",
            "preview": IDEA,
        }
        record = (await browser.get(f"/api/research/execution/{execution_id}")).json()
        assert record[0]["user_input"] == IDEA
        verified = await browser.post(f"/api/research/execution/{execution_id}/verify")
        assert verified.status_code == HTTPStatus.OK
        lines = await browser.get("/api/research/config/dada/export", params={"format": "jsonl"})
        assert lines.json()["execution_id"] == execution_id
        assert "attachment" in lines.headers["content-disposition"]
        report = await browser.post("/api/research/import", content=lines.content)
        assert (report.json()["read_count"], report.json().get("imported_count", 0)) == (1, 0)
