"""How the gateway behaves around requests: what it logs, what it refuses, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import httpx
import pytest
import pytest_asyncio
import structlog

from servicekit.logging import add_ids
from tests.fakes.ollama import FakeOllama
from tests.integration.http_edge import Edge, events_of, open_edge
from tests.integration.test_gateway_api import IDEA, WISH
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "Geheimniskrämer"
LISTENERS = 30
STEP_OF_SECRET = {"way": "render", "based_on": "", "item": "x", "words": SECRET}
TEXTS_ONLY = {**WISH, "parameters": {}, "text_only": True}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ollama() -> AsyncIterator[FakeOllama]:
    """The model."""
    async with FakeOllama("Ein Turm aus Seife singt leise.") as ollama:
        yield ollama


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory, ollama: FakeOllama) -> AsyncIterator[Edge]:
    """A gateway before services whose model is a fake."""
    folder = tmp_path_factory.mktemp("edge")
    async with open_edge(folder, ollama.url, max_upload_bytes=100_000) as edge:
        yield edge


@dataclass
class Process:
    """A gateway in a process of its own.

    Attributes:
        url: Where it serves.
        lines: What it has logged.
    """

    process: asyncio.subprocess.Process
    url: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def read(self) -> None:
        """Read what it logs, to the end."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))


@contextlib.asynccontextmanager
async def gateway_process(house: House, folder: Path) -> AsyncIterator[Process]:
    """Run `python -m gateway`; it is killed at the end, if it still runs."""
    environment = os.environ | {
        "GATEWAY_LISTEN_ADDRESS": "127.0.0.1:0",
        "GATEWAY_ORCHESTRATOR_ADDRESS": house.address,
        "GATEWAY_GENERATION_ADDRESS": house.settings.generation_address,
        "GATEWAY_TRACKER_ADDRESS": house.settings.tracker_address,
        "GATEWAY_COOKIE_SECRET_FILE": str(folder / "gateway.secret"),
        "GATEWAY_GRACE_SECONDS": "30",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=environment, stdout=asyncio.subprocess.PIPE
    )
    gateway = Process(process)
    reading = asyncio.create_task(gateway.read())
    try:

        def started() -> str:
            found = [each["address"] for each in gateway.lines if "address" in each]
            return found[0] if found else ""

        gateway.url = f"http://{await eventually(started, within_seconds=60)}"
        yield gateway
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


