"""What the pages offer to whom: nothing that is refused afterwards, and all that is allowed."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.fakes.ollama import FakeOllama
from tests.integration.guarded_house import ANSWER, GuardedHouse, open_guarded_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAFF = ("tom", "rosa", "ada")
LINK = re.compile(r'<a [^>]*?href="(/(?:research|exports|workshop)[^"#]*)"')
FORM = re.compile(r'<form [^>]*?method="post"[^>]*?action="(/(?:research|exports|workshop)[^"]*)"')
IMPORT = "/research/import"
ERASE = "/research/erase"
OFFERS = {"tom": set(), "rosa": {IMPORT}, "ada": {IMPORT, ERASE}}
"""What the roles differ in: teacher, researcher, admin."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedHouse]:
    """A house in which a learner has made a picture."""
    async with (
        FakeOllama(ANSWER) as ollama,
        open_guarded_house(tmp_path_factory.mktemp("guarded"), ollama.url) as house,
    ):
        yield house


async def walked(browser: httpx.AsyncClient) -> tuple[dict[str, int], set[str]]:
    """Follow all links from the first page of the staff on.

    Returns:
        Status by address, and the addresses of all forms.
    """
    found: dict[str, int] = {}
    forms: set[str] = set()
    ahead = ["/research"]
    while ahead:
        address = ahead.pop()
        answer = await browser.get(address)
        found[address] = answer.status_code
        if answer.headers["content-type"].startswith("text/html"):
            forms |= set(FORM.findall(answer.text))
            links = (link.replace("&amp;", "&") for link in LINK.findall(answer.text))
            ahead += [link for link in links if link not in found and link not in ahead]
    return found, forms


@pytest.mark.parametrize("name", STAFF)
async def test_nothing_that_a_page_offers_is_refused(house: GuardedHouse, name: str) -> None:
    """Every link leads somewhere, every button does something, and only what roles may differs."""
    async with house.browser(name) as browser:
        pages, forms = await walked(browser)
        assert set(pages) >= {"/research", "/research/care", "/exports", "/workshop"}
        assert not {page: status for page, status in pages.items() if status != HTTPStatus.OK}
        assert {"/research/verify", "/exports"} <= forms
        assert {"/workshop/pause", "/workshop/resume"} & forms
        assert {IMPORT, ERASE} & forms == OFFERS[name]
        assert ("Verify and erase" in (await browser.get("/research")).text) == (name == "ada")
        for form in sorted(forms):
            answer = await browser.post(form)
            refused = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
            assert answer.status_code not in refused, form


@pytest.mark.parametrize(
    ("name", "method", "address"),
    [
        ("tom", "GET", IMPORT),
        ("tom", "POST", IMPORT),
        ("tom", "POST", ERASE),
        ("rosa", "POST", ERASE),
    ],
)
async def test_what_is_not_offered_is_refused_at_once(
    house: GuardedHouse, name: str, method: str, address: str
) -> None:
    """Who finds the address of a page that is not theirs is not asked anything first."""
    async with house.browser(name) as browser:
        answer = await browser.request(method, address, data={"user_id": "lea"})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "<form method" not in answer.text.partition("<main")[2]
