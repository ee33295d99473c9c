"""A listed term in a text: what layer 2 hands to all that judge by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import Severity

if TYPE_CHECKING:
    from safety_service.model import Span
    from safety_service.term_lists import Entry

Hits = dict[int, list[tuple[int, int]]]
"""Numbers of words with the places (start, end) in a view where they were found."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A listed term in a text.

    Attributes:
        entry: The list entry.
        span: Where in the original text.
        excused: Why it does not count: `allowed`, `language`, `context:<set>` or `needs`; empty if
            it counts.
        disguised: Whether only a guess at what a disguise hides shows it.
        bare: Whether the text says nothing else.
        cues: The words around it that make it lawful, where they excuse it.
    """

    entry: Entry
    span: Span
    excused: str = ""
    disguised: bool = False
    bare: bool = False
    cues: tuple[Span, ...] = ()

    @property
    def severity(self) -> Severity:
        """The entry's; a word decides that the other layers cannot read or see no context of."""
        return Severity.BLOCK if self.disguised or self.bare else self.entry.severity
