"""What a summary is, whoever makes it: the text and the honest account of how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tracker_service.export_workflow.documents import JsonValue


class Language(StrEnum):
    """Languages that summaries and documents are written in; ISO 639-1."""

    GERMAN = "de"
    ENGLISH = "en"


class Method(StrEnum):
    """How a summary was made."""

    GENERATIVE = "generative"
    """A language model wrote it."""

    EXTRACTIVE = "extractive"
    """Sentences and figures were taken from the data."""


@dataclass(frozen=True, slots=True)
class SummaryTask:
    """What to summarise.

    Attributes:
        data: A JSON value.
        language: Of the summary, whatever the data's is.
        instructions: What the person wants of the text; only a model can follow it.
        safety_level: `kids`, `youth`, `adult`, `off`; says whether the data may leave the site.
            Empty: not known, so the strictest.
    """

    data: JsonValue
    language: Language
    instructions: str = ""
    safety_level: str = ""


@dataclass(frozen=True, slots=True)
class SummaryMetadata:
    """How a summary came about.

    Attributes:
        extraction_method: How it was made.
        ai_model: The model that wrote it, `<backend>/<model>`; empty: none did.
        processing_time_ms: From the task to the summary, with every attempt.
        tokens_used: Read and written in all attempts; None: no model was asked, or none told.
        confidence_score: Share of the facts checked (numbers and quotations of the summary) that
            occur in the data, 0 to 1; None: it states none that could be checked.
        fallback_reason: Why no model wrote it, UPPER_SNAKE; empty: one did.
    """

    extraction_method: Method
    ai_model: str
    processing_time_ms: int
    tokens_used: int | None
    confidence_score: float | None
    fallback_reason: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary.

    Attributes:
        text: Plain text; paragraphs are separated by empty lines.
        metadata: How it came about.
    """

    text: str
    metadata: SummaryMetadata


class Summarizer(Protocol):
    """Summarises data."""

    async def summarise(self, task: SummaryTask) -> Summary:
        """Summarise; never fails for want of a model.

        Args:
            task: What to summarise.
        """
