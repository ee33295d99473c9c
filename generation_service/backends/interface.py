"""What a media backend is asked and what it answers.

A request is planned before it is queued, so that whoever asks for nonsense hears it at once and
what will be applied is settled; it is made when a worker slot is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from servicekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Report: TypeAlias = "Callable[[float, str], None]"
"""Takes progress: percent from 0 to 100, and the step that runs."""


@dataclass(frozen=True)
class InputMedia:
    """A file of the media store that something is made from.

    Attributes:
        sha256: Names it.
        filename: For people; workers go by its extension.
    """

    sha256: str
    filename: str = ""


@dataclass(frozen=True)
class MediaParameters:
    """Parameters as asked for; None or empty leaves it to the renderer.

    Attributes:
        width: In pixels.
        height: In pixels.
        seed: 64 bits unsigned.
        others: Every other typed parameter that was set, by its name in the proto.
        extra: Free parameters; None: what was sent is no JSON object.
        input_media: What it is made from.
    """

    width: int | None = None
    height: int | None = None
    seed: int | None = None
    others: Mapping[str, object] = field(default_factory=dict)
    extra: Mapping[str, object] | None = field(default_factory=dict)
    input_media: tuple[InputMedia, ...] = ()


@dataclass(frozen=True)
class WorkflowOrder:
    """A graph of ComfyUI nodes and how to use it, as sent: nothing is checked yet.

    Attributes:
        name: For people; empty: none.
        graph: In API format.
        input_mappings: Which parameter is written where; None: nowhere.
        output_mapping: Which nodes bring the results.
        lora_place: Where LoRAs are chained in; None: nowhere.
        load_seconds: How long loading may take; None: the queue's limit.
        run_seconds: How long the work may take; None: the queue's limit.
        vram_bytes: Memory of the device that a worker must have; 0: any will do.
    """

    name: str
    graph: object = field(repr=False)
    input_mappings: object = field(repr=False)
    output_mapping: object = field(repr=False)
    lora_place: object = None
    load_seconds: float | None = None
    run_seconds: float | None = None
    vram_bytes: int = 0


@dataclass(frozen=True)
class MediaRequest:
    """What is to be made.

    Attributes:
        model: The renderer within the backend, such as `picture-a`.
        media_type: The medium by its JSON name, such as `image`.
        prompt: The text, exactly as it was checked.
        parameters: How to make it.
        workflow: What the backend `comfyui` runs; None: none was sent.
    """

    model: str
    media_type: str
    prompt: str
    parameters: MediaParameters = field(default_factory=MediaParameters)
    workflow: WorkflowOrder | None = None


@dataclass(frozen=True)
class MediaPlan:
    """A request that a backend has accepted. All of it can be written as JSON.

    Attributes:
        backend: The backend's name.
        model: As `<backend>/<model>`.
        prompt: The text.
        applied: Parameters as they will be applied.
        warnings: What was asked for and will not be applied, one sentence each.
        work: What else its workers need to know, in the backend's own words.
        models_key: Names the models that a worker must load for it; a worker that has just used
            them is warm. Empty: none.
        load_seconds: How long loading may take; None: the queue's limit.
        run_seconds: How long the work may take; None: the queue's limit.
        photographic: Whether the result may look like a photograph; None: as the backend says.
        vram_bytes: Memory of the device that a worker must have; 0: any will do.
    """

    backend: str
    model: str
    prompt: str
    applied: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    work: Mapping[str, object] = field(default_factory=dict, repr=False)
    models_key: str = ""
    load_seconds: float | None = None
    run_seconds: float | None = None
    photographic: bool | None = None
    vram_bytes: int = 0


@dataclass(frozen=True)
class MadeFile:
    """One file that a backend made, without metadata in it."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Preview:
    """A small picture of what is not yet done."""

    data: bytes = field(repr=False)
    mime_type: str


class MediaBackend(Protocol):
    """Something that can make media."""

    @property
    def name(self) -> str:
        """The first part of the model names that it serves, such as `embedded`."""

    @property
    def photographic(self) -> bool:
        """Whether what it makes may look like a photograph."""

    def plan(self, request: MediaRequest) -> MediaPlan:
        """Check a request and settle its parameters.

        Raises:
            MediaModelNotFoundError: It has no such renderer for this medium.
            InvalidArgumentError: PARAMETER_OUT_OF_RANGE, all violations at once.
        """

    async def make(self, plan: MediaPlan, report: Report) -> tuple[MadeFile, ...]:
        """Make what was planned. Cancelling the call ends the work.

        Raises:
            AttemptFailedError: It did not work; the error says whether to try again.
        """

    async def close(self) -> None:
        """Give back processes and connections."""


class AttemptFailedError(Exception):
    """An attempt to make something failed.

    Attributes:
        reason: An `ErrorInfo` reason such as RENDERER_FAILED.
        message: One sentence for people.
        worth_retrying: It failed for the worker's sake (crashed, gone), not for the job's.
        detail: What is wrong where, for the author of a workflow; empty: not known.
        quarantine: The worker must not get another job before it is itself again.
    """

    detail: str = ""
    quarantine: ClassVar[bool] = False

    def __init__(self, reason: str, message: str, *, worth_retrying: bool) -> None:
        """See the class."""
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.worth_retrying = worth_retrying


class MediaModelNotFoundError(NotFoundError):
    """The backend has no such renderer, or not for this medium."""

    def __init__(self, model: str, media_type: str) -> None:
        """Name the model, `<backend>/<model>`, and the medium."""
        super().__init__(
            "MODEL_NOT_FOUND",
            f"There is no model {model!r} that makes {media_type!r}.",
            resource=("model", model),
        )


class BackendNotFoundError(NotFoundError):
    """There is no media backend of this name."""

    def __init__(self, backend: str) -> None:
        """Name the backend."""
        super().__init__(
            "BACKEND_NOT_FOUND",
            f"There is no media backend {backend!r}.",
            resource=("backend", backend),
        )
