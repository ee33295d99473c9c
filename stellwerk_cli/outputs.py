"""Save outputs as files: names that are safe wherever they came from, content that was checked.

Names are built from what the server says, and a server is outside: nothing it says may lead out of
the folder or hide a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stellwerk.orchestrator.v1.event_pb2 import Output

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME = 80
_SUFFIXES = {
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "model/gltf-binary": ".glb",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}


class DamagedOutputError(Exception):
    """The bytes that came are not those that were announced."""


def safe_name(text: str) -> str:
    """Return `text` as a part of a file name: ASCII letters, digits, `_` and `-`, never empty."""
    return _UNSAFE.sub("_", text).strip("_")[:_MAX_NAME] or "unnamed"


def output_path(folder: Path, execution_id: str, output: Output) -> Path:
    """Return where an output is saved: `<folder>/<execution>/<number>-<output config>.<ext>`."""
    suffix = _SUFFIXES.get(output.media.mime_type, ".bin")
    name = f"{output.loop_iteration:02d}-{safe_name(output.output_config)}{suffix}"
    return folder.resolve() / safe_name(execution_id) / name


@contextlib.contextmanager
def checked_file(path: Path, sha256: str) -> Iterator[Callable[[bytes], None]]:
    """Write a file piece by piece; it appears when it is whole, or not at all.

    Args:
        path: Where; folders are made.
        sha256: What its bytes must hash to.

    Yields:
        A function that takes the next bytes.

    Raises:
        DamagedOutputError: The hash is another one.
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        temporary = Path(file.name)

        def write(piece: bytes) -> None:
            digest.update(piece)
            file.write(piece)

        try:
            yield write
            if digest.hexdigest() != sha256:
                raise DamagedOutputError(f"{path.name} arrived damaged; fetch it once more")
            file.flush()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
