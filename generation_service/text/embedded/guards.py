"""Judging what the small model wrote, before anybody takes it for an answer.

A base model may repeat itself, copy its examples, begin another one or answer in another language.
Each guard names one such fault; the caller asks once more and then does without the model.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generation_service.text.embedded.steps import Prompt

ECHO_CHARS = 18
"""So many characters in a row that an example has too are copied, not chance."""

MIN_NEW_LETTERS = 4
"""Less is no answer where the model was to go on with a text."""

_CONTROL_TOKEN = re.compile(r"<[a-z_]{3,}>")
_SCRIPT_NAMES = {"CJK": ("CJK", "HIRAGANA", "KATAKANA")}


def tidy(answer: str, prompt: Prompt) -> str:
    """Cut off what begins another example, control tokens, and quotation marks around the whole.

    Args:
        answer: What the model wrote, without the prompt's `beginning`.
        prompt: What it was asked.
    """
    answer = _CONTROL_TOKEN.sub("", answer)
    for label in prompt.labels:
        answer = answer.partition(f"{label}:")[0]
    answer = answer.rstrip()
    if not prompt.beginning:
        answer = answer.strip()
        if len(answer) > 1 and answer[0] in '"„“«' and answer[-1] in '"“”»':
            answer = answer[1:-1].strip()
    return _fitted(answer, prompt.source)


def _fitted(answer: str, source: str) -> str:
    """Begin and end a translation as its source does, which may be a clause of a sentence."""
    if source[-1:].isalnum():
        answer = answer.removesuffix(".")
    if source[:1].islower() and not answer.startswith(("I ", "I'")):
        answer = answer[:1].lower() + answer[1:]
    return answer


def shorten(answer: str) -> str:
    """End a text that was cut in the middle where a sentence, or else a clause, ends."""
    ends = [m.end() for m in re.finditer(r"[.!?…。！？](?=\s|$)|[。！？]", answer)]
    if ends and ends[-1] > len(answer) // 3:
        return answer[: ends[-1]]
    clauses = [m.start() for m in re.finditer(r"[,;:–—、，]", answer)]
    if clauses and clauses[-1] > len(answer) // 3:
        return answer[: clauses[-1]] + "."
    return answer.rpartition(" ")[0].rstrip(" ,;:") + "." if " " in answer.strip() else answer


def find_fault(answer: str, prompt: Prompt) -> str:
    """Name what is wrong with an answer.

    Args:
        answer: What the model wrote, tidied, without the prompt's `beginning`.
        prompt: What it was asked.

    Returns:
        `empty`, `glued`, `echo`, `repetition`, `script`, `same`; empty: nothing is wrong.
    """
    if sum(c.isalpha() for c in answer) < (MIN_NEW_LETTERS if prompt.beginning else 1):
        return "empty"
    if prompt.beginning and answer[0].isalnum():
        return "glued"
    if _echoes(answer, prompt):
        return "echo"
    if first_repetition(answer) is not None:
        return "repetition"
    if prompt.script and not _mostly_in(answer, prompt.script):
        return "script"
    if prompt.source and len(answer.split()) > 2 and _plain(answer) == _plain(prompt.source):
        return "same"
    return ""


def lost_words(answer: str, prompt: Prompt) -> int:
    """Count the words that a good translation has and this one has not, by their beginnings."""
    plain = f" {_plain(answer)}"
    return sum(f" {word[:4].lower()}" not in plain for word in prompt.words)


def first_repetition(answer: str) -> int | None:
    """Find where a text begins to go in circles.

    Returns:
        Index behind the second turn of a group of words that comes three times; None: it does
        not.
    """
    words = [(m.group().lower(), m.end()) for m in re.finditer(r"\w+", answer)]
    for size in (1, 2, 3, 4):
        groups = [tuple(w for w, _ in words[i : i + size]) for i in range(len(words) - size + 1)]
        for i in range(len(groups) - 2 * size):
            if size > 2 and groups.count(groups[i]) >= 3:
                return words[groups.index(groups[i], i + 1) + size - 1][1]
            if groups[i] == groups[i + size] == groups[i + 2 * size]:
                return words[i + size - 1][1]
    return _repeated_characters(answer)


def _repeated_characters(answer: str) -> int | None:
    """The same for scripts without spaces, and for stutter inside of words."""
    match = re.search(r"(.{2,12}?)\1{3,}", answer)
    return match.start() + len(match.group(1)) if match else None


def _echoes(answer: str, prompt: Prompt) -> bool:
    wanted = _plain(f"{prompt.source} {prompt.beginning}")
    plain = _plain(answer)
    for echo in map(_plain, prompt.echoes):
        if prompt.source:  # a translation: of short phrases, so only a whole one counts
            if plain == echo and len(echo) > 8:
                return True
            continue
        starts = range(0, max(1, len(echo) - ECHO_CHARS + 1))
        copies = (echo[i : i + ECHO_CHARS] for i in starts)
        if any(len(c) == ECHO_CHARS and c in plain and c not in wanted for c in copies):
            return True
    return False


def _mostly_in(answer: str, script: str) -> bool:
    prefixes = _SCRIPT_NAMES.get(script, (script,))
    letters = Counter(unicodedata.name(c, "").startswith(prefixes) for c in answer if c.isalpha())
    return letters[True] >= letters[False]


def _plain(text: str) -> str:
    """Letters and single spaces in lower case, to compare by."""
    return " ".join(re.findall(r"\w+", text.lower()))
