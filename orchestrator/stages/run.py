"""What the stages of one execution share, and the few things that each of them does.

Nothing in here is shared between executions but the interfaces to the other services.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from orchestrator.events import (
    ContentBlocked,
    StageFinished,
    StageStarted,
    TextWritten,
    VerdictReached,
)
from orchestrator.model import Blocked, Decision, Phase, StageFailure
from orchestrator.ports import TextAnswer, TextRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from orchestrator.configs.plan import Plan, PlannedChunk
    from orchestrator.events import EventLog
    from orchestrator.journal import Journal
    from orchestrator.languages import Languages
    from orchestrator.model import MediaFile, OutputStatus, SafetyLevel, Verdict
    from orchestrator.ports import Generation, Safety
    from orchestrator.translation import TranslationCache

log = structlog.get_logger(__name__)

TERMS_IN_RECORD = 10
"""Found terms named in a block's item."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each part may take, in seconds, and how many outputs run at once."""

    input_check_seconds: float = 15.0
    interception_seconds: float = 600.0
    output_check_seconds: float = 150.0
    generation_seconds: float = 900.0
    outputs_at_once: int = 4


@dataclass(frozen=True, slots=True)
class Services:
    """Who is asked. Shared by all executions, and without state of any of them."""

    safety: Safety
    generation: Generation
    languages: Languages
    translations: TranslationCache
    limits: Limits


