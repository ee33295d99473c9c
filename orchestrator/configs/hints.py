"""Guessing what somebody meant, for config authors and callers alike."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Longer words are no typing errors, and comparing them costs time.
MAX_WORD_LENGTH = 64


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean X?" for the nearest known word, or nothing.

    Args:
        word: What was written.
        known: What could have been meant.
    """
    if len(word) > MAX_WORD_LENGTH:
        return ""
    lower = {name.lower(): name for name in sorted(known)}
    nearest = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"Did you mean {lower[nearest[0]]}?" if nearest else ""


def one_of(known: Iterable[str]) -> str:
    """Return "Known: a, b." for a short list, or nothing for an empty or long one."""
    names = sorted(known)
    return f"Known: {', '.join(names)}." if 0 < len(names) <= 12 else ""
