"""What a task is cut into: pieces, each with what the small model is asked about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generation_service.text.embedded.library import Sampling


@dataclass(frozen=True)
class Prompt:
    """What the model goes on with, and how its answer is judged.

    Attributes:
        examples: The beginning that is the same for every text.
        tail: The rest, with the text; the model goes on right behind it.
        beginning: The end of the tail that belongs to the answer already.
        sampling: How to sample.
        max_tokens: Most tokens of the answer.
        labels: Words before a colon that would start another example.
        echoes: Texts of the examples that must not come back.
        script: Script that most letters of the answer have to be in; empty: any.
        source: The text, where an answer that equals it is none. Empty: may be equal.
        words: Words that a good translation has.
    """

    examples: str
    tail: str
    beginning: str
    sampling: Sampling
    max_tokens: int
    labels: tuple[str, ...]
    echoes: tuple[str, ...]
    script: str = ""
    source: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One piece of a task.

    Attributes:
        text: The piece, as it is where the model is not asked or fails.
        separator: What follows it in the answer.
        prompt: How to work on it; None: it stays as it is.
        composed: A rule has written the text; it is neither the person's nor the model's.
    """

    text: str
    separator: str
    prompt: Prompt | None
    composed: bool = False
