"""docs/configuration.md says what the settings classes say."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_current() -> None:
    """`make docs` would change nothing."""
    made = runpy.run_path(str(DOCS / "configuration.py"))["page"]()
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == made


def test_every_setting_is_described() -> None:
    """No setting leaves its reader guessing."""
    for cls in runpy.run_path(str(DOCS / "configuration.py"))["SERVICES"]:
        missing = [name for name, field in cls.model_fields.items() if not field.description]
        assert missing == [], cls.__name__
