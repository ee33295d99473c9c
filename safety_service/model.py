"""The words in which every other module of this service speaks.

They live apart so that the layers, the policy and the servicer share them without importing one
another, and so that none of them needs a stub to say what a verdict is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

# The checks of this build, in the order of their layers, as the policy and the records name them.
NORMALISE = "normalise"
TERMS_LAW = "terms_law"
TERMS_AGE = "terms_age"
CLASSIFIER = "classifier"
TEXT_GUARD = "text_guard"
PERSONAL_DATA = "personal_data"
IMAGE_FORMAT = "image_format"
IMAGE_GUARD = "image_guard"
TEXT_CHECKS = (NORMALISE, TERMS_LAW, TERMS_AGE, CLASSIFIER, TEXT_GUARD, PERSONAL_DATA)
IMAGE_CHECKS = (IMAGE_FORMAT, IMAGE_GUARD)


class Level(StrEnum):
    """How strict the checks are, strictest first."""

    KIDS = "kids"
    YOUTH = "youth"
    ADULT = "adult"
    OFF = "off"


class Decision(StrEnum):
    """A verdict in one word."""

    ALLOW = "allow"
    BLOCK = "block"
    UNAVAILABLE = "unavailable"


class Severity(StrEnum):
    """Whether a listed term decides by itself or needs a second opinion."""

    BLOCK = "block"
    ASK = "ask"


class Direction(StrEnum):
    """Who made the content."""

    INPUT = "input"
    OUTPUT = "output"


class Outcome(StrEnum):
    """What became of one check."""

    PASSED = "passed"
    HIT = "hit"
    SKIPPED = "skipped"
    FAILED = "failed"


class OnFailure(StrEnum):
    """What becomes of content that a check could not judge."""

    BLOCK = "block"
    ALLOW_WITH_WARNING = "allow_with_warning"


class Category(StrEnum):
    """Why something is not allowed."""

    EXTREMISM_86A = "extremism_86a"
    HATE = "hate"
    VIOLENCE = "violence"
    SEXUAL = "sexual"
    SELF_HARM = "self_harm"
    DRUGS = "drugs"
    WEAPONS = "weapons"
    HORROR = "horror"
    BULLYING = "bullying"
    PERSONAL_DATA = "personal_data"
    DANGEROUS_ACTS = "dangerous_acts"
    PROMPT_INJECTION = "prompt_injection"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the original text, in Unicode code points.

    Attributes:
        start: Index of the first character.
        end: Index after the last character.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TextQuestion:
    """A text to be judged.

    Attributes:
        text: 1 to `MAX_TEXT_LENGTH` characters.
        level: For whom it must be fit.
        direction: Who wrote it.
        language: ISO 639-1 code of its language; empty: unknown.
        medium: What will be made of it, such as `image` or `3d`; empty: unknown, so anything.
    """

    text: str
    level: Level
    direction: Direction
    language: str = ""
    medium: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that a layer found.

    Attributes:
        category: What kind of content it is.
        score: Certainty from 0 to 1; 1 for a listed term.
        layer: The number of the layer that found it.
        severity: Whether the layer decided or only asked.
        span: Where in the original text, None for pictures.
        entry_id: The list entry, empty when no list was involved.
    """

    category: Category
    score: float
    layer: int
    severity: Severity
    span: Span | None = None
    entry_id: str = ""


@dataclass(frozen=True, slots=True)
class CheckRun:
    """What became of one check.

    Attributes:
        name: The check, as the policy names it.
        layer: Its number in the order of cost, 1 is the cheapest.
        outcome: What became of it.
        detail: Why it did not run, a stable lower-case word; empty when it ran.
        duration_seconds: How long it took.
        model: The model that judged, `<backend>/<model>`; empty when none did.
    """

    name: str
    layer: int
    outcome: Outcome
    detail: str = ""
    duration_seconds: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What is shown to the person, in both languages; both empty when there is nothing to say."""

    de: str = ""
    en: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one check of one text or picture.

    Attributes:
        decision: Whether the content may be used.
        level: The level it was judged at.
        reasons: What speaks against it; empty when it is allowed.
        checks: Every check of the level, in order, with what became of it.
        policy_version: SHA-256 of the policy, as hex.
        content_sha256: SHA-256 of the text's UTF-8 bytes or of the picture's bytes, as hex.
        message: Kind words for the person, empty when allowed without a warning.
        warning: Whether a check could not run and the policy lets the content pass.
    """

    decision: Decision
    level: Level
    reasons: tuple[Reason, ...]
    checks: tuple[CheckRun, ...]
    policy_version: str
    content_sha256: str
    message: Message = Message()
    warning: bool = False


def text_digest(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, as hex; also of texts with half characters."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
