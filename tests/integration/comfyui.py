"""What tests of the ComfyUI client share: small workflows, a sink in memory, quick limits."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.client import ComfyUIWorker
from generation_service.backends.comfyui.graph import bind
from generation_service.backends.comfyui.http import HttpLimits
from generation_service.backends.comfyui.prompt import Deadlines, Prompt, RunLimits
from generation_service.backends.comfyui.socket import SocketLimits
from generation_service.backends.comfyui.workflow import load_workflow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from generation_service.backends.comfyui.prompt import Happening, OutputFile
    from tests.fakes.comfyui import ComfyUIServer

QUICK = RunLimits(
    socket_seconds=1.0,
    poll_seconds=0.15,
    blind_poll_seconds=0.03,
    status_poll_seconds=0.03,
    call_seconds=1.0,
    end_marker_seconds=0.2,
    history_seconds=0.6,
    lost_pause_seconds=0.03,
    unreachable_seconds=2.0,
    interrupt_seconds=0.1,
    stop_seconds=1.0,
    fetch_seconds=5.0,
    report_seconds=0.0,
    preview_seconds=0.0,
)
"""The same rhythm as in earnest, faster: a stand-in forgives nothing, and tests are many."""
QUICK_HTTP = HttpLimits(connect_seconds=1.0, read_seconds=0.8, write_seconds=2.0)
QUICK_SOCKET = SocketLimits(
    open_seconds=1.0,
    close_seconds=0.2,
    status_seconds=0.3,
    first_pause_seconds=0.02,
    longest_pause_seconds=0.2,
)
PATIENT = Deadlines(wait_seconds=20.0, load_seconds=20.0, run_seconds=20.0)


@dataclass
class MemorySink:
    """Keeps files; a file whose stream broke off is not kept."""

    files: dict[int, bytes] = field(default_factory=dict)

    async def store(self, file: OutputFile, pieces: AsyncIterator[bytes]) -> None:
        """See `OutputSink.store`."""
        self.files[file.number] = b"".join([piece async for piece in pieces])


@contextlib.asynccontextmanager
async def working(
    server: ComfyUIServer | str, *, socket: SocketLimits = QUICK_SOCKET, **limits: Any
) -> AsyncIterator[ComfyUIWorker]:
    """Yield a client of a stand-in or an address with quick limits, changed as named."""
    async with ComfyUIWorker(
        server if isinstance(server, str) else server.url,
        limits=replace(QUICK, **limits),
        http_limits=QUICK_HTTP,
        socket_limits=socket,
    ) as worker:
        yield worker


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """Write a node of a graph."""
    return {"class_type": class_type, "inputs": inputs}


def picture_graph(**middle: Any) -> dict[str, Any]:
    """EmptyImage to SaveImage, with other nodes between them.

    Args:
        middle: By class, its inputs without `image`; chained in this order.
    """
    graph = {"1": node("EmptyImage", width=64, height=64, batch_size=1, color=0)}
    last = "1"
    for number, (class_type, inputs) in enumerate(middle.items(), start=10):
        graph[str(number)] = node(class_type, image=[last, 0], **inputs)
        last = str(number)
    graph["2"] = node("SaveImage", images=[last, 0], filename_prefix="x")
    return graph


def sampler_graph(steps: int = 4) -> dict[str, Any]:
    """Text to image with a checkpoint and a sampler."""
    text = "a photo of a cat"
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name="sd15_tiny.safetensors"),
        "5": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "6": node("CLIPTextEncode", text=text, clip=["4", 1]),
        "7": node("CLIPTextEncode", text="", clip=["4", 1]),
        "3": node(
            "KSampler",
            model=["4", 0],
            seed=1,
            steps=steps,
            cfg=7.0,
            sampler_name="euler",
            scheduler="normal",
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
            denoise=1.0,
        ),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
    }


def chunk(graph: Mapping[str, Any], *outputs: str | dict[str, Any], **rest: Any) -> dict[str, Any]:
    """Write a chunk whose results come from nodes, given by id or as whole mappings."""
    mappings = [each if isinstance(each, dict) else {"node_id": each} for each in outputs]
    return {"workflow": graph, "output_mapping": mappings, **rest}


def prompt_of(
    graph: Mapping[str, Any],
    *outputs: str | dict[str, Any],
    deadlines: Deadlines = PATIENT,
    previews: bool = False,
    **parameters: Any,
) -> Prompt:
    """Make a prompt of a graph; without outputs node 2 makes the result."""
    workflow = load_workflow(chunk(graph, *(outputs or ("2",))))
    return Prompt(bind(workflow, parameters), deadlines=deadlines, previews=previews)


def of_kind(heard: list[Happening], kind: type) -> list[Any]:
    """Those of one kind, in order."""
    return [each for each in heard if isinstance(each, kind)]
