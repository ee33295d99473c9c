"""Summaries by a language model that are held against the data, with extraction to fall back on.

A model may make up figures. So its answer is checked, asked for once more if a number is not in the
data, and thrown away if that does not help: a dull summary is better than a wrong one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from tracker_service.export_workflow.summary.extractive import extracted
from tracker_service.export_workflow.summary.facts import FactBook
from tracker_service.export_workflow.summary.model import Method, Summary, SummaryMetadata
from tracker_service.export_workflow.summary.prompting import printable, request, rules

if TYPE_CHECKING:
    from tracker_service.export_workflow.summary.facts import Findings
    from tracker_service.export_workflow.summary.model import SummaryTask

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 2


class NoTextError(Exception):
    """No model has written anything.

    Attributes:
        reason: Why, UPPER_SNAKE: `NO_MODEL` where none is meant to, else what went wrong.
    """

    def __init__(self, reason: str) -> None:
        """Take the reason."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WrittenText:
    """What a model has written.

    Attributes:
        text: Its answer.
        model: The model, `<backend>/<model>`.
        tokens: Read and written; None: it was not told.
    """

    text: str
    model: str
    tokens: int | None


class TextWriter(Protocol):
    """Has a model write a text."""

    async def write(self, rules: str, request: str, safety_level: str) -> WrittenText:
        """Ask the model that makes summaries.

        Args:
            rules: The system message.
            request: The user message.
            safety_level: Says whether the texts may leave the site; empty: as the strictest.

        Raises:
            NoTextError: There is no model, or it failed.
        """


class MachineSummarizer:
    """Has summaries written by a model where there is one; see `Summarizer`."""

    def __init__(self, writer: TextWriter, *, seconds: float = 90.0) -> None:
        """Take what it works with.

        Args:
            writer: Asks the model.
            seconds: Longest time for all attempts; then the summary is extracted.
        """
        self._writer = writer
        self._seconds = seconds

    async def summarise(self, task: SummaryTask) -> Summary:
        """Summarise; see `Summarizer`."""
        started = time.perf_counter()
        facts = await asyncio.to_thread(FactBook, task.data)
        attempts = _Attempts()
        try:
            async with asyncio.timeout(self._seconds):
                text, findings = await self._written(task, facts, attempts)
            reason = ""
        except (NoTextError, TimeoutError) as exc:
            reason = exc.reason if isinstance(exc, NoTextError) else "MODEL_TIMEOUT"
            log.info("summary_extracted", reason=reason, attempts=attempts.count)
            text = await asyncio.to_thread(extracted, task.data, task.language)
            findings = await asyncio.to_thread(facts.check, text)
        return Summary(
            text=text,
            metadata=SummaryMetadata(
                extraction_method=Method.EXTRACTIVE if reason else Method.GENERATIVE,
                ai_model="" if reason else attempts.model,
                processing_time_ms=round((time.perf_counter() - started) * 1000),
                tokens_used=attempts.tokens,
                confidence_score=findings.share_found,
                fallback_reason=reason,
            ),
        )

    async def _written(
        self, task: SummaryTask, facts: FactBook, attempts: _Attempts
    ) -> tuple[str, Findings]:
        """Ask until an answer holds.

        Raises:
            NoTextError: None did, or none came.
        """
        unknown: tuple[str, ...] = ()
        reason = ""
        for _ in range(ATTEMPTS):
            message = await asyncio.to_thread(request, task, unknown)
            answer = await self._writer.write(rules(task.language), message, task.safety_level)
            attempts.note(answer)
            text = printable(answer.text)
            findings = await asyncio.to_thread(facts.check, text)
            if text and not findings.unknown_numbers:
                return text, findings
            unknown = findings.unknown_numbers
            reason = "NUMBERS_NOT_IN_DATA" if unknown else "ANSWER_UNUSABLE"
        raise NoTextError(reason)


class _Attempts:
    """What all attempts cost together."""

    def __init__(self) -> None:
        self.count = 0
        self.model = ""
        self.tokens: int | None = None

    def note(self, answer: WrittenText) -> None:
        self.count += 1
        self.model = answer.model
        if answer.tokens is not None:
            self.tokens = (self.tokens or 0) + answer.tokens
