"""What the stages need of the other services, as interfaces and plain data.

`clients.py` implements them over gRPC. A stage that takes one of these cannot know, or care, where
the answer comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import datetime

    from orchestrator.configs.model import Lora
    from orchestrator.configs.workflow import PlannedWorkflow
    from orchestrator.model import Direction, MediaFile, SafetyLevel, Verdict


class Safety(Protocol):
    """Decides what is allowed. Every failure to get an answer is a StageFailure."""

    async def policy_version(self, level: SafetyLevel) -> str:
        """Return the version of the policy that is in force.

        Raises:
            StageFailure: SAFETY_UNAVAILABLE.
        """
        ...

    async def check_texts(
        self,
        texts: Sequence[tuple[str, str]],
        *,
        level: SafetyLevel,
        direction: Direction,
        media_type: str = "",
    ) -> list[Verdict]:
        """Return a verdict for each pair (text, language), in order.

        Raises:
            StageFailure: SAFETY_UNAVAILABLE, when there was no answer within the limit.
        """
        ...

    async def check_image(
        self, media: MediaFile, *, level: SafetyLevel, direction: Direction, photographic: bool
    ) -> Verdict:
        """Return the verdict about a stored picture.

        Raises:
            StageFailure: SAFETY_UNAVAILABLE; or BROKEN_IMAGE and the like, for a faulty picture.
        """
        ...


@dataclass(frozen=True, slots=True)
class TextRequest:
    """One call of a language model, as the plan says it; the level says where it may go."""

    role: str
    messages: tuple[tuple[str, str], ...]
    parameters: Mapping[str, object]
    execution_id: str
    level: SafetyLevel
    model: str = ""
    text: str = ""
    context: str = ""
    source_language: str = ""
    target_language: str = ""
    config_id: str = ""
    chunk_id: str = ""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer; `restart` asks to forget what came before."""

    text: str
    restart: bool = False


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """A whole answer and what led to it; see TextResult of the contract."""

    text: str
    messages: tuple[tuple[str, str], ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    model: str = ""
    backend: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    run_seconds: float = 0.0
    first_token_seconds: float = 0.0
    finish_reason: str = ""
    backend_job_id: str = ""
    switches: tuple[tuple[str, str, str], ...] = ()
    cost: float | None = None
    cost_currency: str = ""

    def metadata(self) -> dict[str, object]:
        """Everything that was passed to the model and came back beside the text."""
        paid = self.cost is not None
        cost = {"cost": {"amount": self.cost, "currency": self.cost_currency}} if paid else {}
        return {
            "messages": [{"role": role, "content": content} for role, content in self.messages],
            **self.parameters,
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
            },
            **cost,
            "first_token_seconds": self.first_token_seconds,
            "finish_reason": self.finish_reason,
        }


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """One output to render.

    Attributes:
        level: Says where the prompt may go.
        workflow: The graph that makes it; None: its backend needs none.
        loras: Put into the workflow, in order.
        input_media: The run's pictures that it is made from, in order.
        previews: Whether progress brings pictures, which nobody has checked.
    """

    execution_id: str
    level: SafetyLevel
    loop_iteration: int
    output_config: str
    backend: str
    model: str
    media_type: str
    prompt: str
    parameters: Mapping[str, object]
    item_id: str
    workflow: PlannedWorkflow | None = None
    loras: tuple[Lora, ...] = ()
    input_media: tuple[MediaFile, ...] = ()
    previews: bool = False


@dataclass(frozen=True, slots=True)
class JobQueued:
    """The job waits: jobs before it, and seconds until it starts if known."""

    position: int
    estimate_seconds: float | None


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A worker has taken the job."""

    worker: str
    attempt: int


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The job goes on: percent from 0 to 100, the step that runs, and perhaps how it looks."""

    percent: float
    node: str
    preview: bytes = b""
    preview_mime_type: str = ""


@dataclass(frozen=True, slots=True)
class JobOutput:
    """A stored file that nobody may fetch yet; `file_number` counts in the job, from 1."""

    media: MediaFile
    photographic: bool
    file_number: int = 1


@dataclass(frozen=True, slots=True)
class JobFinished:
    """The end of a job.

    Attributes:
        state: A JobState of the contract without its prefix.
        workflow_sha256: Of the graph as it ran; empty: there was none.
        outputs_reused: The worker handed out what it had made before.
        texts: What the backend sent beside files, such as a prompt that it rewrote.
        error_detail: What is wrong at which node, for the workflow's author; empty: nothing.
    """

    state: str
    parameters: Mapping[str, object]
    backend: str
    model: str
    backend_job_id: str
    wait_seconds: float
    run_seconds: float
    error_reason: str
    error_message: str
    warnings: tuple[str, ...]
    workflow_sha256: str = ""
    outputs_reused: bool = False
    texts: tuple[str, ...] = ()
    error_detail: str = ""


JobEvent = JobQueued | JobStarted | JobProgress | JobOutput | JobFinished


class Generation(Protocol):
    """Makes texts and media. Every failure to get an answer is a StageFailure."""

    def generate_text(self, request: TextRequest) -> AsyncGenerator[TextDelta | TextAnswer, None]:
        """Stream deltas, then exactly one answer.

        Raises:
            StageFailure: GENERATION_UNAVAILABLE, or the reason that the service gave.
        """
        ...

    def generate_media(self, request: MediaRequest) -> AsyncGenerator[JobEvent, None]:
        """Stream the events of a job; the last is JobFinished. Closing it cancels the job.

        Raises:
            StageFailure: As of `generate_text`.
        """
        ...

    async def release_media(self, execution_id: str, item_id: str, sha256: str) -> None:
        """Let the execution's owner fetch a file.

        Raises:
            StageFailure: As of `generate_text`.
        """
        ...

    async def media_info(self, sha256: str) -> MediaFile:
        """Describe a file that the current principal uploaded.

        Raises:
            NotFoundError: MEDIA_NOT_FOUND.
            UnavailableError: GENERATION_UNAVAILABLE.
        """
        ...


class Records(Protocol):
    """Where items go. Never awaited, never raises: recording is not felt."""

    def record(
        self,
        *,
        execution_id: str,
        epoch: int,
        sequence_number: int,
        stage: int,
        item_type: str,
        stage_iteration: int | None = None,
        loop_iteration: int | None = None,
        media_type: str = "",
        content: str | None = None,
        media: MediaFile | None = None,
        config_used: str = "",
        model_used: str = "",
        backend_used: str = "",
        backend_job_id: str = "",
        run_seconds: float | None = None,
        metadata: Mapping[str, object] | None = None,
        item_id: str | None = None,
        occur_time: datetime | None = None,
    ) -> str:
        """Take an item and return its id."""
        ...

    def record_plan(self, digest: str, plan_json: bytes) -> None:
        """Take a plan."""
        ...

    def record_trace(self, traceparent: str) -> None:
        """Take the name of the span in which an execution runs."""
        ...

    def heartbeat(
        self,
        execution_id: str,
        epoch: int,
        last_sequence_number: int,
        owner_address: str,
        released: bool = False,
        awaiting_edit: bool = False,
    ) -> None:
        """Say that an execution is alive, or with `released` that nobody runs it any more."""
        ...
