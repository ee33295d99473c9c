"""Makes any text fit for every format, once, so that no format shows another text."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tracker_service.export_workflow.deliverables.model import Cell

MAX_TEXT: Final = 16_000
"""Code points of one text: what fits into a cell of a spreadsheet even if all are emoji."""
MAX_LINE: Final = 300
"""Code points of a title or label."""

# What XML 1.0 (DOCX, XLSX) and UTF-8 cannot hold: controls, halves of pairs, non-characters.
_UNSPEAKABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
)
_LINE_ENDS: Final = re.compile("\r\n|[\r\x85\u2028\u2029]")
_SAFE_INTEGER: Final = 2**53


def clean(text: str, cut_mark: str) -> str:
    """Return a text of any length and origin as it stands in documents.

    Args:
        text: Any text.
        cut_mark: Put behind a text that is cut, with `{count}` for its true length.
    """
    text = _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", _LINE_ENDS.sub("\n", text))
    text = text.replace("\t", "    ").strip("\n")
    if len(text) <= MAX_TEXT:
        return text
    return text[:MAX_TEXT] + cut_mark.format(count=len(text))


def line(text: str, most: int = MAX_LINE) -> str:
    """Return a text as one line, such as a title."""
    text = " ".join(clean(text, "").split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cell_of(value: Any, cut_mark: str) -> Cell:
    """Return a JSON value as it stands in a table: a list or an object as JSON text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Spreadsheets count in doubles; a seed of 64 bits stands as text, or it would be rounded.
        return value if abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False)
    return clean(value, cut_mark)
