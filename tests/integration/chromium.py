"""The pages in a real browser: Debian's Chromium, driven through Playwright."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, Page, Request, ViewportSize

TABLET: ViewportSize = {"width": 1180, "height": 820}
PHONE: ViewportSize = {"width": 390, "height": 844}
LIMIT_MS = 60_000
"""For anything that is waited for: far more than it should take."""
expect.set_options(timeout=LIMIT_MS)
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@dataclass
class Visitor:
    """A person with a browser of their own: cookies, tabs, and what went wrong in them.

    Attributes:
        context: The browser's.
        url: The gateway's.
        faults: Errors of scripts, refusals of the policy, requests to other sites.
        requests: All requests.
        is_offline: Whether the network was taken away; then complaints about that are no faults.
        is_provoked: Whether programs on the page try what is refused; then refusals are no faults.
    """

    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    is_offline: bool = False
    is_provoked: bool = False

    async def tab(self) -> Page:
        """Open a tab."""
        page = await self.context.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("request", self._asked)
        return page

    def _heard(self, kind: str, text: str) -> None:
        # Refused requests are noted, too; these belong to what is tested.
        is_refusal = text.startswith(("Failed to load resource", "Response Status Error Code"))
        is_expected = self.is_offline or self.is_provoked or is_refusal
        if kind == "error" and not is_expected:
            self.faults.append(text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request)
        parts = urlsplit(request.url)
        is_foreign = f"{parts.scheme}://{parts.netloc}" != self.url
        if parts.scheme in {"http", "https"} and is_foreign and not self.is_provoked:
            self.faults.append(f"asked another site: {request.url}")

    def never_told(self, words: str) -> bool:
        """Tell whether words stayed out of every address and `Referer`."""
        return not any(
            words in unquote_plus(text)
            for request in self.requests
            for text in (request.url, request.headers.get("referer", ""))
        )


@contextlib.asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start the system's Chromium; skip the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def visiting(browser: Browser, url: str, **options: Any) -> AsyncIterator[Visitor]:
    """Let a person come; at the end nothing may have gone wrong in their browser."""
    # Without motion: what is fading in would have its contrast measured on the way.
    usual = {"viewport": TABLET, "locale": "de-DE", "reduced_motion": "reduce"}
    context = await browser.new_context(**{**usual, **options})
    visitor = Visitor(context, url)
    try:
        yield visitor
    finally:
        await context.close()
    assert not visitor.faults, visitor.faults


async def assert_accessible(page: Page) -> None:
    """Hold a page as it is now against WCAG 2.2, levels A and AA."""
    results = await Axe().run(page, options=_RULES)
    assert results.violations_count == 0, results.generate_report()


async def assert_accessible_everywhere(page: Page) -> None:
    """The same on a tablet and on a phone, where nothing may be wider than the screen."""
    for size in (PHONE, TABLET):
        await page.set_viewport_size(size)
        await assert_accessible(page)
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{wide} pixels too wide for {size['width']}"
