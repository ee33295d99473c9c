"""Names and writing of the record files."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracker_service.test_json_form import make_record
from tracker_service.files import MAX_NAME_BYTES, record_path, safe_name, write_record

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = set(string.ascii_letters + string.digits + "._-~%")


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_names_are_harmless(text: str) -> None:
    """Whatever a config is called, its folder has a plain, short name that hides nothing."""
    name = safe_name(text)
    assert set(name) <= ALLOWED
    assert 0 < len(name) <= MAX_NAME_BYTES
    assert not name.startswith(".")
    assert name not in ("sessions", "analytics")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dada", "dada"),
        ("u_anna_x", "u_anna_x"),
        ("folder/x", "folder%2Fx"),
        ("..", "%2E."),
        ("sessions", "%73essions"),
        ("analytics", "%61nalytics"),
        ("", "_"),
        ("Größe", "Gr%C3%B6%C3%9Fe"),
    ],
)
def test_names_stay_readable(text: str, name: str) -> None:
    """Usual names stay as they are, reserved and unusual ones are encoded."""
    assert safe_name(text) == name


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Writing again replaces the file and leaves nothing else behind."""
    path = record_path(tmp_path, "dada", "a:b")
    for user in ("anna", "berta"):
        write_record(path, make_record([], user_id=user))
    assert [one.name for one in path.parent.iterdir()] == ["a%3Ab.json"]
    assert '"user_id": "berta"' in path.read_text(encoding="utf-8")
