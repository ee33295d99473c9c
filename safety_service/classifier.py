"""Layer 3: a small linear model that sees a harmful sentence without a listed word, too.

Pure Python over arrays of bytes: one text costs some hundred look-ups, and the image of the service
needs no numeric library. What words and letters weigh is learned by `training`; the
model file holds weights by hash and no text.
"""

from __future__ import annotations

import json
import math
import zlib
from array import array
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safety_service.classifier_features import (
    BUCKETS,
    LETTER_SHARE,
    WORD_SHARES,
    letter_buckets,
    word_buckets,
    word_hash,
    words_of,
)
from safety_service.model import Category

WINDOW_WORDS = 60  # a long text is judged by parts: one bad sentence must not drown
KNOWN_BITS = 1 << 20
NAMING_BUCKETS = 1 << 15
_NAMED_FROM = 0.3  # naming costs more than judging, and nothing asks what harmless texts would be
_MEMORY_WORDS = 20_000
_MAX_CONTENT = 16 << 20  # bytes of the unpacked weights


class ClassifierError(Exception):
    """The model file is no model of this build; the message says why."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the classifier makes of a text.

    Attributes:
        score: How harmful the worst part is, 0 to 1.
        category: What kind of harm that would be; OTHER for a low score.
        known: Share of words that the classifier knows, 0 to 1; of others it knows nothing.
    """

    score: float
    category: Category
    known: float


class Head(BaseModel):
    """How the bytes of one set of weights become a score.

    Attributes:
        bias: The score without any word.
        scale: What a weight of one byte is worth.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bias: float
    scale: float


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=1, le=1)
    harm: Head
    naming: dict[Category, Head]


@dataclass(frozen=True, slots=True)
class Weights:
    """A whole model.

    Attributes:
        harm: How the score of harm is made.
        harm_weights: A weight for each bucket.
        naming: How the score of each category is made.
        naming_weights: For each category a weight for each bucket, taken modulo their number.
        known: A bit for each hash of a word that training has seen.
    """

    harm: Head
    harm_weights: array[int]
    naming: dict[Category, Head]
    naming_weights: dict[Category, array[int]]
    known: bytes

    def to_bytes(self) -> bytes:
        """Write the model file; the same model gives the same bytes."""
        header = _Header(format=1, harm=self.harm, naming=self.naming).model_dump_json()
        parts = [self.harm_weights, *(self.naming_weights[name] for name in self.naming)]
        content = b"".join([*(part.tobytes() for part in parts), self.known])
        return header.encode() + b"\n" + zlib.compress(content, 9)

    @classmethod
    def from_bytes(cls, file: bytes) -> Weights:
        """Read a model file.

        Raises:
            ClassifierError: It is none, it is cut off, or it belongs to another build.
        """
        first, _, packed = file.partition(b"\n")
        try:
            header = _Header.model_validate(json.loads(first))
            content = zlib.decompressobj().decompress(packed, _MAX_CONTENT)
        except (ValueError, ValidationError, zlib.error) as exc:
            raise ClassifierError("is no model of a classifier") from exc
        if len(content) != BUCKETS + len(header.naming) * NAMING_BUCKETS + KNOWN_BITS // 8:
            raise ClassifierError("is cut off or belongs to another build")
        naming = {
            name: array("b", content[start : start + NAMING_BUCKETS])
            for name, start in zip(
                header.naming, range(BUCKETS, len(content), NAMING_BUCKETS), strict=False
            )
        }
        known = content[-(KNOWN_BITS // 8) :]
        return cls(header.harm, array("b", content[:BUCKETS]), header.naming, naming, known)


class Classifier:
    """Judges texts by one model; shared by all calls."""

    def __init__(self, weights: Weights) -> None:
        """Use a model."""
        self._weights = weights
        # Words repeat; what the letters of one weigh is worked out once. No texts are kept.
        self._words: dict[bytes, tuple[int, int, bool]] = {}

    def judge(self, text: str) -> Judgement:
        """Judge a text.

        Args:
            text: As layer 1 folded it, words between spaces.

        Returns:
            The judgement; its cost is linear in the text.
        """
        words = words_of(text)
        windows = [
            words[start : start + WINDOW_WORDS] for start in range(0, len(words), WINDOW_WORDS)
        ]
        if not windows:
            return Judgement(0.0, Category.OTHER, 0.0)
        known = sum(self._of_word(word)[2] for word in words) / len(words)
        score, worst = max((self._harm(window), i) for i, window in enumerate(windows))
        probability = _probability(score)
        named = probability >= _NAMED_FROM
        category = self._name(windows[worst]) if named else Category.OTHER
        return Judgement(probability, category, known)

    def _harm(self, words: list[bytes]) -> float:
        head, weigh = self._weights.harm, self._weights.harm_weights.__getitem__
        total = 0.0
        for buckets, share in zip(word_buckets(words), WORD_SHARES, strict=True):
            if buckets:
                total += share * sum(map(weigh, buckets)) / math.sqrt(len(buckets))
        letters = count = 0
        for word in set(words):
            weight, number, _ = self._of_word(word)
            letters += weight
            count += number
        return head.bias + head.scale * (total + LETTER_SHARE * letters / math.sqrt(count))

    def _of_word(self, word: bytes) -> tuple[int, int, bool]:
        """Sum and number of the weights of a word's letters, and whether the word is known."""
        found = self._words.get(word)
        if found is None:
            buckets = letter_buckets(word)
            bit = word_hash(word) % KNOWN_BITS
            known = bool(self._weights.known[bit >> 3] >> (bit & 7) & 1)
            weight = sum(map(self._weights.harm_weights.__getitem__, buckets))
            found = weight, len(buckets), known
            if len(self._words) >= _MEMORY_WORDS:
                self._words.clear()
            self._words[word] = found
        return found

    def _name(self, words: list[bytes]) -> Category:
        """The category that most speaks for."""
        letters = [bucket for word in set(words) for bucket in letter_buckets(word)]
        parts = [
            ([bucket % NAMING_BUCKETS for bucket in buckets], share / math.sqrt(len(buckets)))
            for buckets, share in zip(
                (*word_buckets(words), letters), (*WORD_SHARES, LETTER_SHARE), strict=True
            )
            if buckets
        ]
        scores = {}
        for name, head in self._weights.naming.items():
            weigh = self._weights.naming_weights[name].__getitem__
            total = sum(share * sum(map(weigh, buckets)) for buckets, share in parts)
            scores[name] = head.bias + head.scale * total
        return max(scores, key=scores.__getitem__) if scores else Category.OTHER


def _probability(score: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