@dataclass(slots=True)
class Run:
    """One execution as its stages see it.

    Attributes:
        texts: The person's texts in order; after stage 1 perhaps translated.
        text_languages: Language of each text, ISO 639-1.
        language: Language of the person, for messages.
        seed: Seed of all outputs and of what stage 2 draws.
        text: What stage 2 made of the texts.
        text_language: Its language.
        shown_text: What the person may see of stage 2's text by now.
        stages_completed: Stages that came to their end, for the terminal item.
    """

    execution_id: str
    plan: Plan
    level: SafetyLevel
    texts: list[str]
    images: list[MediaFile]
    language: str
    seed: int
    journal: Journal
    services: Services
    outputs: list[OutputStatus]
    text_languages: list[str] = field(default_factory=list)
    text: str = ""
    text_language: str = ""
    shown_text: str = ""
    stage: int = 0
    stages_completed: set[int] = field(default_factory=set)

    @property
    def log(self) -> EventLog:
        """Where events are shown."""
        return self.journal.log

    @asynccontextmanager
    async def in_stage(
        self,
        stage: int,
        limit_seconds: float,
        *,
        loop_iteration: int | None = None,
        phase: Phase | None = None,
    ) -> AsyncIterator[None]:
        """Show that a stage runs, and bound it.

        Raises:
            StageFailure: STAGE_TIMEOUT, when it takes longer than its limit.
        """
        self.stage = max(self.stage, stage)
        self.log.add(StageStarted(stage, loop_iteration, phase))
        started = time.monotonic()
        outcome = "failed"
        try:
            async with asyncio.timeout(limit_seconds):
                yield
            outcome = "finished"
            self.stages_completed.add(stage)
        except TimeoutError as exc:
            message = f"Stage {stage} took longer than its limit; try again later."
            raise StageFailure("STAGE_TIMEOUT", message) from exc
        except Blocked:
            outcome = "blocked"
            raise
        finally:
            seconds = time.monotonic() - started
            self.log.add(StageFinished(stage, seconds, loop_iteration, phase))
            log.info(
                "stage_finished",
                stage=stage,
                phase=phase and phase.value,
                loop_iteration=loop_iteration,
                outcome=outcome,
                duration_ms=round(seconds * 1000, 1),
            )

    def record_verdict(
        self,
        stage: int,
        item_type: str,
        verdict: Verdict,
        *,
        stage_iteration: int | None = None,
        loop_iteration: int | None = None,
        input_index: int | None = None,
    ) -> None:
        """Record a verdict and show it; a check that could not run is a warning of its own."""
        where = {"input_index": input_index} if input_index is not None else {}
        self.journal.record(
            stage,
            item_type,
            stage_iteration=stage_iteration,
            loop_iteration=loop_iteration,
            media_type="metadata",
            run_seconds=sum(check.seconds for check in verdict.checks),
            metadata={**verdict.metadata(), **where},
        )
        self.log.add(VerdictReached(verdict, stage, loop_iteration, input_index))
        if verdict.allowed_with_warning:
            self.journal.record(
                stage,
                "warning",
                loop_iteration=loop_iteration,
                media_type="metadata",
                metadata={"reason": "CHECK_NOT_RUN", **where},
            )

    def require_allowed(
        self, verdict: Verdict, stage: int, *, loop_iteration: int | None = None
    ) -> None:
        """Go on only after an ALLOW; a block is recorded with what the person is told.

        Raises:
            Blocked: The verdict is BLOCK.
            StageFailure: SAFETY_UNAVAILABLE: the verdict is UNAVAILABLE.
        """
        if verdict.decision is Decision.ALLOW:
            return
        if verdict.decision is Decision.UNAVAILABLE:
            message = verdict.message.get("en", "A safety check could not run; try again later.")
            raise StageFailure("SAFETY_UNAVAILABLE", message)
        terms = [finding.term for finding in verdict.findings if finding.term][:TERMS_IN_RECORD]
        reason = ", ".join(verdict.categories)
        facts: dict[str, object] = {
            "blocked_reason": reason,
            "safety_level": self.level.word,
            "educational_message": dict(verdict.message),
            "policy_version": verdict.policy_version,
        }
        if stage == 1:
            facts["blocked_term"] = terms[0] if terms else ""
        else:
            facts["blocked_terms"] = terms
            facts["fallback"] = "text_alternative" if loop_iteration else "none"
        self.journal.record(
            stage,
            f"stage{stage}_blocked",
            loop_iteration=loop_iteration,
            media_type="metadata",
            metadata=facts,
        )
        self.log.add(
            ContentBlocked(stage, verdict.message, tuple(verdict.categories), loop_iteration)
        )
        raise Blocked(verdict, stage)

    async def ask(
        self,
        chunk: PlannedChunk,
        values: Mapping[str, str],
        *,
        text: str,
        source_language: str = "",
        target_language: str = "",
        shown_as: TextWritten | None = None,
    ) -> TextAnswer:
        """Ask the chunk's model.

        Args:
            chunk: What the model is told and with which parameters.
            values: For the chunk's placeholders.
            text: What it works on, for models that only complete texts.
            source_language: ISO 639-1 code of `text`.
            target_language: ISO 639-1 code of the wanted answer.
            shown_as: Where deltas belong, if the person may see them at once.

        Raises:
            StageFailure: There was no answer, or an empty one.
        """
        request = TextRequest(
            role=chunk.role,
            model=chunk.model or "",
            messages=tuple((message.role, message.content) for message in chunk.messages(values)),
            parameters=_parameters(chunk),
            execution_id=self.execution_id,
            level=self.level,
            text=text,
            context=values.get("CONTEXT", ""),
            source_language=source_language,
            target_language=target_language,
            config_id=self.plan.config_id,
        )
        if shown_as is not None:
            self.show(replace(shown_as, text="", restart=True))
        answer: TextAnswer | None = None
        # Closing the stream is what stops the model when this run is cancelled.
        async with aclosing(self.services.generation.generate_text(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, TextAnswer):
                    answer = piece
                elif shown_as is not None:
                    self.show(replace(shown_as, text=piece.text, restart=piece.restart))
        if answer is None or not answer.text.strip():
            raise StageFailure("EMPTY_ANSWER", "The language model gave no answer; try again.")
        return answer

    def show(self, written: TextWritten) -> None:
        """Show a piece of text that the person may see."""
        if written.phase is Phase.INTERCEPTION:
            self.shown_text = written.text if written.restart else self.shown_text + written.text
        self.log.add(written)

    def record_switches(
        self, stage: int, answer: TextAnswer, *, loop_iteration: int | None = None
    ) -> None:
        """Record each model that another one had to stand in for."""
        for from_model, to_model, why in answer.switches:
            self.journal.record(
                stage,
                "backend_switch",
                loop_iteration=loop_iteration,
                media_type="metadata",
                metadata={"from": from_model, "to": to_model, "why": why},
            )


def _parameters(chunk: PlannedChunk) -> dict[str, object]:
    """The chunk's sampling parameters under the contract's names, without those left open."""
    given = chunk.parameters
    named = {
        "temperature": given.temperature,
        "top_p": given.top_p,
        "max_tokens": given.max_tokens,
        "stop": given.stop or None,
        "seed": given.seed,
        "keep_alive_seconds": given.keep_alive_seconds,
    }
    return {name: value for name, value in named.items() if value is not None}
