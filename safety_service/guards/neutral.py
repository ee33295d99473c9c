"""Takes from a text what could be read as part of a prompt, and cuts it to what a guard can hold.

A learner's text stands inside of a model's template. Servers turn `<|eot_id|>` into the token that
ends a turn wherever it stands, so a text could end its own turn and write the guard's answer. No
letter that a guard needs is lost: only brackets and line breaks change.
"""

from __future__ import annotations

import re
import unicodedata

WINDOW_BYTES = 3_000
"""Of one question: at most so many tokens, so that a context of 4 096 also holds the template."""

OVERLAP_BYTES = 300
"""Of two neighbours, so that nothing hides at a cut."""

_TURNS = re.compile(r"\[\s*(/?)\s*([A-Za-z_]+)\s*\]")  # [INST], [/INST], [SYSTEM_PROMPT] …
_SPACE = re.compile(r"\s+")
_BRACKETS = str.maketrans({"<": "‹", ">": "›", "|": "¦", "▁": " "})


def neutralise(text: str) -> str:
    """Make a text harmless as a part of any model's template.

    Args:
        text: What a person or a model wrote.

    Returns:
        One line without control characters, and without any of the signs that make up special
        tokens: `<`, `>`, `|`, `[WORD]`.
    """
    text = unicodedata.normalize("NFKC", text)
    text = "".join(map(_visible, text))
    text = _TURNS.sub(r"(\1\2)", text.translate(_BRACKETS))
    return _SPACE.sub(" ", text).strip()


def windows(text: str) -> list[str]:
    """Cut a text into parts that a guard can hold, each overlapping the one before.

    Servers cut a prompt that is too long, without a word, and would judge what is left of it.

    Args:
        text: Of any length.

    Returns:
        At least one part; each has at most `WINDOW_BYTES` in UTF-8.
    """
    encoded = text.encode(errors="replace")
    parts = []
    start = 0
    while True:
        part = encoded[start : start + WINDOW_BYTES]
        parts.append(part.decode(errors="ignore"))
        if start + WINDOW_BYTES >= len(encoded):
            return parts
        start += WINDOW_BYTES - OVERLAP_BYTES


def _visible(char: str) -> str:
    """Drop what nobody sees, so that it parts no word; line breaks and the like become spaces."""
    match unicodedata.category(char):
        case "Cf" | "Cs" | "Co":
            return ""
        case "Cc" | "Zl" | "Zp":
            return " "
        case _:
            return char
