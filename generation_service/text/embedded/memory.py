"""A translation memory of our own phrases.

What an attitude puts between a learner's words and the model's is known in both languages. The
small model would lose itself in it: so it is looked up, and the model gets the clauses around it,
which are short enough for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from generation_service.text.embedded.pieces import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generation_service.text.embedded.library import Wording


class Piece(NamedTuple):
    """A part of a text; remembered: it is translated already."""

    part: Part
    remembered: bool


class Memory:
    """Phrases of one language with their translations into another."""

    def __init__(self, wordings: Iterable[tuple[Wording, Wording]]) -> None:
        """Take the same attitudes in the language of the text and in the wanted one."""
        self._known: dict[str, str] = {}
        for source, target in wordings:
            for own, other in zip(source.moves, target.moves, strict=True):
                begun, translated = _begun(source, own), _begun(target, other)
                self._known[f"{begun}{source.bridge}"] = f"{translated}{target.bridge}"
                self._known[f"{own}."] = f"{other}."
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def pieces(self, part: Part) -> Iterator[Piece]:
        """Cut a sentence into what is known, translated, and the rest."""
        at = 0
        for match in self._pattern.finditer(part.text):
            if before := part.text[at : match.start()].strip():
                gap = " " if part.text[match.start() - 1] == " " else ""
                yield Piece(Part(before, gap), remembered=False)
            at = match.end()
            gap = " " if part.text[at : at + 1] == " " else ""
            yield Piece(Part(self._known[match.group()], gap), remembered=True)
        yield Piece(Part(part.text[at:].strip(), part.separator), remembered=False)


def _begun(wording: Wording, move: str) -> str:
    before = wording.joint if wording.opening is None else wording.opening
    return f"{before} {move}"
