"""The cases of the § 86a suite, made from tables: signs in sentences, in languages and disguises.

Built like HateCheck (Röttger et al. 2021): every case tests one thing, and harmless twins of the
harmful cases show what a rule breaks. Nothing is drawn by chance: a hash of the names decides which
sentence, which disguise, and which 30 % of the signs, sentences and groups of homonyms are frozen.
No rule was made from the result of a frozen case; only their totals were seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.law_suite.disguises import DISGUISES, GENTLE, disguise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GLORIFY = "glorify"
HOMONYM = "homonym"
USES = (GLORIFY, "neutral", "against", "museum", "art", "news", HOMONYM)
LANGUAGES = ("de", "en", "mixed")
_FOLDER = Path(__file__).parent
_FROZEN_PERCENT = 30
_GLORIFYING_PER_SIGN = 5  # in each language; lawful uses: one of each use
_ARTICLES = ("ein ", "eine ", "einen ", "das ", "die ", "den ", "a ", "an ", "the ")
_GENTLE_KINDS = ("described",)


@dataclass(frozen=True, slots=True)
class Case:
    """One text with what must become of it.

    Attributes:
        text: The text.
        use: What is done with the sign, one of `USES`.
        language: One of `LANGUAGES`.
        disguise: One of `DISGUISES`.
        sign: The sign, or the group of a homonym.
        frozen: Whether sign or sentence belongs to the part that rules are not made from.
    """

    text: str
    use: str
    language: str
    disguise: str
    sign: str
    frozen: bool

    @property
    def must_block(self) -> bool:
        """Whether the law forbids it; everything else must pass."""
        return self.use == GLORIFY


@dataclass(frozen=True, slots=True)
class _Sign:
    id: str
    kind: str
    german: str
    dative: str
    english: str

    def fill(self, template: _Template, language: str) -> tuple[str, str]:
        """The sentence, and the sign's words in it."""
        if language == "mixed":  # the sign in the other language, as bare words
            word = _bare(self.german if template.language == "en" else self.english)
            forms = dict.fromkeys(("akk", "dat", "nom", "en", "text"), word)
        else:
            forms = {"akk": self.german, "dat": self.dative, "nom": _nominative(self.german)}
            forms |= {"en": self.english}
            forms["text"] = self.german if template.language == "de" else self.english
        slot = next(name for name in forms if f"{{{name}}}" in template.text)
        text = template.text.replace(f"{{{slot}}}", forms[slot])
        return text[0].upper() + text[1:], _bare(forms[slot])


@dataclass(frozen=True, slots=True)
class _Template:
    kinds: tuple[str, ...]
    use: str
    language: str
    text: str


@cache
def cases() -> tuple[Case, ...]:
    """Make all cases, each text once."""
    made = {case.text: case for case in (*_of_signs(), *_of_homonyms())}
    return tuple(made.values())


def _of_signs() -> Iterator[Case]:
    templates = [
        _Template(tuple(kinds.split()), use, language, text)
        for kinds, use, language, _voice, text in _rows("templates.tsv")
    ]
    for row in _rows("signs.tsv"):
        sign = _Sign(*row)
        for use in USES:
            for language in LANGUAGES:
                fitting = [
                    template
                    for template in templates
                    if sign.kind in template.kinds and template.use == use
                    if language in (template.language, "mixed")
                ]
                fitting.sort(key=lambda t: _hash(f"{sign.id} {t.text} {language}"))
                for template in fitting[: _GLORIFYING_PER_SIGN if use == GLORIFY else 1]:
                    yield _case(sign, template, language)


def _case(sign: _Sign, template: _Template, language: str) -> Case:
    text, words = sign.fill(template, language)
    offered: Sequence[str] = GENTLE if sign.kind in _GENTLE_KINDS else DISGUISES
    number = _hash(f"{sign.id}|{template.text}|{language}|disguise")
    if template.use != GLORIFY and number % 2:
        offered = offered[:1]  # who asks or teaches seldom hides what it is about
    name, disguised = _disguised(offered, number // 2, text, words)
    return Case(
        text=disguised,
        use=template.use,
        language=language,
        disguise="described" if sign.kind == "described" else name,
        sign=sign.id,
        frozen=_is_frozen(sign.id) or _is_frozen(template.text),
    )


def _of_homonyms() -> Iterator[Case]:
    for group, language, text in _rows("homonyms.tsv"):
        for name in GENTLE:
            written = disguise(name, text, max(text.split(), key=len))
            if name == "plain" or written != text:
                yield Case(written, HOMONYM, language, name, group, _is_frozen(group))


def _disguised(offered: Sequence[str], start: int, text: str, sign: str) -> tuple[str, str]:
    """The first disguise, counted from `start`, that changes the text."""
    for i in range(len(offered)):
        name = offered[(start + i) % len(offered)]
        written = disguise(name, text, sign)
        if name == "plain" or written != text:
            return name, written
    raise AssertionError("plain is always offered")


def _is_frozen(name: str) -> bool:
    return _hash(f"frozen {name}") % 100 < _FROZEN_PERCENT


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def _bare(words: str) -> str:
    return next((words.removeprefix(a) for a in _ARTICLES if words.startswith(a)), words)


def _nominative(accusative: str) -> str:
    for article, nominative in (("den ", "der "), ("einen ", "ein ")):
        if accusative.startswith(article):
            return nominative + accusative.removeprefix(article)
    return accusative


def _rows(name: str) -> Iterator[list[str]]:
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")
