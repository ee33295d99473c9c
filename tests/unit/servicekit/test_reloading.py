"""Files that are taken up anew when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servicekit.reloading import Reloading
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path


def numbers(folder: Path) -> Reloading[int]:
    """Holds the sum of the numbers in a folder's files."""
    return Reloading(
        "numbers",
        lambda: sum(int(path.read_text()) for path in folder.iterdir()),
        [folder, folder / "missing"],
        ValueError,
    )


async def test_change_is_taken_up_and_a_faulty_one_is_not(tmp_path: Path) -> None:
    """The last good value stays, the fault is told, and mending it is enough."""
    (tmp_path / "a").write_text("1")
    held, told = numbers(tmp_path), []

    async def changed(in_order: bool) -> None:
        told.append(in_order)

    async with held.watching(0.01, changed):
        (tmp_path / "b").write_text("20")
        await eventually(lambda: held.value == 21)
        (tmp_path / "b").write_text("twenty")
        await eventually(lambda: held.fault is not None)
        assert held.value == 21
        (tmp_path / "b").write_text("300")
        await eventually(lambda: held.value == 301)
        await eventually(lambda: told[-1])
    assert held.fault is None
    assert False in told


def test_nothing_to_begin_with_is_an_error(tmp_path: Path) -> None:
    """A service does not start with faulty files."""
    (tmp_path / "a").write_text("one")
    with pytest.raises(ValueError, match="one"):
        numbers(tmp_path)
