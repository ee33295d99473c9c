"""What the stages of one execution share, and the few things that each of them does.

Nothing in here is shared between executions but the interfaces to the other services.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
from servicekit.context import within_span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.configs.plan import Plan
    from orchestrator.events import EventLog
    from orchestrator.journal import Journal
    from orchestrator.languages import Languages
    from orchestrator.metrics import ExecutionMetrics
    from orchestrator.model import MediaFile, OutputStatus, SafetyLevel, Verdict
    from orchestrator.ports import Generation, Safety
    from orchestrator.progress import Draft, Progress
    from orchestrator.translation import TranslationCache
    from servicekit.spans import Attributes

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
    metrics: ExecutionMetrics


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """An ALLOW of stage 3 that another execution recorded.

    Attributes:
        item_id: The item that holds it.
        text_sha256: Of the text that it is about.
        level: For whom that text is fit.
        policy_version: By which rules.
    """

    item_id: str
    text_sha256: str
    level: SafetyLevel
    policy_version: str


@dataclass(slots=True)
class Run:
    """One execution as its stages see it.

    Attributes:
        progress: What is done, and the texts as they stand.
        language: Language of the person, for messages.
        seed: Seed of all outputs and of what stage 2 draws.
        shown_text: What the person may see of stage 2's text by now.
        stored_verdict: An earlier verdict about the text of a regenerated output; None: none.
        stage: The latest stage that was reached.
        stages_completed: Stages that came to their end, for the terminal item.
    """

    execution_id: str
    plan: Plan
    level: SafetyLevel
    progress: Progress
    images: list[MediaFile]
    language: str
    seed: int
    journal: Journal
    services: Services
    outputs: list[OutputStatus]
    shown_text: str = ""
    stored_verdict: StoredVerdict | None = None
    stage: int = 0
    stages_completed: set[int] = field(default_factory=set)

    @property
    def text(self) -> Draft:
        """The text of phase 1 as it stands.

        Raises:
            LookupError: There is none yet.
        """
        if self.progress.interception is None:
            raise LookupError("phase 1 has not ended")
        return self.progress.interception

    @property
    def log(self) -> EventLog:
        """Where events are shown."""
        return self.journal.log

    def status(self, loop_iteration: int) -> OutputStatus:
        """Return how far an output is."""
        return self.outputs[loop_iteration - 1]

    def begin_anew(self) -> None:
        """Let stage 2 and all that follows be done once more."""
        self.progress.forget_interception()
        for status in self.outputs:
            status.begin_anew()

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
        part = phase.value if phase else ""
        facts: Attributes = {"stellwerk.output": loop_iteration or 0, "stellwerk.phase": part}
        try:
            with within_span(f"stage {stage}", facts):
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
            self.services.metrics.stage_ended(stage, part, outcome, seconds)
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
        of_item: str = "",
    ) -> None:
        """Record a verdict and show it; a check that could not run is a warning of its own."""
        where: dict[str, object] = {}
        if input_index is not None:
            where["input_index"] = input_index
        if of_item:
            where["of_item"] = of_item
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
        facts = self._block_facts(verdict, stage, of_output=loop_iteration is not None)
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

    def show(self, written: TextWritten) -> None:
        """Show a piece of text that the person may see."""
        if written.phase is Phase.INTERCEPTION:
            self.shown_text = written.text if written.restart else self.shown_text + written.text
        self.log.add(written)

    def _block_facts(self, verdict: Verdict, stage: int, *, of_output: bool) -> dict[str, object]:
        terms = [finding.term for finding in verdict.findings if finding.term][:TERMS_IN_RECORD]
        facts: dict[str, object] = {
            "blocked_reason": ", ".join(verdict.categories),
            "safety_level": self.level.word,
            "educational_message": dict(verdict.message),
            "policy_version": verdict.policy_version,
        }
        if stage == 1:
            facts["blocked_term"] = terms[0] if terms else ""
        else:
            facts["blocked_terms"] = terms
            facts["fallback"] = "text_alternative" if of_output else "none"
        return facts
