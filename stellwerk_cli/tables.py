"""Rows as aligned columns: readable, and still one line a row for `grep` and `awk`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; the last column is as wide as it likes.

    Args:
        head: Names of the columns.
        rows: As many cells each; an empty one is shown as a dash, so that columns can be counted.
    """
    lines = [list(head), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def seconds(value: float) -> str:
    """Return a duration for people: `0.4 s`, `12 s`, `3 min`."""
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min"
