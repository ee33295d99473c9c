"""The words of the pages, in every language that they have."""

from __future__ import annotations

import re
import string
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.pages.language import LANGUAGES, Catalogue, accepted

USED = re.compile(r"""\bt\(\s*["']([a-z0-9_.]+[a-z0-9_])["']""")
PREFIX = re.compile(r"""["']((?:[a-z0-9_]+\.)+)["']""")  # the rest of such a key is a value


def templates() -> str:
    """All templates, one after the other."""
    folder = Path(str(files("gateway") / "templates"))
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.html"))


def test_every_language_has_every_text() -> None:
    """No key is missing, and the values that a text names are the same in all languages."""
    catalogue = Catalogue()
    for key in catalogue.keys("en") | catalogue.keys("de"):
        named = set()
        for language in LANGUAGES:
            assert key in catalogue.keys(language), f"{key} has no text in {language}"
            text = catalogue.text(language, key)
            assert text.strip()
            named.add(frozenset(name for _, name, *_ in string.Formatter().parse(text) if name))
        assert len(named) == 1, f"{key} names other values in another language"


def test_no_text_is_missing_or_left_over() -> None:
    """Templates use what there is, and there is what they use."""
    source = templates()
    exact = set(USED.findall(source))
    prefixes = tuple(set(PREFIX.findall(source)))
    keys = Catalogue().keys("en")
    assert exact <= keys, f"no such text: {sorted(exact - keys)}"
    left_over = {key for key in keys - exact if not key.startswith(prefixes)}
    assert not left_over, f"used nowhere: {sorted(left_over)}"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,en;q=0.5,de;q=0.7", "de"),
        ("fr-FR", "en"),
        ("", "en"),
        ("*;q=nonsense", "en"),
    ],
)
def test_pages_follow_the_language_of_the_browser(header: str, language: str) -> None:
    """The language that is liked best of those that there are, else English."""
    assert accepted(header) == language
