"""What an execution can be found by: the words in its texts, its models, item types and blocks.

Words are found here and not by the databases, so that both find the same, in every script: the
databases get words that are already folded, and only keep and look them up.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from tracker_service.metadata import is_withheld, read_metadata, storable
from tracker_service.taxonomy import STAGE_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.items import ExecutionItem

MAX_QUERY: Final = 200
MAX_QUERY_WORDS: Final = 10
MAX_WORD: Final = 64
MAX_WORDS_BYTES: Final = 500_000
"""Of one execution; PostgreSQL takes less than 1 MiB."""

# Chinese, Japanese and Thai write without spaces: each of their characters is a word here.
_WORD: Final = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")
_NAMES: Final = re.compile(r"[a-z0-9_]+(, [a-z0-9_]+)*")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_UNSPACED: Final = re.compile(r"([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")


class FacetKind(StrEnum):
    """What executions are counted and found by, beside their own fields."""

    MODEL = "model"
    ITEM_TYPE = "item_type"
    BLOCK = "block"
    """The category of a verdict that blocked."""


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """What is looked up of one execution.

    Attributes:
        key: The store's number of it.
        revision: The revision it was made from.
        start_time_us: When the execution started.
        words: The words in its texts, folded.
        facets: Kinds with their values.
    """

    key: int
    revision: int
    start_time_us: int
    words: frozenset[str]
    facets: frozenset[tuple[str, str]]


def words_of(text: str) -> set[str]:
    """Return the words of a text: without case and accents, the rest as it is."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = _NOT_ASCII.sub(_without_accents, plain)
    spaced = _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", plain))
    return {word[:MAX_WORD] for word in _WORD.findall(spaced)}


def _without_accents(found: re.Match[str]) -> str:
    return "".join(c for c in found[0] if not unicodedata.combining(c))


def query_words(query: str) -> tuple[str, ...]:
    """Return the words that a search is for; each stands for all words that begin so.

    Raises:
        InvalidArgumentError: TEXT_INVALID: there is no word in it, or too many.
    """
    words = sorted(words_of(query)) if len(query) <= MAX_QUERY else []
    if not 1 <= len(words) <= MAX_QUERY_WORDS:
        raise InvalidArgumentError(
            "TEXT_INVALID", "Search for 1 to 10 words, in 200 characters.", field="text"
        )
    return tuple(words)


def entry_of(
    key: int, revision: int, start_time_us: int, items: Iterable[ExecutionItem]
) -> SearchEntry:
    """Return what an execution is found by.

    What was withheld from its person is not: a search must not tell what a reading would not.
    """
    texts: set[str] = set()  # what one stage hands to the next is there twice
    facets: set[tuple[str, str]] = set()
    for item in items:
        facets.add((FacetKind.ITEM_TYPE.value, item.item_type))
        if item.model_used:
            facets.add((FacetKind.MODEL.value, item.model_used))
        if item.item_type in STAGE_BLOCKS:
            facets.update((FacetKind.BLOCK.value, one) for one in _categories(item))
        if item.content and not is_withheld(item.metadata_json):
            texts.add(item.content)
    words = set().union(*map(words_of, texts))
    return SearchEntry(key, revision, start_time_us, _bounded(words), frozenset(facets))


def _bounded(words: set[str]) -> frozenset[str]:
    """Return as many of the words as may be kept, the short ones first."""
    size_bytes = 0
    kept: list[str] = []
    for word in sorted(words, key=len):
        size_bytes += len(word.encode())
        if size_bytes > MAX_WORDS_BYTES:
            break
        kept.append(word)
    return frozenset(kept)


def _categories(item: ExecutionItem) -> list[str]:
    """Return the categories for which an item says that something was blocked.

    They are a list, or names in `blocked_reason`; where that is a sentence, it names none.
    """
    metadata = read_metadata(item.metadata_json)
    value = metadata.get("categories")
    if not isinstance(value, list):
        reason = str(metadata.get("blocked_reason", ""))
        value = reason.split(", ") if _NAMES.fullmatch(reason) else []
    return [storable(str(one))[:MAX_WORD] for one in value if one] or ["unspecified"]
