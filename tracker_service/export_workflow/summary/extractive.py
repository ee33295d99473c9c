"""Summaries without a model: figures and sentences taken from the data, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export_workflow.texts import words as words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.summary.model import Language
    from tracker_service.export_workflow.texts import Words

MAX_FACTS: Final = 8
MAX_QUOTES: Final = 3
MIN_WORDS: Final = 3
"""Words of a sentence that says something."""
MAX_QUOTE_CHARS: Final = 200
MAX_TEXTS: Final = 2_000
_SENTENCE_END: Final = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def extracted(data: JsonValue, language: Language) -> str:
    """Return a summary of data.

    Args:
        data: A JSON value.
        language: Of the words around what is taken.

    Returns:
        One or two paragraphs: figures, then the sentences whose words are the most common in all
        the texts. Never empty.
    """
    words = words_of(language)
    figures = _execution_figures(data, words) or _figures(data, words)
    quotes = central_sentences(_texts(data))
    parts = [" ".join(figures)]
    if quotes:
        marks = words.summary["quote"]
        told = ", ".join(marks.format(text=quote) for quote in quotes)
        parts.append(words.summary["texts"].format(texts=told))
    return "\n\n".join(part for part in parts if part) or words.summary["nothing"]


def central_sentences(texts: Sequence[str], most: int = MAX_QUOTES) -> list[str]:
    """Return the sentences whose words occur in the most texts, in their order.

    Each word counts by the number of texts that have it; a sentence by the mean of its words, so
    that long ones have no advantage.
    """
    counts = Counter(word for text in texts for word in {*_words(text)})
    sentences = dict.fromkeys(
        sentence.strip() for text in texts for sentence in _SENTENCE_END.split(text)
    )
    scores = {
        sentence: sum(counts[word] for word in found) / len(found)
        for sentence in sentences
        if len(found := _words(sentence)) >= MIN_WORDS
    }
    best = sorted(scores, key=lambda sentence: -scores[sentence])[:most]
    return [_quoted(sentence) for sentence in scores if sentence in best]


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _quoted(sentence: str) -> str:
    if len(sentence) <= MAX_QUOTE_CHARS:
        return sentence
    return f"{sentence[:MAX_QUOTE_CHARS].rpartition(' ')[0] or sentence[:MAX_QUOTE_CHARS]} …"


def _execution_figures(data: JsonValue, words: Words) -> list[str]:
    """Sentences about executions; none: the data are of another kind."""
    executions = data.get("executions") if isinstance(data, dict) else None
    if not isinstance(executions, list) or not executions:
        return []
    totals = data.get("totals")
    if not isinstance(totals, dict):
        totals = {}
    phrases = words.summary
    told = [
        phrases["execution" if len(executions) == 1 else "executions"].format(count=len(executions))
    ]
    days = [_day(totals.get(key)) for key in ("first_start", "last_start")]
    if all(days):
        told.append(
            phrases["day" if days[0] == days[1] else "days"].format(first=days[0], last=days[1])
        )
    if states := _counts(totals.get("by_status")):
        parts = ", ".join(f"{words.state(name)}: {count}" for name, count in states)
        told.append(phrases["states"].format(parts=parts))
    if configs := _counts(totals.get("by_config")):
        parts = ", ".join(f"{name}: {count}" for name, count in configs)
        told.append(phrases["configs"].format(parts=parts))
    for key in ("outputs", "edits"):
        if _is_count(totals.get(key)):
            told.append(phrases[key].format(count=totals[key]))
    return told


def _figures(data: JsonValue, words: Words) -> list[str]:
    """Short values and lengths of lists of any data."""
    if isinstance(data, list):
        return [words.summary["entries"].format(count=len(data))]
    return list(islice(_statements(data, "", words), MAX_FACTS))


def _statements(value: JsonValue, name: str, words: Words) -> Iterator[str]:
    """Yield what can be said in a few words, from the outside to the inside of objects."""
    if isinstance(value, dict):
        simple = [key for key in value if not isinstance(value[key], dict)]
        for key in sorted(value, key=lambda key: key not in simple):
            yield from _statements(value[key], f"{name}.{key}" if name else key, words)
    elif isinstance(value, list):
        yield words.summary["entries_of"].format(key=name, count=len(value))
    elif _is_short(value):
        yield f"{name}: {value}."


def _texts(data: JsonValue) -> list[str]:
    """Return texts that are more than a name: in executions, what people and models wrote."""
    found = [text for text in _strings(data) if len(text.split()) >= 3]
    return found[:MAX_TEXTS]


def _strings(data: JsonValue) -> Iterator[str]:
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, list):
            waiting += reversed(one)


def _counts(value: Any) -> list[tuple[str, int]]:
    if not isinstance(value, dict):
        return []
    counts = [(str(name), count) for name, count in value.items() if _is_count(count)]
    return sorted(counts, key=lambda pair: -pair[1])[:MAX_FACTS]


def _day(value: Any) -> str:
    found = _DAY.match(value) if isinstance(value, str) else None
    return found[0] if found is not None else ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= 80 and "\n" not in value
    return isinstance(value, int | float) and not isinstance(value, bool)
