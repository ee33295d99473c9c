"""What a node of the stand-in is: a coroutine that gets its inputs and a context, and may fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Awaitable, Callable

    from tests.fakes.comfyui.folders import Folders
    from tests.fakes.comfyui.switches import Switches
    from tests.fakes.comfyui.watermark import Pixels

    Json = dict[str, Any]

DEFAULT_SIDE = 64  # of pictures whose size nothing tells, in pixels
MOST_FRAMES = 8  # a long video is made shorter, a test does not look at its length


class NodeError(Exception):
    """A node raises; the worker goes on with the next prompt.

    Attributes:
        kind: Name of the exception's type, as the client is told.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Make an error of a type that exists only in the real server."""
        super().__init__(message)
        self.kind = kind


class InterruptedRunError(Exception):
    """The run has been interrupted."""


class WorkerDeathError(BaseException):
    """The worker thread ends, the process stays."""


class DependencyCycleError(Exception):
    """Nodes made at run time wait for each other."""


@dataclass(frozen=True)
class Blocked:
    """A value that keeps the nodes behind it from running.

    Attributes:
        message: Told to the client; empty: nothing is told.
    """

    message: str


@dataclass(frozen=True)
class Pictures:
    """An IMAGE: a batch of frames of one size."""

    frames: tuple[Pixels, ...]
    fps: float = 8.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.frames[0].shape[:2]
        return width, height


@dataclass(frozen=True)
class Latent:
    """A LATENT: only what decoding needs."""

    width: int
    height: int
    batch: int
    color: int = 0


@dataclass(frozen=True)
class Sound:
    """An AUDIO: only its length."""

    seconds: float


@dataclass(frozen=True)
class Token:
    """A value of a type that nothing here looks into, such as MODEL."""

    type: Any


@dataclass(frozen=True)
class Result:
    """What a node gives.

    Attributes:
        outputs: The values on its slots.
        ui: What it shows; None if nothing.
    """

    outputs: tuple[Any, ...] = ()
    ui: Json | None = None


@dataclass
class Context:
    """What a node may use.

    Attributes:
        prompt_id: Of the run.
        node_id: Of the node.
        class_type: Of the node.
        entry: Of the class in `/object_info`.
        graph: The whole prompt.
        extra_pnginfo: What the client wants to have written into files.
        folders: Of the worker.
        switches: Of the stand-in.
        progress: Tells value, maximum and maybe a preview (suffix and bytes), and looks whether
            the run has been interrupted.
        send_text: Sends a binary text frame.
        models: Those in memory, the latest last.
        loads: What the run loaded, "cold" or "warm" before the name.
    """

    prompt_id: str
    node_id: str
    class_type: str
    entry: Json
    graph: Json
    extra_pnginfo: Json | None
    folders: Folders
    switches: Switches
    progress: Callable[[int, int, tuple[str, bytes] | None], Awaitable[None]]
    send_text: Callable[[str], None]
    models: OrderedDict[str, None] = field(repr=False)
    loads: list[str]

    async def load(self, model: str) -> None:
        """Last as long as loading a model does, warm or cold."""
        is_warm = model in self.models
        self.loads.append(f"{'warm' if is_warm else 'cold'} {model}")
        self.models[model] = None
        self.models.move_to_end(model)
        while len(self.models) > self.switches.models_in_memory:
            self.models.popitem(last=False)
        switches = self.switches
        await pause(
            switches.checkpoint_warm_seconds if is_warm else switches.checkpoint_cold_seconds
        )


if TYPE_CHECKING:
    Node = Callable[[Context, Json], Awaitable[Result]]


async def pause(seconds: float) -> None:
    """Sleep; without any time, not even give way."""
    if seconds > 0:
        await asyncio.sleep(seconds)


def pictures_of(value: Any) -> Pictures:
    """Return an input as pictures.

    Raises:
        NodeError: It is something else, such as a literal where a link is needed.
    """
    if isinstance(value, Pictures):
        return value
    kind = type(value).__name__
    raise NodeError("AttributeError", f"'{kind}' object has no attribute 'shape'")


def plain(width: int, height: int, color: int) -> Pixels:
    """Return a picture of one colour."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return pixels


def option_of(entry: Json, inputs: Json, name: str) -> Any:
    """Return an input, checked against the newer form of choices, which validation lets pass.

    Raises:
        NodeError: It is none of the choices.
    """
    for category in ("required", "optional"):
        specification = entry["input"].get(category, {}).get(name)
        if specification and specification[0] == "COMBO" and len(specification) > 1:
            options = specification[1].get("options")
            if options and inputs.get(name) not in options:
                raise NodeError("KeyError", repr(inputs.get(name)))
    return inputs.get(name)
