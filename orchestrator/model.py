"""The words of an execution as plain data: levels, states, verdicts, files.

Everything here is free of gRPC, so that the stages can be read and tested as what they are: rules
about when a text is rewritten, checked and rendered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class SafetyLevel(IntEnum):
    """For whom a result must be fit; a smaller number is stricter."""

    KIDS = 1
    YOUTH = 2
    ADULT = 3
    OFF = 4

    @property
    def word(self) -> str:
        """The level as records spell it."""
        return self.name.lower()

    @property
    def withholds_unchecked(self) -> bool:
        """Whether machine content is shown only after its check: where minors look on."""
        return self <= SafetyLevel.YOUTH

    @property
    def checks_pictures(self) -> bool:
        """Whether pictures are checked at all; research without an audience does not ask."""
        return self is not SafetyLevel.OFF


class ExecutionState(StrEnum):
    """Where an execution stands."""

    RUNNING = "running"
    AWAITING_EDIT = "awaiting_edit"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether this process has nothing more to do for it."""
        return self not in (ExecutionState.RUNNING, ExecutionState.AWAITING_EDIT)


class OutputState(StrEnum):
    """Where one output stands."""

    PENDING = "pending"
    CHECKING = "checking"
    QUEUED = "queued"
    RUNNING = "running"
    DELIVERED = "delivered"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more is done for it."""
        return self in (OutputState.DELIVERED, OutputState.BLOCKED, OutputState.FAILED)


class Phase(StrEnum):
    """The two halves of stage 2."""

    INTERCEPTION = "interception"
    OPTIMIZATION = "optimization"


class Decision(StrEnum):
    """What follows from a verdict."""

    ALLOW = "ALLOW"
    BLOCK = "BLOCK"
    UNAVAILABLE = "UNAVAILABLE"


class Direction(StrEnum):
    """Who made the content that is checked."""

    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason of a verdict.

    Attributes:
        category: Kind of content, lower case, such as `violence`.
        score: Certainty from 0 to 1.
        layer: Number of the layer that found it.
        start: First code point in the checked text, None when the whole text is judged.
        end: One past the last code point.
        term: The found text; for the record, never for a child's screen.
        entry_id: Id of the list entry; empty when no list was involved.
    """

    category: str
    score: float
    layer: int
    start: int | None = None
    end: int | None = None
    term: str = ""
    entry_id: str = ""


@dataclass(frozen=True, slots=True)
class CheckRun:
    """What became of one check: its name, layer, outcome, detail, seconds and the model asked."""

    name: str
    layer: int
    outcome: str
    detail: str
    seconds: float
    model: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The safety service's answer about one text or picture."""

    decision: Decision
    safety_level: SafetyLevel
    policy_version: str
    content_sha256: str
    findings: tuple[Finding, ...] = ()
    checks: tuple[CheckRun, ...] = ()
    message: dict[str, str] = field(default_factory=dict)
    allowed_with_warning: bool = False

    @property
    def categories(self) -> list[str]:
        """Categories of the findings, each once, strongest first."""
        return list(dict.fromkeys(finding.category for finding in self.findings))

    def metadata(self) -> dict[str, object]:
        """The verdict as an item's metadata: 1.1's keys, then those that 1.0 readers look for."""
        terms = [finding.term for finding in self.findings if finding.term]
        return {
            "decision": self.decision.value,
            "safety_level": self.safety_level.word,
            "layer": max((finding.layer for finding in self.findings), default=None),
            "categories": self.categories,
            "policy_version": self.policy_version,
            "content_sha256": self.content_sha256,
            "allowed_with_warning": self.allowed_with_warning,
            "findings": [
                {
                    "category": finding.category,
                    "score": finding.score,
                    "layer": finding.layer,
                    "start": finding.start,
                    "end": finding.end,
                    "entry_id": finding.entry_id,
                }
                for finding in self.findings
            ],
            "checks": [
                {
                    "name": check.name,
                    "layer": check.layer,
                    "outcome": check.outcome,
                    "detail": check.detail,
                    "duration_ms": round(check.seconds * 1000, 3),
                    **({"model": check.model} if check.model else {}),
                }
                for check in self.checks
            ],
            "safe": self.decision is Decision.ALLOW,
            "risk_level": "none" if self.decision is Decision.ALLOW else "high",
            "checked_terms": terms,
            "fast_path": all(check.layer <= 2 for check in self.checks),
        }


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A stored file, by reference.

    Attributes:
        uri: Key in the media store.
        sha256: Hash of the bytes, hexadecimal.
        size_bytes: Size.
        mime_type: Found from the bytes.
        filename: A name for people; empty when there is none.
    """

    sha256: str
    uri: str = ""
    size_bytes: int = 0
    mime_type: str = ""
    filename: str = ""


@dataclass(slots=True)
class OutputStatus:
    """One requested medium and how far it is. Changed only by the output's own run.

    Attributes:
        more_files: Further files of it, each with the id of its item.
        text: The text of an output that is one, such as code.
    """

    loop_iteration: int
    output_config: str
    media_type: str
    state: OutputState = OutputState.PENDING
    media: MediaFile | None = None
    item_id: str = ""
    text_alternative: str = ""
    reason: str = ""
    message: str = ""
    prompt: str = ""
    seed: int | None = None
    more_files: tuple[tuple[str, MediaFile], ...] = ()
    text: str = ""

    def begin_anew(self) -> None:
        """Forget how it ended, so that it is made once more."""
        self.state = OutputState.PENDING
        self.text_alternative = self.reason = self.message = self.item_id = ""


class Mode(StrEnum):
    """How an execution is run; the words of the record.

    Attributes:
        WHOLE: All stages in one go.
        STEPS: Step by step, with a person's edits in between.
        REGENERATION: From stage 3 on, with the text of another execution.
    """

    WHOLE = "whole"
    STEPS = "step_by_step"
    REGENERATION = "regeneration"


class StageFailure(Exception):
    """Something that a stage needed did not work; ends the execution or one output as FAILED.

    Attributes:
        reason: UPPER_SNAKE, such as SAFETY_UNAVAILABLE.
        message: One sentence for the person.
        recoverable: Whether the same request may work later.
        details: For the author of a config, not for the person: what is wrong at which place.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        recoverable: bool = True,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.recoverable = recoverable
        self.details = details


class Blocked(Exception):
    """A verdict said no. Carries the verdict and the stage that asked."""

    def __init__(self, verdict: Verdict, stage: int) -> None:
        super().__init__(f"blocked in stage {stage}")
        self.verdict = verdict
        self.stage = stage
