"""What makes the use of a forbidden sign lawful, and what voids that.

§ 86 (4) StGB allows signs of unconstitutional organisations in civic education, art, science,
research, teaching and reporting, and the courts allow them crossed out or smashed. A list of signs
cannot know: this module looks at what is said around a sign. Cues have roles (`Role`); they are
data, found like the signs themselves, so that inflection and disguises are the same for both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from safety_service.model import Category, Span
from safety_service.term_lists import ListReader
from safety_service.terms import TermIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from safety_service.finding import Finding
    from safety_service.normalise import Normalised, Normaliser

LAW_CONTEXT = "law_context.tsv"
LAWFUL_USE = "context:"
"""How the excuse of a sign begins whose use is lawful."""

_NEAR_CHARACTERS = 200  # a cue counts this far before and after a sign
_HINTS_NEEDED = 2
_SENTENCE_END = re.compile(r"[.!?\n]")
_QUOTED = re.compile(r"„[^“”„]*[“”]|“[^“”]*”|»[^«»]*«|«[^«»]*»|\"[^\"]*\"")
_CATEGORIES = frozenset({Category.EXTREMISM_86A, Category.HATE})  # § 86 (4) and § 130 (8) StGB


class Role(StrEnum):
    """What a cue says about a sign near it.

    Attributes:
        AGAINST: The sign is opposed; lawful, even beside careless praise ("cool: crossed out").
        LAWFUL: Education, art, science, reporting, a question; lawful unless it is praised.
        QUESTION: A word that begins a question; lawful as LAWFUL is, if the sentence ends with a
            question mark and no picture is asked for.
        WISH: A picture is asked for; voids QUESTION.
        HINT: Points there, but is said elsewhere too; two different ones are lawful.
        PRAISE: The sign is admired; voids all but AGAINST.
        WORSHIP: The sign is honoured, or a lawful cue denied; voids everything.
    """

    AGAINST = "against"
    LAWFUL = "lawful"
    QUESTION = "question"
    WISH = "wish"
    HINT = "hint"
    PRAISE = "praise"
    WORSHIP = "worship"


_LAWFUL_ROLES = frozenset({Role.AGAINST, Role.LAWFUL, Role.HINT})


@dataclass(frozen=True, slots=True)
class _Cue:
    role: Role
    id: str
    span: Span

    @property
    def word(self) -> str:
        """What was said; the lists of two languages may share it."""
        return self.id.rpartition(".")[2]


class LawContext:
    """Excuses what the law lists find where the text around it makes the use lawful."""

    def __init__(self, cues: TermIndex) -> None:
        """Use compiled cues.

        Args:
            cues: Entries whose ids begin with a role; see `read_law_context`.
        """
        self._cues = cues

    def judge(self, text: Normalised, findings: list[Finding]) -> list[Finding]:
        """Look at what stands around the signs of a text.

        Args:
            text: The normalised text.
            findings: What was found in it.

        Returns:
            The findings; those in a lawful use are excused with `context:<cue>`.
        """
        signs = [finding.span for finding in findings if _is_sign(finding)]
        if not signs:
            return findings
        quotes = [Span(*match.span()) for match in _QUOTED.finditer(text.original)]
        quoted = [quote for quote in quotes if any(_covers(quote, sign) for sign in signs)]
        cues = [cue for cue in self._find(text) if not _is_part(cue, signs, quoted)]
        judged = [_judged(f, cues) if _is_sign(f) else f for f in findings]
        return _without_own_words(judged, cues)

    def _find(self, text: Normalised) -> Iterator[_Cue]:
        for finding in self._cues.find(text):
            cue = _Cue(Role(finding.entry.id.partition(".")[0]), finding.entry.id, finding.span)
            if cue.role is not Role.QUESTION:
                yield cue
            elif question := _question(text.original, cue.span):
                yield replace(cue, span=question)


def read_law_context(text: str, normaliser: Normaliser) -> tuple[LawContext, list[str]]:
    """Read `role <tab> language <tab> cues, separated by commas`, written as terms are.

    Args:
        text: The content of `LAW_CONTEXT`.
        normaliser: Folds the cues as layer 1 does.

    Returns:
        The compiled cues, and what is wrong with the file, one sentence each.
    """
    reader = ListReader(lambda word: normaliser.normalise(word).plain.text.strip())
    rows = [line.split("\t") for line in text.splitlines()]
    for role in Role:
        lines = [
            f"{cells[1]}\tall\tblock\t{cells[2]}" if len(cells) == 3 and cells[0] == role else ""
            for cells in rows
        ]  # a line of another role stays as an empty one, so that faults name the right number
        reader.read_entries(f"{LAW_CONTEXT}/{role}", "\n".join(lines), Category.OTHER, law=False)
    faults = [
        f"{LAW_CONTEXT}:{number}: a cue needs a role ({', '.join(Role)}), language and words"
        for number, cells in enumerate(rows, start=1)
        if cells[0].strip() and not cells[0].startswith("#")
        if len(cells) != 3 or cells[0] not in set(Role)
    ]
    return LawContext(TermIndex(reader.lists, "")), [*reader.lists.faults, *faults]


def _is_sign(finding: Finding) -> bool:
    entry = finding.entry
    return entry.law and entry.category in _CATEGORIES and not finding.excused


def _judged(finding: Finding, cues: Sequence[_Cue]) -> Finding:
    near = [cue for cue in cues if _is_near(cue, finding.span)]
    said: dict[Role, str] = {cue.role: cue.id for cue in reversed(near)}
    if Role.WORSHIP in said:
        return finding
    lawful = said.get(Role.AGAINST)
    if lawful is None and Role.PRAISE not in said:
        hints = {cue.word for cue in near if cue.role is Role.HINT}
        lawful = said.get(Role.LAWFUL)
        if lawful is None and Role.WISH not in said:
            lawful = said.get(Role.QUESTION)
        if lawful is None and len(hints) >= _HINTS_NEEDED:
            lawful = said[Role.HINT]
    if lawful is None:
        return finding
    said_so = tuple(cue.span for cue in near if cue.role in _LAWFUL_ROLES)
    return replace(finding, excused=f"{LAWFUL_USE}{lawful}", cues=said_so)


def _is_near(cue: _Cue, sign: Span) -> bool:
    if cue.role is Role.QUESTION:
        return _covers(cue.span, sign)
    start, end = cue.span.start, cue.span.end
    return start <= sign.end + _NEAR_CHARACTERS and end >= sign.start - _NEAR_CHARACTERS


def _question(text: str, word: Span) -> Span | None:
    """The question that a word begins; None if it begins none."""
    before = text[: word.start].rstrip(' „“"»(')
    if before and before[-1] not in ".!?:\n":
        return None
    end = _SENTENCE_END.search(text, word.end)
    return Span(word.start, end.end()) if end and end[0] == "?" else None


def _is_part(cue: _Cue, signs: Sequence[Span], quoted: Sequence[Span]) -> bool:
    """Whether a cue is the sign's own words: the "Ehre" of a quoted slogan is no praise of it."""
    if cue.role in (Role.PRAISE, Role.WORSHIP):
        return any(_overlap(cue.span, sign) for sign in signs) or any(
            _covers(quote, cue.span) for quote in quoted
        )
    return any(_covers(sign, cue.span) for sign in signs)


def _without_own_words(findings: Sequence[Finding], cues: Sequence[_Cue]) -> list[Finding]:
    """Excuse what the age lists find in a lawful use's own words: a caricature may mock a sign."""
    lawful = {
        f.span: f.excused for f in findings if f.entry.law and f.excused.startswith(LAWFUL_USE)
    }
    if not lawful:
        return list(findings)
    excuse = next(iter(lawful.values()))
    own = [*lawful, *(cue.span for cue in cues if cue.role in (Role.AGAINST, Role.LAWFUL))]
    return [
        replace(f, excused=excuse)
        if not f.entry.law and not f.excused and any(_covers(span, f.span) for span in own)
        else f
        for f in findings
    ]


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _covers(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