async def test_requests_are_joined_with_calls_by_their_id(edge: Edge) -> None:
    """The id that a browser gets is on the gateway's line and on those of the services."""
    with structlog.testing.capture_logs(processors=[add_ids]) as lines:
        async with edge.browser() as browser:
            answer = await browser.get("/api/configs")
    mine = [each for each in lines if each.get("request_id") == answer.headers["x-request-id"]]
    assert {each["event"] for each in mine} == {"rpc_finished", "request_finished"}
    [line] = [each for each in mine if each["event"] == "request_finished"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/configs", 200)
    assert line["session_id"]


async def test_upload_that_does_not_say_its_size_is_refused(edge: Edge) -> None:
    """Bytes are counted as they come; the message names the limit."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        for _ in range(200):
            yield b"0" * 10_000

    headers = {"content-type": "multipart/form-data; boundary=x"}
    async with edge.browser() as browser:
        answer = await browser.post("/api/media", content=endless(), headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (413, "MEDIA_TOO_LARGE")
        told = await browser.post("/api/media", files={"file": b"0" * 200_000})
        assert (told.status_code, told.json()["reason"]) == (413, "MEDIA_TOO_LARGE")
        large = await browser.post("/api/executions", content=b" " * 9_000_000)
        assert (large.status_code, large.json()["reason"]) == (413, "REQUEST_TOO_LARGE")


async def test_thirty_listen_to_thirty_runs(edge: Edge) -> None:
    """Everybody hears the whole run that is theirs, and nothing else."""

    async def run(number: int) -> None:
        async with edge.browser() as browser:
            wish = {**TEXTS_ONLY, "texts": [f"{IDEA} und {number} Möwen"]}
            begun = await browser.post("/api/executions", json=wish)
            assert begun.status_code == HTTPStatus.CREATED, begun.text
            execution_id = begun.json()["execution_id"]
            events = await events_of(browser, execution_id)
            assert {event["execution_id"] for event in events} == {execution_id}
            assert events[-1]["state_changed"]["state"] == "completed"
            numbers = [e["sequence_number"] for e in events if e["event"] == "item_recorded"]
            assert numbers == list(range(1, len(numbers) + 1))
            [text] = [
                event["item_recorded"]["item"]["content"]
                for event in events
                if event["event"] == "item_recorded"
                and event["item_recorded"]["item"]["item_type"] == "user_input_text"
            ]
            assert text.endswith(f" {number} Möwen")

    async with asyncio.TaskGroup() as tasks:
        for number in range(LISTENERS):
            tasks.create_task(run(number))


async def test_requests_at_once_of_one_browser_are_one_learner(edge: Edge) -> None:
    """Pages opened at once at a first visit, and things made at once after it: one person."""
    async with edge.browser() as browser:
        await asyncio.gather(*(browser.get("/") for _ in range(4)))
        answers = await asyncio.gather(
            *(browser.post("/api/executions", json=TEXTS_ONLY) for _ in range(5))
        )
        for answer in answers:
            assert answer.status_code == HTTPStatus.CREATED, answer.text
            execution_id = answer.json()["execution_id"]
            found = await browser.get(f"/api/executions/{execution_id}")
            assert found.status_code == HTTPStatus.OK


async def test_an_answer_that_comes_late_changes_nobody(edge: Edge) -> None:
    """A page asked for before the first run may answer after it, and takes nothing away."""
    async with edge.browser() as browser, edge.browser() as slow:
        await browser.get("/")
        begun = await browser.post("/api/executions", json=TEXTS_ONLY)
        late = await slow.get("/")  # as if this browser had asked, too, before it had a cookie
        browser.cookies.update(late.cookies)
        again = await browser.post("/api/executions", json=TEXTS_ONLY)
        for answer in (begun, again):
            found = await browser.get(f"/api/executions/{answer.json()['execution_id']}")
            assert found.status_code == HTTPStatus.OK


async def test_offers_of_others_are_worth_nothing(edge: Edge) -> None:
    """Nobody chooses a pseudonym: what we did not sign is as if it were not there."""
    async with edge.browser() as browser:
        browser.cookies.set("stellwerk-offer", "0" * 32 + ".nonsense", domain="127.0.0.1")
        begun = await browser.post("/api/executions", json=TEXTS_ONLY)
        assert begun.status_code == HTTPStatus.CREATED
        given = begun.headers.get_list("set-cookie")
        assert any(cookie.startswith("stellwerk-offer=") for cookie in given)
        assert all("HttpOnly" in cookie or "httponly" in cookie for cookie in given)


async def test_process_stops_with_open_streams_and_has_logged_no_text(
    edge: Edge, ollama: FakeOllama, tmp_path: Path
) -> None:
    """SIGTERM ends streams at once, long before the grace time; no line holds what was written."""
    ollama.first_token_delay_seconds = 20.0
    async with (
        gateway_process(edge.house, tmp_path) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as browser,
    ):
        wish = {**WISH, "texts": [f"{IDEA} {SECRET}"]}
        begun = (await browser.post("/api/executions", json=wish)).json()
        await browser.post("/api/research/search", json={"text": SECRET})
        pages = [
            await browser.post("/make", data={"config": "dada", "text": SECRET, "outputs": SECRET}),
            await browser.post("/make", data={"config": SECRET, "text": SECRET, "rule": SECRET}),
            await browser.post(f"/make/{begun['execution_id']}/step", data=STEP_OF_SECRET),
            await browser.post("/research", data={"text": SECRET}),
            await browser.post("/login", data={"api_key": SECRET}),
            await browser.get("/look/x", params={"view": SECRET}),
        ]
        addresses = [answer.headers.get("location", "") for answer in pages]
        assert SECRET not in unquote_plus("".join(addresses))
        await browser.get("/api/nowhere", params={"q": SECRET})
        await browser.get(f"/{SECRET}")
        url = f"/api/executions/{begun['execution_id']}/events"
        async with browser.stream("GET", url) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            gateway.process.send_signal(signal.SIGTERM)
            rest = [line async for line in lines]
            assert "event: done" not in rest
        assert await asyncio.wait_for(gateway.process.wait(), 25) == 0
    assert SECRET not in json.dumps(gateway.lines, ensure_ascii=False)
    routes = {each["route"] for each in gateway.lines if each["event"] == "request_finished"}
    assert "/api/executions/{execution_id}/events" in routes
    assert begun["execution_id"] not in "".join(routes)
