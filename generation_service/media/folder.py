"""The media store in a folder: every file written whole or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from generation_service.media.interface import (
    CHUNK_BYTES,
    MediaNotFoundError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class FolderMediaStore:
    """A `MediaStore` under a data folder."""

    def __init__(self, data_dir: Path) -> None:
        """Use `data_dir`; folders are made when something is stored."""
        self._root = data_dir

    async def write(self, key: str, data: bytes) -> None:
        """See `MediaStore.write`."""
        try:
            await asyncio.to_thread(_write_once, self._root / key, data)
        except OSError as exc:
            raise StoreUnavailableError from exc

    async def size(self, key: str) -> int | None:
        """See `MediaStore.size`."""
        try:
            return (await asyncio.to_thread((self._root / key).stat)).st_size
        except FileNotFoundError:
            return None

    async def read(self, key: str, offset: int) -> AsyncGenerator[bytes, None]:
        """See `MediaStore.read`."""
        try:
            file = await asyncio.to_thread((self._root / key).open, "rb")
        except FileNotFoundError as exc:
            raise MediaNotFoundError from exc
        with file:
            file.seek(offset)
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    async def delete(self, prefix: str) -> None:
        """See `MediaStore.delete`."""
        await asyncio.to_thread(_delete, self._root / prefix)

    async def signed_url(self, key: str, seconds: float) -> str:
        """See `MediaStore.signed_url`: a folder has no address."""
        return ""

    async def close(self) -> None:
        """See `MediaStore.close`: nothing is held."""


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write_once(path: Path, data: bytes) -> None:
    """Write beside, flush to the disk, then rename: a crash leaves no half file behind."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened, and need not be
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
