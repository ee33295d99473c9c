"""Reads our own texts: what many made-up authors would wish, ask, describe, and the harmful ones.

An author is a file: slots (`@animal: cat|dog`), sections (`[wish de]`, `[harm en violence]`, a `*n`
says how often a line with slots is filled in) and lines. Dev and train share neither an author nor
a line, so that what is measured on dev was not learned by heart.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "authors"
DEV_AUTHORS = frozenset(
    ("lena10", "tom12", "zoe13", "reporter", "gallery", "seeker", "lecturer", "device", "nasty")
)
_FILLINGS = 8  # of a line with slots, unless its section says otherwise
_SLOT = re.compile(r"\{(\w+)\}")
_SECTION = re.compile(r"\[(\w+) (\w\w)(?: (\w+))?(?:\*(\d+))?\]")


@dataclass(frozen=True, slots=True)
class OwnText:
    """A text of ours.

    Attributes:
        text: The text.
        author: Who is meant to have written it.
        template: The line it was made from.
        kind: `wish`, `caption`, `art`, `query`, `near`, `machine`, `chat` or `harm`.
        language: `de`, `en` or `xx` for any other.
        category: Of harmful ones, else empty.
    """

    text: str
    author: str
    template: str
    kind: str
    language: str
    category: str

    @property
    def dev(self) -> bool:
        """Whether it is kept out of training."""
        return self.author in DEV_AUTHORS


def own_texts(folder: Path = FOLDER) -> list[OwnText]:
    """All our texts, always the same ones in the same order.

    Raises:
        ValueError: A file has a line outside of any section, or a faulty section.
    """
    found: dict[str, OwnText] = {}
    for path in sorted(folder.glob("*.txt")):
        for text in _of_author(path.stem, path.read_text(encoding="utf-8").splitlines()):
            found.setdefault(text.text, text)
    return list(found.values())


def _of_author(author: str, lines: list[str]) -> list[OwnText]:
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
                OwnText(text, author, line, kind, language, category or "")
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
    return sorted(
        {_SLOT.sub(lambda slot: chance.choice(slots[slot[1]]), template) for _ in range(times)}
    )
