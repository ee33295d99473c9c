"""Learns the weights of the classifier from examples."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from safety_service.classifier import (
    KNOWN_BITS,
    NAMING_BUCKETS,
    WINDOW_WORDS,
    Head,
    Weights,
)
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety_service.normalise import Normaliser
    from training.data import Example

_STRENGTH = 4.0  # inverse of the penalty on large weights; tried 1 to 16 on dev
_EXACTNESS = 1e-3  # ten times more takes four times as long and changes no figure
_LARGEST_SHARE = 0.9999  # the few weights beyond are cut, so that the others keep their precision
_SEEN_OFTEN = 2  # a word must be seen this often to be known
_LEAST_EXAMPLES = 40  # of a category, to have a name of its own


def fit(examples: Sequence[Example], normaliser: Normaliser) -> Weights:
    """Learn a model; the same examples give the same model.

    Args:
        examples: What to learn from.
        normaliser: Folds the texts as the service does.

    Returns:
        The weights.
    """
    rows = [_words(example.text, normaliser) for example in examples]
    harmful = np.array([example.harmful for example in examples])
    counts = np.array([example.count for example in examples])
    harm, weights = _learn(_matrix(rows, BUCKETS), harmful, counts)
    bad = [i for i, example in enumerate(examples) if example.harmful]
    folded = _matrix([rows[i] for i in bad], NAMING_BUCKETS)
    categories = np.array([examples[i].category for i in bad])
    naming = {}
    naming_weights = {}
    for category in Category:
        is_it = categories == category
        if is_it.sum() >= _LEAST_EXAMPLES:
            naming[category], naming_weights[category] = _learn(folded, is_it, counts[bad])
    ours = [row for row, example in zip(rows, examples, strict=True) if example.language != "xx"]
    return Weights(harm, weights, naming, naming_weights, _known(ours))


def _words(text: str, normaliser: Normaliser) -> list[bytes]:
    return words_of(normaliser.normalise(text).plain.text)[:WINDOW_WORDS]


def _matrix(rows: Sequence[list[bytes]], buckets: int) -> csr_matrix:
    """One line a text: what the classifier adds up, with the same weights."""
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for words in rows:
        letters = [bucket for word in set(words) for bucket in letter_buckets(word)]
        parts = (*word_buckets(words), letters)
        for part, share in zip(parts, (*WORD_SHARES, LETTER_SHARE), strict=True):
            # Sorted, as sums of floats depend on their order and that of a set on the process.
            columns += sorted(bucket % buckets for bucket in part)
            values += [share / math.sqrt(max(1, len(part)))] * len(part)
        ends.append(len(columns))
    matrix = csr_matrix((values, columns, ends), shape=(len(rows), buckets))
    matrix.sum_duplicates()
    return matrix


def _learn(
    matrix: csr_matrix, wanted: np.ndarray[tuple[int], np.dtype[np.bool_]], counts: np.ndarray
) -> tuple[Head, array[int]]:
    """Fit one score and round its weights to bytes."""
    model = LogisticRegression(C=_STRENGTH, solver="liblinear", tol=_EXACTNESS, random_state=0)
    model.fit(matrix, wanted, sample_weight=counts)
    weights = model.coef_[0]
    scale = float(np.quantile(np.abs(weights), _LARGEST_SHARE)) / 127
    rounded = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    head = Head(bias=round(float(model.intercept_[0]), 6), scale=round(scale, 9))
    return head, array("b", rounded.tobytes())


def _known(rows: Sequence[list[bytes]]) -> bytes:
    """The bits of the words that are no accident."""
    seen = Counter(word for words in rows for word in set(words))
    bits = bytearray(KNOWN_BITS // 8)
    for word, times in seen.items():
        if times >= _SEEN_OFTEN:
            bit = word_hash(word) % KNOWN_BITS
            bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)
