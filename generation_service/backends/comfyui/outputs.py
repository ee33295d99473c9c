"""The results of a prompt: from its own history entry and its declared nodes, nowhere else.

File names only ever go back to the worker that told them; here a file has a number.
"""

from __future__ import annotations

import math
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from generation_service.backends.comfyui.errors import (
    NodeFault,
    OutputBlockedError,
    OutputMissingError,
    OutputTooLargeError,
    OutputUnreadableError,
    WorkerFaultError,
)
from generation_service.backends.comfyui.prompt import OutputFile, OutputText
from generation_service.backends.comfyui.routes import WorkerFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

    from generation_service.backends.comfyui.answers import HistoryEntry
    from generation_service.backends.comfyui.prompt import OutputSink
    from generation_service.backends.comfyui.routes import WorkerRoutes
    from generation_service.backends.comfyui.workflow import Graph, OutputMapping

TEXT = "text"
_KINDS = ("output", "temp", "input")
# Video: the last three may be animated.
_EXTENSIONS = {
    "image": frozenset(["png", "jpg", "jpeg", "webp", "gif", "avif", "bmp", "tiff", "svg"]),
    "audio": frozenset(["flac", "mp3", "opus", "ogg", "wav", "m4a", "aac"]),
    "video": frozenset(
        ["mp4", "webm", "mkv", "mov", "avi", "gif", "webp", "png"]
    ),  # the last three animated
    "model3d": frozenset(["glb", "gltf", "obj", "ply", "stl", "fbx", "usdz", "splat"]),
}
_TYPE_NAMES = {"3d": "model3d", "model": "model3d", "mesh": "model3d", "music": "audio"}
MAX_TEXT_CHARACTERS = 100_000


@dataclass(frozen=True)
class FoundFile:
    """A file that the history names.

    Attributes:
        file: What we tell about it.
        place: How the worker names it.
    """

    file: OutputFile
    place: WorkerFile


@dataclass(frozen=True)
class FoundOutputs:
    """Everything that was declared.

    Attributes:
        files: To be fetched.
        texts: Complete as they are.
    """

    files: tuple[FoundFile, ...]
    texts: tuple[OutputText, ...]

    @property
    def reused(self) -> bool:
        """Whether any of it came from the worker's cache."""
        return any(found.file.reused for found in self.files) or any(
            text.reused for text in self.texts
        )


def find_outputs(
    entry: HistoryEntry,
    declared: Sequence[OutputMapping],
    graph: Graph,
    *,
    blocked: Sequence[Mapping[str, Any]] = (),
    max_files: int,
) -> FoundOutputs:
    """Find the declared outputs of a run that ended well.

    Args:
        entry: Its history.
        declared: Which nodes must have given something.
        graph: For the words of errors.
        blocked: Errors that were heard and did not end the run.
        max_files: More than this is an error.

    Raises:
        OutputMissingError: A declared node gave nothing; OutputBlockedError if one said why.
        OutputTooLargeError: Too many files.
    """
    files: list[FoundFile] = []
    texts: list[OutputText] = []
    missing: list[NodeFault] = []
    for wanted in declared:
        output = entry.outputs.get(wanted.node_id, {})
        reused = wanted.node_id in entry.cached_nodes
        words = list(_texts(output)) if wanted.output_type == TEXT else []
        places = _chosen(list(_files(output)), wanted) if wanted.output_type != TEXT else []
        texts += [OutputText(wanted.node_id, text, reused) for text in words]
        files += [_found(len(files) + n, p, wanted, reused) for n, p in enumerate(places, 1)]
        if not words and not places:
            missing.append(_missing(wanted, graph, output))
    if missing:
        reasons = [_blocked_fault(data) for data in blocked]
        raise OutputBlockedError(faults=reasons) if reasons else OutputMissingError(faults=missing)
    if len(files) > max_files:
        raise OutputTooLargeError(f"{len(files)} files, and {max_files} are allowed")
    return FoundOutputs(tuple(files), tuple(texts))


