"""What the pages share: logging in, the language, failures, styles; as seen by an HTTP client."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from servicekit.api_keys import create_key
from servicekit.principals import Role
from tests.fakes.ollama import FakeOllama
from tests.integration.http_edge import Edge, open_edge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="module")

GERMAN = {"accept-language": "de"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A key file, and a teacher's key in it."""
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    return path, create_key(path, role=Role.TEACHER, user="frau-kim", group="4b")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, str]
) -> AsyncIterator[Edge]:
    """A gateway that asks staff for keys."""
    folder = tmp_path_factory.mktemp("doors")
    async with FakeOllama() as ollama, open_edge(folder, ollama.url, api_keys_file=keys[0]) as edge:
        yield edge


@pytest_asyncio.fixture(loop_scope="module")
async def browser(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that nobody has used yet."""
    async with edge.browser(headers=GERMAN) as browser:
        yield browser


async def test_staff_log_in_and_out(browser: httpx.AsyncClient, keys: tuple[Path, str]) -> None:
    """What is for staff asks for a key, leads there with it, and is closed again after leaving."""
    closed = await browser.get("/workshop")
    assert closed.status_code == HTTPStatus.SEE_OTHER
    assert closed.headers["location"] == "/login?back=%2Fworkshop"
    wrong = await browser.post("/login", data={"api_key": "sw_nobody", "back": "/workshop"})
    assert wrong.status_code == HTTPStatus.FORBIDDEN
    assert "nicht bekannt" in wrong.text
    right = await browser.post("/login", data={"api_key": keys[1], "back": "/workshop"})
    assert right.headers["location"] == "/workshop"
    assert "Abmelden" in (await browser.get("/")).text
    await browser.post("/logout")
    assert "Abmelden" not in (await browser.get("/")).text


@pytest.mark.parametrize("back", ["https://elsewhere.example/", "//elsewhere.example", "/\\else"])
async def test_doors_lead_nowhere_else(browser: httpx.AsyncClient, back: str) -> None:
    """An address of another site is not gone to."""
    answer = await browser.post("/language", data={"language": "en", "back": back})
    assert answer.headers["location"] == "/"


async def test_a_chosen_language_stays(browser: httpx.AsyncClient) -> None:
    """The browser's language first, then the one that was chosen; another one changes nothing."""
    assert "Was soll entstehen?" in (await browser.get("/")).text
    await browser.post("/language", data={"language": "en"})
    await browser.post("/language", data={"language": "tlh"})
    page = await browser.get("/")
    assert "What shall it become?" in page.text
    assert '<html lang="en">' in page.text


async def test_failures_are_pages_and_notices(browser: httpx.AsyncClient) -> None:
    """A person sees words in their language; a part of a page becomes a notice on it."""
    lost = await browser.get("/make/nothing-here")
    assert lost.status_code == HTTPStatus.NOT_FOUND
    assert "gehört jemand anderem" in lost.text
    assert lost.headers["cache-control"] == "private, no-store"
    empty = await browser.post(
        "/make", data={"config": "dada", "text": " "}, headers={"HX-Request": "true"}
    )
    assert empty.status_code == HTTPStatus.BAD_REQUEST
    assert empty.headers["hx-retarget"] == "#notice"
    assert "Da steht noch nichts" in empty.text
    assert "<html" not in empty.text


@pytest.mark.parametrize(
    "form",
    [
        {"config": "dada", "text": "wort " * 5000},
        {"config": "", "text": "Ein Turm"},
        {"config": "dada", "text": "Ein Turm", "seed": "9" * 20},
        {"config": "dada", "text": "Ein Turm", "outputs": ["embedded_image"] * 12},
    ],
    ids=["long text", "no style", "large seed", "many outputs"],
)
async def test_a_faulty_form_is_said_kindly(
    browser: httpx.AsyncClient, form: dict[str, str]
) -> None:
    """Whatever is sent, it is the form that is wrong, never the server."""
    answer = await browser.post("/make", data=form)
    assert HTTPStatus.BAD_REQUEST <= answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    assert "wort wort" not in answer.text


async def test_what_cannot_be_made_here_says_why(browser: httpx.AsyncClient) -> None:
    """An output without its machine is shown, cannot be chosen, and names what is missing."""
    form = (await browser.get("/")).text
    for output, is_possible in (("sd35_large", False), ("embedded_image", True)):
        choice = form.partition(f'value="{output}"')[2].partition("</label>")[0]
        assert (" disabled" not in choice.partition(">")[0]) is is_possible
        assert ("Kein Grafikrechner" not in choice) is is_possible


async def test_styles_are_kept_until_they_change(browser: httpx.AsyncClient) -> None:
    """An address with the hash of the content is for ever, one without is asked for each time."""
    page = (await browser.get("/")).text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    kept = await browser.get(address)
    assert "immutable" in kept.headers["cache-control"]
    assert kept.headers["content-encoding"] == "gzip"
    bare = await browser.get(address.partition("?")[0])
    assert bare.headers["cache-control"] == "no-cache"
    known = await browser.get(address, headers={"If-None-Match": bare.headers["etag"]})
    assert (known.status_code, known.content) == (HTTPStatus.NOT_MODIFIED, b"")
    for path in ("/static/vendor/htmx.LICENSE", "/static/../app.py", "/static/nothing.css"):
        assert (await browser.get(path)).status_code == HTTPStatus.NOT_FOUND
