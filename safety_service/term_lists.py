"""Reads the term lists, so that a person can keep them in a table and a typo is found at start-up.

An entry is one term. Most rows hold a block of them, which share language, levels, severity and
options; a row that begins with a name is one entry with an id of our choosing.

A term is words with spaces between; `one|other` are alternatives, `.` leaves a gap of one word at
most and `..` of four, `$name` stands for any word of a set, in
the term's language. After a slash come the word's class
(`n`oun, `v`erb, `a`djective: inflected by rule) and, for German, `<` if it may end a compound
(Selbst·mord) and `>` if it may begin one (Mord·waffe). Blank lines and `#` lines are comments.

Options: `unless=` names sets of which a word nearby makes a hit harmless, `needs=` sets of which a
word must be near; `homograph` says that another language spells a harmless word the same (English
`slut`, the Swedish end), so that a hit counts only if nothing speaks for another language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safety_service.inflection import CLASSES, inflect
from safety_service.model import Category, Level, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LANGUAGES = ("de", "en", "any")
_LEVELS = {
    "all": frozenset(Level),
    "kids": frozenset({Level.KIDS}),
    "youth": frozenset({Level.KIDS, Level.YOUTH}),
}
_OPTIONS = ("unless", "needs")
_HOMOGRAPH = "homograph"
_GAPS = {".": 1, "..": 4}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a term.

    Attributes:
        forms: Its folded forms.
        ends_compound: Whether other letters may stand before it.
        begins_compound: Whether other letters may follow it.
        gap_before: How many other words may stand before it.
    """

    forms: frozenset[str]
    ends_compound: bool = False
    begins_compound: bool = False
    gap_before: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list.

    Attributes:
        id: List, language and name, unique over all lists.
        language: `de`, `en` or `any`.
        category: What kind of content it is.
        levels: Where it counts.
        severity: Whether it decides or only asks.
        law: Whether it is a law entry: on at every level and never taken out.
        words: For each word its alternatives (a set has several); empty once they are compiled.
        unless: Sets of which a word nearby makes this harmless.
        needs: Sets of which a word must be near for this to count.
        homograph: Whether it counts only where no other language is evident.
    """

    id: str
    language: str
    category: Category
    levels: frozenset[Level]
    severity: Severity
    law: bool
    words: tuple[tuple[Word, ...], ...]
    unless: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    homograph: bool = False


@dataclass
class TermLists:
    """All lists of a policy.

    Attributes:
        entries: What is looked for.
        allowed: What covers an entry and makes it harmless.
        spellings: Words that are harmless when spelled exactly so, lower-case.
        sets: Named words for `$name`, `unless` and `needs`.
        faults: What is wrong with the files, one sentence each.
    """

    entries: list[Entry] = field(default_factory=list)
    allowed: list[tuple[tuple[Word, ...], ...]] = field(default_factory=list)
    spellings: set[str] = field(default_factory=set)
    sets: dict[str, tuple[Word, ...]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class ListReader:
    """Reads files into one `TermLists`; sets must be read before the lists that name them."""

    def __init__(self, fold: Callable[[str], str]) -> None:
        """Read with the folding that texts get.

        Args:
            fold: Folds a word as layer 1 does.
        """
        self._fold = fold
        self.lists = TermLists()
        self._ids: set[str] = set()
        self._members: dict[tuple[str, str], tuple[Word, ...]] = {}  # by set and language
        self._read: dict[tuple[str, str], Word] = {}  # by spelling and language

    def read_sets(self, name: str, text: str) -> None:
        """Read `set <tab> language <tab> words, separated by commas`.

        Args:
            name: The file's name, for faults.
            text: Its content.
        """
        for where, cells in _rows(name, text):
            if len(cells) != 3 or cells[1] not in _LANGUAGES:
                self._fault(where, "a set needs name, language (de, en, any) and words")
                continue
            name, language = cells[:2]
            words = tuple(
                self._word(one.strip(), language, where)
                for part in cells[2].split(",")
                for one in part.split("|")
            )
            self.lists.sets[name] = (*self.lists.sets.get(name, ()), *words)
            self._members[name, language] = (*self._members.get((name, language), ()), *words)

    def read_allowed(self, name: str, text: str) -> None:
        """Read `language <tab> terms, separated by commas`; `=word` is an exact spelling.

        Args:
            name: The file's name, for faults.
            text: Its content.
        """
        for where, cells in _rows(name, text):
            if len(cells) != 2 or cells[0] not in _LANGUAGES:
                self._fault(where, "an allowed row needs language (de, en, any) and terms")
                continue
            for term in map(str.strip, cells[1].split(",")):
                if term.startswith("="):
                    self.lists.spellings.add(term[1:].casefold())
                else:
                    self.lists.allowed.append(self._words(term, cells[0], where))

    def read_entries(self, name: str, text: str, category: Category, *, law: bool) -> None:
        """Read rows of `language <tab> levels <tab> severity <tab> terms [<tab> options]`.

        The terms, separated by commas, are an entry each and give it its id. A row with a name
        before the language is a single entry of that name.

        Args:
            name: The file's name, for faults and ids.
            text: Its content.
            category: The category of all its entries.
            law: Whether they are law entries, on at every level.
        """
        stem = name.rsplit("/", 1)[-1].removesuffix(".tsv")
        for where, cells in _rows(name, text):
            named = cells[0] not in _LANGUAGES
            slug, *cells = cells if named else ["", *cells]
            if len(cells) not in (4, 5):
                self._fault(where, "entries need language, levels, severity and terms")
                continue
            language, levels, severity, terms = cells[:4]
            if fault := _entry_fault(language, levels, severity, law=law):
                self._fault(where, fault)
                continue
            options = self._options(cells[4] if len(cells) == 5 else "", where)
            for term in [terms] if named else terms.split(","):
                entry = Entry(
                    id=f"{stem}.{language}.{slug or _slug(term)}",
                    language=language,
                    category=category,
                    levels=_LEVELS[levels],
                    severity=Severity(severity),
                    law=law,
                    words=self._words(term, language, where),
                    unless=options.get("unless", ()),
                    needs=options.get("needs", ()),
                    homograph=_HOMOGRAPH in options,
                )
                self._add(entry, where)

    def _add(self, entry: Entry, where: str) -> None:
        if entry.id in self._ids:
            self._fault(where, f"the id {entry.id} is there twice")
        self._ids.add(entry.id)
        self.lists.entries.append(entry)

    def _fault(self, where: str, what: str) -> None:
        self.lists.faults.append(f"{where}: {what}")

    def _options(self, cell: str, where: str) -> dict[str, tuple[str, ...]]:
        options: dict[str, tuple[str, ...]] = {}
        for option in cell.split():
            key, _, names = option.partition("=")
            if option == _HOMOGRAPH:
                options[option] = ()
                continue
            if key not in _OPTIONS:
                known = ", ".join([*(f"{name}=" for name in _OPTIONS), _HOMOGRAPH])
                self._fault(where, f"unknown option {key!r}, known are {known}")
                continue
            options[key] = tuple(names.split(","))
            for unknown in set(options[key]) - set(self.lists.sets):
                self._fault(where, f"{key}= names the unknown set {unknown!r}")
        return options

    def _words(self, term: str, language: str, where: str) -> tuple[tuple[Word, ...], ...]:
        words: list[tuple[Word, ...]] = []
        gap = 0
        for part in term.split():
            if part in _GAPS:
                gap = _GAPS[part]
                continue
            if part.startswith("$"):
                members = self._set(part[1:], language)
                if not members:
                    self._fault(where, f"unknown set {part!r}")
            else:
                members = tuple(self._word(one, language, where) for one in part.split("|"))
            words.append(tuple(_after_gap(word, gap) for word in members))
            gap = 0
        if gap or not words:
            self._fault(where, "a term needs words and cannot end with a gap")
        return tuple(words)

    def _set(self, name: str, language: str) -> tuple[Word, ...]:
        """The words of a set that fit the language of the term."""
        if language == "any":
            return self.lists.sets.get(name, ())
        return self._members.get((name, language), ()) + self._members.get((name, "any"), ())

    def _word(self, text: str, language: str, where: str) -> Word:
        """The word of a spelling; lists name the same words again and again."""
        if (text, language) not in self._read:
            self._read[text, language] = self._new_word(text, language, where)
        return self._read[text, language]

    def _new_word(self, text: str, language: str, where: str) -> Word:
        spelling, _, marks = text.partition("/")
        if unknown := set(marks) - set(CLASSES) - set("<>"):
            self._fault(where, f"unknown marks {''.join(sorted(unknown))!r} in {text!r}")
        folded = self._fold(spelling)
        if not folded or " " in folded:
            self._fault(where, f"{spelling!r} is not one word")
            return Word(frozenset())
        classes = "".join(mark for mark in marks if mark in CLASSES)
        return Word(inflect(folded, language, classes), "<" in marks, ">" in marks)


def _rows(name: str, text: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield f"{name}:{number}", [cell.strip() for cell in line.split("\t")]


def _slug(term: str) -> str:
    """The words of a term without marks; of alternatives the first."""
    words = (part.split("|")[0].partition("/")[0].strip("$<>") for part in term.split())
    return "-".join(word for word in words if word not in _GAPS)


def _entry_fault(language: str, levels: str, severity: str, *, law: bool) -> str:
    if language not in _LANGUAGES:
        return f"unknown language {language!r}, known are {', '.join(_LANGUAGES)}"
    if levels not in _LEVELS:
        return f"unknown levels {levels!r}, known are {', '.join(_LEVELS)}"
    if law and levels != "all":
        return "a law entry counts at every level: write 'all'"
    if severity not in set(Severity):
        return f"unknown severity {severity!r}, known are {', '.join(Severity)}"
    return ""


def _after_gap(word: Word, gap: int) -> Word:
    return Word(word.forms, word.ends_compound, word.begins_compound, gap)
