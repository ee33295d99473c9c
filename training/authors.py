"""Reads our own texts: what many made-up authors would wish, ask, describe, and the harmful ones.

An author is a file: slots (`@animal: cat|dog`, also of other slots), sections (`[wish de]`,
`[harm en violence]`, a `*n` says how often a line with slots is filled in) and lines. Those in
`dev` are never learned from; they share neither an author nor a line with those in `train`. Those
in `blind` do not even choose a threshold: they are only reported.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

FOLDER = Path(__file__).parent / "authors"
HARMFUL_KINDS = ("harm", "fresh")
_FILLINGS = 8  # of a line with slots, unless its section says otherwise
_MOST_FILLINGS = 80  # so that training stays a matter of minutes
_SLOT = re.compile(r"\{(\w+)\}")
_SECTION = re.compile(r"\[(\w+) (\w\w)(?: (\w+))?(?:\*(\d+))?\]")


class Part(StrEnum):
    """What a text is for: its folder."""

    TRAIN = "train"
    DEV = "dev"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class OwnText:
    """A text of ours.

    Attributes:
        text: The text.
        author: Who is meant to have written it.
        template: The line it was made from.
        kind: `wish`, `caption`, `art`, `query`, `near`, `machine`, `chat`, `harm` or
            `fresh` (harm that nobody looked at for improving).
        language: `de`, `en` or `xx` for any other.
        category: Of harmful ones, else empty.
        part: What it is for.
    """

    text: str
    author: str
    template: str
    kind: str
    language: str
    category: str
    part: Part

    @property
    def single(self) -> bool:
        """Whether it was worded by itself, not filled in."""
        return self.text == self.template


def own_texts(folder: Path = FOLDER) -> list[OwnText]:
    """All our texts, always the same ones in the same order.

    Raises:
        ValueError: A file has a line outside of any section, or a faulty section.
    """
    found: dict[str, OwnText] = {}
    for part in (Part.BLIND, Part.DEV, Part.TRAIN):
        for path in sorted((folder / part).glob("*.txt")):
            lines = path.read_text(encoding="utf-8").splitlines()
            for text in _of_author(path.stem, lines, part):
                found.setdefault(text.text, text)
    return list(found.values())


def _of_author(author: str, lines: list[str], part: Part) -> list[OwnText]:
    slots = dict(_slot(line) for line in lines if line.startswith("@"))
    section: re.Match[str] | None = None
    texts = []
    for line in lines:
        if not line or line[0] in "#@":
            continue
        if line.startswith("["):
            section = _SECTION.fullmatch(line)
        elif section is not None:
            kind, language, category, times = section.groups()
            texts += [
                OwnText(text, author, line, kind, language, category or "", part)
                for text in _fill(line, slots, int(times or _FILLINGS))
            ]
        if section is None:
            raise ValueError(f"{author}: not in a section: {line}")
    return texts


def _slot(line: str) -> tuple[str, list[str]]:
    name, _, values = line[1:].partition(":")
    return name, values.strip().split("|")


def _fill(template: str, slots: dict[str, list[str]], times: int) -> list[str]:
    """A line with its slots filled in, differently each time."""
    if not _SLOT.search(template):
        return [template]
    chance = random.Random(template)
    times = min(times, _MOST_FILLINGS)
    return sorted({_filled(template, slots, chance) for _ in range(times)})


def _filled(text: str, slots: dict[str, list[str]], chance: random.Random) -> str:
    while _SLOT.search(text):
        text = _SLOT.sub(lambda slot: chance.choice(slots[slot[1]]), text)
    return text
