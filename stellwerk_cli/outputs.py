"""Name the files of outputs so that the names are safe wherever they came from.

They are built from what the server says, and a server is outside: nothing it says may lead out of
the folder or hide a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from stellwerk.common.v1.types_pb2 import MediaRef
    from stellwerk.orchestrator.v1.event_pb2 import Output

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME = 80
_SUFFIXES = {
    "application/json": ".json",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "model/gltf-binary": ".glb",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}
MARKED_BESIDE = frozenset({"audio/ogg", "model/gltf-binary", "video/webm"})
"""Kinds of files in which C2PA has no place for a mark."""


def safe_name(text: str) -> str:
    """Return `text` as a part of a file name: ASCII letters, digits, `_` and `-`, never empty."""
    return _UNSAFE.sub("_", text).strip("_")[:_MAX_NAME] or "unnamed"


def output_paths(
    folder: Path, execution_id: str, output: Output
) -> list[tuple[Path, str, MediaRef]]:
    """Return where the files of an output are saved, with the item and the file of each.

    The first is `<folder>/<execution>/<number>-<output config>.<ext>`; further ones, such as the
    other pictures of a batch, get `-2`, `-3` … before the dot.
    """
    stem = f"{output.loop_iteration:02d}-{safe_name(output.output_config)}"
    files = [(output.item_id, output.media)] if output.media.sha256 else []
    files += [(more.item_id, more.media) for more in output.more_files]
    place = folder.resolve() / safe_name(execution_id)
    paths = []
    for number, (item_id, media) in enumerate(files, start=1):
        suffix = _SUFFIXES.get(media.mime_type, ".bin")
        name = f"{stem}{'' if number == 1 else f'-{number}'}{suffix}"
        paths.append((place / name, item_id, media))
    return paths


def mark_path(path: Path) -> Path:
    """Return where the mark of a file that carries none inside is saved, and looked for."""
    return path.with_name(path.name + ".c2pa")