async def fetch_outputs(
    routes: WorkerRoutes, found: Sequence[FoundFile], sink: OutputSink, max_bytes: int
) -> None:
    """Fetch files one after the other into a sink.

    Args:
        routes: The worker that has them.
        found: What to fetch.
        sink: Where to.
        max_bytes: Of all together.

    Raises:
        OutputTooLargeError: More than that.
        OutputUnreadableError: The worker does not have one any more.
        WorkerFaultError: A file broke off twice.
    """
    left = max_bytes
    for each in found:
        try:
            left -= await _fetch(routes, each, sink, left)
        except OutputUnreadableError:
            raise
        except WorkerFaultError:  # cut off, or a passing trouble
            left -= await _fetch(routes, each, sink, left)


async def _fetch(routes: WorkerRoutes, found: FoundFile, sink: OutputSink, most: int) -> int:
    counter = _Counter()
    async with (
        routes.view(found.place, most) as pieces,
        aclosing(cast("AsyncGenerator[bytes, None]", counter.through(pieces))) as counted,
    ):
        await sink.store(found.file, counted)
    return counter.byte_count


class _Counter:
    """Counts the bytes that pass."""

    def __init__(self) -> None:
        self.byte_count = 0

    async def through(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.byte_count += len(piece)
            yield piece


def _files(output: Mapping[str, Any]) -> Iterator[WorkerFile]:
    """Every file in what a node gave, whatever the key: each node names it as it likes."""
    seen = set()
    for value in output.values():
        for item in value if isinstance(value, list) else ():
            if not isinstance(item, dict) or not isinstance(item.get("filename"), str):
                continue
            kind = item.get("type") or "output"
            subfolder = item.get("subfolder") or ""
            file = WorkerFile(item["filename"], str(subfolder), str(kind))
            if file.filename and kind in _KINDS and file not in seen:
                seen.add(file)
                yield file


def _chosen(files: list[WorkerFile], wanted: OutputMapping) -> list[WorkerFile]:
    """Those of the declared format or medium; all of them if none was declared."""
    if wanted.format:
        exact = [file for file in files if extension_of(file.filename) == wanted.format]
        if exact:
            return exact
    medium = _TYPE_NAMES.get(wanted.output_type, wanted.output_type)
    known = _EXTENSIONS.get(medium)
    return [f for f in files if known is None or extension_of(f.filename) in known]


def _found(number: int, place: WorkerFile, wanted: OutputMapping, reused: bool) -> FoundFile:
    extension = extension_of(place.filename)
    return FoundFile(
        OutputFile(number, wanted.node_id, wanted.output_type, extension, reused), place
    )


def extension_of(filename: str) -> str:
    """Lower case, without the dot; empty if there is none, or none that is harmless."""
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    return extension if extension.isascii() and extension.isalnum() else ""


def _texts(output: Mapping[str, Any]) -> Iterator[str]:
    """The words in what a node gave: those called `text`, else every scalar."""
    lists = [output[TEXT]] if TEXT in output else list(output.values())
    left = MAX_TEXT_CHARACTERS
    for value in lists:
        for item in value if isinstance(value, list) else [value]:
            text = _scalar(item)[:left]
            left -= len(text)
            if text:
                yield text


def _scalar(item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, float) and not math.isfinite(item):
        return ""
    return str(item) if isinstance(item, (int, float)) else ""


def _missing(wanted: OutputMapping, graph: Graph, output: Mapping[str, Any]) -> NodeFault:
    node = graph.get(wanted.node_id, {})
    what = wanted.output_type or "file"
    text = f"It gave no {what}."
    if output:
        text += f" It gave {', '.join(sorted(output))}."
    return NodeFault(wanted.node_id, str(node.get("class_type") or ""), "", text)


def _blocked_fault(data: Mapping[str, Any]) -> NodeFault:
    return NodeFault(
        node_id=str(data.get("node_id") or ""),
        class_type=str(data.get("node_type") or ""),
        input_name="",
        message=str(data.get("exception_message") or "It blocked the output."),
    )
