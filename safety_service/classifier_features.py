"""What the classifier sees of a text; training and running share this, so they cannot drift apart.

Words, runs of two and of three words, and the letter sequences inside of words are hashed into a
fixed number of buckets: the model file then holds weights and no vocabulary, thus nothing of the
texts that it was trained on. CRC-32 because it is fast, in the standard library, and the same
everywhere.
"""

from __future__ import annotations

from itertools import pairwise
from zlib import crc32

BUCKETS = 1 << 20
WORD_SHARES = (1.0, 1.0, 0.7)  # what words, pairs and triples count; tried on dev
LETTER_SHARE = 0.7
_MASK = BUCKETS - 1
_LETTERS = range(3, 6)  # lengths of letter sequences
_LONGEST_WORD = 32  # bytes; of a longer chain of letters the beginning says enough
_RUN_SEED = 1
_LETTER_SEED = 2


def words_of(text: str) -> list[bytes]:
    """The words of a text as layer 1 folded it, in order."""
    return [word[:_LONGEST_WORD] for word in text.encode(errors="replace").split()]


def word_hash(word: bytes) -> int:
    """The full hash of a word, 32 bits."""
    return crc32(word)


def word_buckets(words: list[bytes]) -> tuple[set[int], set[int], set[int]]:
    """Buckets of the distinct words, pairs and triples of neighbours; see `WORD_SHARES`."""
    pairs = [first + b" " + second for first, second in pairwise(words)]
    triples = [pair + b" " + third for pair, third in zip(pairs, words[2:], strict=False)]
    return (
        {crc32(word) & _MASK for word in words},
        {crc32(pair, _RUN_SEED) & _MASK for pair in pairs},
        {crc32(triple, _RUN_SEED) & _MASK for triple in triples},
    )


def letter_buckets(word: bytes) -> list[int]:
    """Buckets of the letter sequences of one word, its ends marked."""
    marked = b" " + word + b" "
    return [
        crc32(marked[start : start + length], _LETTER_SEED) & _MASK
        for length in _LETTERS
        for start in range(len(marked) - length + 1)
    ]
