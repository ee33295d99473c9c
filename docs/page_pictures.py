"""Makes the pictures of the web page that the documentation shows, in a real browser.

Usage: `python docs/page_pictures.py http://127.0.0.1:8080`, with `stellwerk up` running and
Chromium installed. Writes `page-*.jpg` beside this file.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import ViewportSize, expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOCS = Path(__file__).resolve().parent
TABLET = ViewportSize(width=1180, height=820)
PHONE = ViewportSize(width=390, height=844)
MOST_BYTES = 150_000
PATIENCE_MS = 180_000
IDEA = "Ein Haus am Meer, daneben ein Baum und ein roter Drache"


def main() -> None:
    """Go through the pages and write what they look like."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False
        )
        _tablet(browser, sys.argv[1])
        _phone(browser, sys.argv[1])
        staff(browser, sys.argv[1])
        browser.close()


def _tablet(browser: Browser, url: str) -> None:
    page = browser.new_page(viewport=TABLET, locale="de-DE", base_url=url)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    _keep(page, "page-idea")
    _choose(page, "dada", ["embedded_image"])
    page.click("button[value=steps]")
    page.click("button[value=intercept]")
    expect(page.locator("button[value=render]")).to_be_visible(timeout=PATIENCE_MS)
    _keep(page, "page-edit")
    page.goto(url)
    _choose(page, "surrealism", ["embedded_image", "embedded_3d", "embedded_sound"])
    page.click("button[value=all]")
    _until_over(page)
    _keep(page, "page-outputs")
    _look(page, "learner")
    page.goto(url)
    _choose(page, "stillepost", [])
    page.click("button[value=all]")
    _until_over(page)
    for view in ("advanced", "researcher"):
        _look(page, view)


def _phone(browser: Browser, url: str) -> None:
    page = browser.new_page(
        viewport=PHONE, locale="de-DE", color_scheme="dark", has_touch=True, device_scale_factor=2
    )
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    _choose(page, "bauhaus", ["embedded_image"])
    page.click("button[value=all]")
    _until_over(page)
    page.locator("#output-1 img").scroll_into_view_if_needed()
    _keep(page, "page-phone")


def staff(browser: Browser, url: str) -> None:
    """Show research and workshop as they are now: best with many records and a paused queue."""
    page = browser.new_page(viewport=TABLET, locale="de-DE", base_url=url)
    page.set_default_timeout(PATIENCE_MS)
    for address, name in (
        ("research", "page-research"),
        ("research/charts", "page-figures"),
        ("workshop", "page-workshop"),
    ):
        page.goto(f"{url}/{address}")
        _keep(page, name)
    _document(page, url)


def _document(page: Page, url: str) -> None:
    """Make a document of the latest execution, and show what it is made from."""
    page.goto(f"{url}/research")
    page.click("td.idea a")
    page.click("form[action='/exports'] button")
    expect(page.locator("#summary")).to_be_visible(timeout=PATIENCE_MS)
    page.check("[name=template][value=learning_journey]")
    page.check("[name=format][value=html]")
    page.click("button[value=document]")
    expect(page.locator("#document")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle")
    _keep(page, "page-export")


def _look(page: Page, view: str) -> None:
    execution_id = page.url.partition("?")[0].rpartition("/")[2]
    page.goto(f"/look/{execution_id}?view={view}")
    _keep(page, f"page-look-{view}")


def _choose(page: Page, style: str, outputs: list[str]) -> None:
    page.fill("textarea[name=text]", IDEA)
    for choice in (style, *outputs):
        page.check(f"input[value={choice}]", force=True)


def _until_over(page: Page) -> None:
    expect(page.locator("#run[data-over=yes]")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # a model in 3D is drawn after it was fetched


def _keep(page: Page, name: str) -> None:
    """Write what is seen, as small as it must be."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for quality in range(88, 30, -6):
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality, optimize=True)
        if len(data.getvalue()) <= MOST_BYTES:
            break
    (DOCS / f"{name}.jpg").write_bytes(data.getvalue())


if __name__ == "__main__":
    main()
