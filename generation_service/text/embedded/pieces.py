"""Cutting a text into pieces that the small model can hold, so that they join up again.

The model has learned from single sentences in its prompt; given two it forgets one. Joining all
pieces with their separators gives back the text, character by character.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BETWEEN_SENTENCES = re.compile(r"(\s*\n\s*|(?<=[.!?…])\s+(?=[^a-zäöüß\d])|(?<=[。！？]))")
_CLOSING = ".!?…,;:。！？ "


class Part(NamedTuple):
    """A piece of a text and the white space that follows it."""

    text: str
    separator: str


def split_sentences(text: str, max_chars: int) -> list[Part]:
    """Cut a text after each sentence, and longer sentences between words.

    Args:
        text: Any text; leading and trailing white space is dropped.
        max_chars: Longest piece in code points.

    Returns:
        At least one part for a text with anything in it.
    """
    fields = [*_BETWEEN_SENTENCES.split(text.strip()), ""]
    parts: list[Part] = []
    for sentence, separator in zip(fields[::2], fields[1::2], strict=True):
        parts += _split_words(sentence, separator, max_chars)
    return [part for part in parts if part.text or part.separator]


def group_sentences(text: str, max_chars: int) -> list[Part]:
    """Cut a text into few pieces of whole sentences.

    Args:
        text: Any text.
        max_chars: Longest piece in code points.
    """
    groups: list[Part] = []
    for part in split_sentences(text, max_chars):
        last = groups[-1] if groups else None
        joined = f"{last.text}{last.separator}{part.text}" if last else ""
        if last and len(joined) <= max_chars and "\n" not in last.separator:
            groups[-1] = Part(joined, part.separator)
        else:
            groups.append(part)
    return groups


def without_end(text: str) -> str:
    """Drop the punctuation at the end, so that a sentence can go on."""
    return text.rstrip(_CLOSING) or text


def _split_words(sentence: str, separator: str, max_chars: int) -> list[Part]:
    parts: list[Part] = []
    rest = sentence
    while len(rest) > max_chars:
        cut = rest.rfind(" ", max_chars // 2, max_chars)
        if cut < 0:
            parts.append(Part(rest[:max_chars], ""))
            rest = rest[max_chars:]
        else:
            parts.append(Part(rest[:cut], " "))
            rest = rest[cut + 1 :]
    return [*parts, Part(rest, separator)]
