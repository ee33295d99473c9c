"""What the renderers make of a prompt: things, places, moods, sounds, and a digest.

The renderers understand no language; they know some hundred words. What they know decides
what is made, and everything else flows in through the digest, so that no two texts give
the same work and the same text always gives the same one.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources

MAX_THINGS = 6
MAX_MARKS = 8
MAX_PROMPT_CHARACTERS = 20_000
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "seven": 7}
_BINDING_DISTANCE = 2
"""A colour, count or size belongs to a thing at most this many words later."""


@dataclass(frozen=True)
class Thing:
    """Something to be drawn.

    Attributes:
        motif: a name in `motifs.MOTIFS`.
        count: how many of it, 1 to 7.
        colour: a colour word's name bound to it ("a *red* house"), or None.
        size: relative to its usual size.
    """

    motif: str
    count: int = 1
    colour: str | None = None
    size: float = 1.0


@dataclass(frozen=True)
class Reading:
    """A prompt, read.

    Attributes:
        things: what to draw, most important first.
        lands: where it takes place, first named first.
        moods: palettes called for, strongest first.
        layouts: compositions called for, strongest first.
        colours: colour words that belong to no thing.
        marks: words without a picture of their own, as 64-bit hashes.
        digest: SHA-256 of the normalised text; feeds every random choice.
    """

    things: tuple[Thing, ...]
    lands: tuple[str, ...]
    moods: tuple[str, ...]
    layouts: tuple[str, ...]
    colours: tuple[str, ...]
    marks: tuple[int, ...]
    digest: bytes


@dataclass
class _Draft:
    things: dict[str, Thing] = field(default_factory=dict)
    weight: Counter[str] = field(default_factory=Counter)
    """How much a motif matters: a word that also names a place counts half."""
    loose_colours: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)


@lru_cache(maxsize=1)
def lexicon() -> dict[str, dict[str, tuple[str, ...]]]:
    """Word → names, per section of `lexicon.toml`."""
    raw = resources.files(__package__).joinpath("lexicon.toml").read_text(encoding="utf-8")
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for section, entries in tomllib.loads(raw).items():
        words: dict[str, tuple[str, ...]] = {}
        for name, spellings in entries.items():
            for word in spellings:
                words[word] = (*words.get(word, ()), name)
        found[section] = words
    return found


def read_prompt(prompt: str) -> Reading:
    """Read `prompt`; pure, so the same text always reads the same."""
    words = split_words(prompt)
    draft = _Draft()
    for position, word in enumerate(words):
        _read_word(draft, words, position, word)
    order = sorted(draft.things, key=lambda name: -draft.weight[name])
    return Reading(
        things=tuple(draft.things[name] for name in order[:MAX_THINGS]),
        lands=ranked(words, "lands"),
        moods=ranked(words, "moods"),
        layouts=ranked(words, "layouts"),
        colours=tuple(dict.fromkeys(draft.loose_colours)),
        marks=tuple(dict.fromkeys(draft.marks))[:MAX_MARKS],
        digest=digest(prompt),
    )


def split_words(prompt: str) -> list[str]:
    """The words of a prompt in lower case, in order."""
    return _WORD.findall(prompt[:MAX_PROMPT_CHARACTERS].lower())


def digest(prompt: str) -> bytes:
    """SHA-256 of the words; of the text itself where it has none."""
    return hashlib.sha256(" ".join(split_words(prompt)).encode() or prompt.encode()).digest()


def stream_seed(prompt: str, seed: int, model: str) -> int:
    """One integer from everything that tells two works apart, except their size or length."""
    text = digest(prompt) + seed.to_bytes(8, "big") + model.encode()
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def ranked(words: list[str], section: str) -> tuple[str, ...]:
    """What the words call for in a section of the lexicon, strongest first, then first named."""
    weight: Counter[str] = Counter()
    for word in words:
        weight.update(look_up(section, word))
    return tuple(sorted(weight, key=lambda name: -weight[name]))


def _read_word(draft: _Draft, words: list[str], position: int, word: str) -> None:
    names = look_up("motifs", word)
    before = words[max(0, position - _BINDING_DISTANCE) : position]
    is_place = bool(look_up("lands", word))
    for name in names:
        draft.weight[name] += 2 if not is_place else 1
        known = draft.things.get(name)
        draft.things[name] = Thing(
            motif=name,
            count=max(known.count if known else 1, _count(before, plural=_is_plural(word))),
            colour=(known.colour if known else None) or _last(before, "colours"),
            size=_size(before) if known is None else known.size,
        )
    following = words[position + 1 : position + 1 + _BINDING_DISTANCE]
    colours = look_up("colours", word)
    if colours and not any(look_up("motifs", other) for other in following):
        draft.loose_colours.extend(colours)
    if not names and not colours and len(word) > 2 and not look_up("filler", word):
        draft.marks.append(int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big"))


def look_up(section: str, word: str) -> tuple[str, ...]:
    """What a word, or what it may be a form of, stands for in a section; mostly nothing."""
    words = lexicon()[section]
    for spelling in _spellings(word):
        if spelling in words:
            return words[spelling]
    return ()


def _spellings(word: str) -> tuple[str, ...]:
    """The word itself, then what it may be the plural or a form of."""
    forms = [word]
    if word.endswith("ies"):
        forms.append(word[:-3] + "y")
    if word.endswith("es"):
        forms.append(word[:-2])
    if word.endswith("s") and len(word) > 3:
        forms.append(word[:-1])
    if "-" in word:
        forms.extend(word.split("-"))
    return tuple(forms)


def _is_plural(word: str) -> bool:
    motifs = lexicon()["motifs"]
    return (word.endswith("s") and word not in motifs) or word in {"children", "people", "woods"}


def _count(before: list[str], *, plural: bool) -> int:
    named = _last(before, "counts")
    if named is not None:
        return _COUNTS[named]
    return 3 if plural else 1


def _size(before: list[str]) -> float:
    return {"large": 1.4, "small": 0.62, None: 1.0}[_last(before, "sizes")]


def _last(before: list[str], section: str) -> str | None:
    for word in reversed(before):
        names = look_up(section, word)
        if names:
            return names[0]
    return None
