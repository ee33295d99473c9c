"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
MOST_WORDS = 1500
"""Comparing takes the square of it; longer texts are shown one after the other."""


@dataclass(frozen=True)
class Piece:
    """A part of a comparison.

    Attributes:
        kind: Whether it stands in both texts, only in the older or only in the newer one.
        text: The words.
    """

    kind: Literal["same", "gone", "new"]
    text: str


def differences(older: str, newer: str) -> list[Piece]:
    """Return the pieces that lead from one text to the other."""
    before, after = _WORDS.findall(older), _WORDS.findall(newer)
    if max(len(before), len(after)) > MOST_WORDS:
        return [Piece("gone", older), Piece("new", newer)]
    pieces: list[Piece] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(before[a:b])))
            continue
        if b > a:
            pieces.append(Piece("gone", "".join(before[a:b])))
        if d > c:
            pieces.append(Piece("new", "".join(after[c:d])))
    return pieces
