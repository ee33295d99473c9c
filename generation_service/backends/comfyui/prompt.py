"""What is given to a worker, what is heard while it works, and what comes back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from generation_service.backends.comfyui.graph import BoundWorkflow
    from generation_service.backends.comfyui.messages import Preview


def new_prompt_id() -> str:
    """Make an id for one attempt; ids are never used twice, since a worker would run both."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Deadlines:
    """How long each phase may last.

    Attributes:
        wait_seconds: In the worker's queue, behind prompts of others.
        load_seconds: Reading models.
        run_seconds: Everything after that.
    """

    wait_seconds: float = 300.0
    load_seconds: float = 300.0
    run_seconds: float = 600.0


@dataclass(frozen=True)
class Prompt:
    """One attempt at one job.

    Attributes:
        workflow: The graph with its parameters.
        prompt_id: To be kept before it is given away, so that a restarted service finds it.
        deadlines: Of its phases.
        previews: Whether pictures of the unfinished work are wanted.
    """

    workflow: BoundWorkflow
    prompt_id: str = field(default_factory=new_prompt_id)
    deadlines: Deadlines = field(default_factory=Deadlines)
    previews: bool = False


@dataclass(frozen=True)
class OutputFile:
    """A file that a run made.

    Attributes:
        number: Among the prompt's files, from 1.
        node_id: Which node made it.
        output_type: As declared by the workflow; empty: not declared.
        extension: From its name, lower case, without the dot; what the bytes are may differ.
        reused: It was made by an earlier, identical prompt.
    """

    number: int
    node_id: str
    output_type: str
    extension: str
    reused: bool = False


@dataclass(frozen=True)
class OutputText:
    """A text that a run made.

    Attributes:
        node_id: Which node made it.
        text: Its words.
        reused: It was made by an earlier, identical prompt.
    """

    node_id: str
    text: str
    reused: bool = False


class OutputSink(Protocol):
    """Where files go."""

    async def store(self, file: OutputFile, pieces: AsyncIterator[bytes]) -> None:
        """Keep a file whose bytes come piece by piece.

        When `pieces` raises, the file must be discarded; it may be offered once more.
        """


@dataclass(frozen=True)
class Durations:
    """How long the phases lasted, in seconds.

    Attributes:
        wait: On the worker, before it began.
        load: Reading models; 0 when none was read, or nothing was heard of it.
        run: The rest, until it ended.
    """

    wait: float
    load: float
    run: float


@dataclass(frozen=True)
class PromptResult:
    """A run that gave everything that was declared.

    Attributes:
        prompt_id: The worker's name for it.
        workflow_sha256: Of the graph with its parameters.
        applied: Parameters that hold; can be written as JSON.
        warnings: What was not applied, one sentence each.
        files: In the order in which they were stored.
        texts: Results that are words.
        outputs_reused: A declared output came from the worker's cache.
        durations: Of the phases.
        worker_number: The worker's count of prompts; small after a restart. None: not told.
    """

    prompt_id: str
    workflow_sha256: str
    applied: Mapping[str, Any]
    warnings: tuple[str, ...]
    files: tuple[OutputFile, ...]
    texts: tuple[OutputText, ...]
    outputs_reused: bool
    durations: Durations
    worker_number: float | None = None


@dataclass(frozen=True)
class Waiting:
    """It waits on the worker; so many run before it."""

    position: int


@dataclass(frozen=True)
class Started:
    """The worker has begun; it may have to load models."""


@dataclass(frozen=True)
class Progressed:
    """It goes on.

    Attributes:
        percent: From 0 to 100, over all nodes; never goes back.
        node: Title or class of the node that runs; empty: not known.
        loading: Models are being read.
    """

    percent: float
    node: str
    loading: bool = False


@dataclass(frozen=True)
class Previewed:
    """A picture of what is being made."""

    preview: Preview


Happening: TypeAlias = Waiting | Started | Progressed | Previewed
Report: TypeAlias = "Callable[[Happening], None]"
"""Takes what happens; must not wait. Called a few times per second at most."""


@dataclass(frozen=True)
class RunLimits:
    """The rhythm of looking after a prompt. The defaults are what a real server needs.

    Attributes:
        socket_seconds: How long to wait for the socket before posting without it.
        poll_seconds: Between looks at queue and history while the socket is open.
        blind_poll_seconds: The same without a socket; grows to `poll_seconds`.
        status_poll_seconds: From a change of the queue to a look, if nothing else is heard.
        call_seconds: One look, which the run must survive.
        post_attempts: How often a prompt is posted whose reply was lost.
        end_marker_seconds: From a terminal message to the end marker.
        history_seconds: From the end marker to the history entry.
        lost_pause_seconds: Between looks at what seems to be lost.
        lost_looks: So many in a row without a trace mean that it is gone.
        unreachable_seconds: How long a worker may be away.
        interrupt_seconds: Between interrupts, which may be lost or late.
        stop_seconds: Until a stop must have ended it; a node may have to finish first.
        fetch_seconds: All files of a prompt together.
        report_seconds: Between reports of progress.
        preview_seconds: Between previews.
        max_preview_bytes: Larger ones are dropped.
        max_output_bytes: All files of a prompt together.
        max_output_files: Of a prompt.
    """

    socket_seconds: float = 2.0
    poll_seconds: float = 1.0
    blind_poll_seconds: float = 0.1
    status_poll_seconds: float = 0.1
    call_seconds: float = 10.0
    post_attempts: int = 3
    end_marker_seconds: float = 1.0
    history_seconds: float = 2.0
    lost_pause_seconds: float = 0.2
    lost_looks: int = 3
    unreachable_seconds: float = 30.0
    interrupt_seconds: float = 0.5
    stop_seconds: float = 60.0
    fetch_seconds: float = 300.0
    report_seconds: float = 0.25
    preview_seconds: float = 1.0
    max_preview_bytes: int = 512 * 1024
    max_output_bytes: int = 512 * 1024 * 1024
    max_output_files: int = 256
