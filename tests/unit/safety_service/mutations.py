"""Ways in which a child disguises a text, as strategies: one or two at once, as children do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    Disguise = Callable[[st.DrawFn, str], str]

_LEET = {"a": "4@", "b": "8", "e": "3€", "g": "9", "i": "1!|", "l": "1|", "o": "0", "s": "5$",
         "t": "7+", "z": "2"}  # fmt: skip
_LOOKALIKES = {
    **{"a": "аαɑ", "c": "сϲ", "d": "ԁ", "e": "еε", "h": "һ", "i": "іıι", "j": "ј", "k": "кκ"},
    **{"m": "м", "n": "п", "o": "оοø", "p": "рρ", "s": "ѕ", "t": "т", "u": "υ", "v": "ν"},
    **{"w": "ԝ", "x": "хχ", "y": "уү"},
}
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
_UMLAUTS = {"ä": ("ae", "a\u0308"), "ö": ("oe", "o\u0308"), "ü": ("ue", "u\u0308"), "ß": ("ss",)}


def disguised(texts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    """A text, and what became of it under one or two disguises."""
    return _disguised(texts)


@st.composite
def _disguised(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, str]:
    text = draw(texts)
    changed = text
    # Letters are written apart last: what comes after would no longer see words.
    for disguise in draw(st.sampled_from(_PAIRS)):
        changed = disguise(draw, changed)
    return text, changed


def _leet(draw: st.DrawFn, text: str) -> str:
    return _replaced(draw, text, _LEET)


def _lookalikes(draw: st.DrawFn, text: str) -> str:
    return _replaced(draw, text, _LOOKALIKES)


def _replaced(draw: st.DrawFn, text: str, table: dict[str, str]) -> str:
    chosen = draw(st.sets(st.sampled_from(sorted(table)), min_size=4))
    signs = {letter: draw(st.sampled_from(table[letter])) for letter in sorted(chosen)}
    return "".join(signs.get(c.lower(), c) for c in text)


def _invisible(draw: st.DrawFn, text: str) -> str:
    sign = draw(st.sampled_from(_INVISIBLE))
    every = draw(st.integers(1, 3))
    return "".join(c + sign * (i % every == 0) for i, c in enumerate(text))


def _case(draw: st.DrawFn, text: str) -> str:
    change = draw(st.sampled_from((str.upper, str.title, str.swapcase, _waves)))
    return change(text)


def _waves(text: str) -> str:
    return "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(text))


def _stretched(draw: st.DrawFn, text: str) -> str:
    letters = [i for i, c in enumerate(text) if c.isalpha()]
    if not letters:
        return text
    place = draw(st.sampled_from(letters))
    return text[:place] + text[place] * draw(st.integers(3, 6)) + text[place + 1 :]


def _umlauts(draw: st.DrawFn, text: str) -> str:
    return "".join(draw(st.sampled_from(_UMLAUTS[c])) if c in _UMLAUTS else c for c in text)


def _apart(draw: st.DrawFn, text: str) -> str:
    sign = draw(st.sampled_from(" .-_"))
    return (" " * (1 + 2 * (sign == " "))).join(sign.join(word) for word in text.split())


_INSIDE: tuple[Disguise, ...] = (_leet, _lookalikes, _invisible, _case, _stretched, _umlauts)
_PAIRS = [(_apart,), *((one,) for one in _INSIDE), (_leet, _apart), (_case, _apart),
          *((one, other) for one in (_umlauts, _case, _stretched)
            for other in (_leet, _lookalikes, _invisible))]  # fmt: skip
