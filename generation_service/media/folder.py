"""The media store in a folder: `media/ab/<sha256>.<ext>`, written whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from generation_service.media.interface import (
    MediaNotFoundError,
    MediaTypeNotAllowedError,
    StoredMedia,
)
from generation_service.media.types import MediaKind, find_kind, picture_size

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHUNK_BYTES = 256 * 1024


class FolderMediaStore:
    """A `MediaStore` under a data folder."""

    def __init__(self, data_dir: Path) -> None:
        """Use `data_dir`; folders are made when something is stored."""
        self._root = data_dir

    async def put(self, data: bytes) -> StoredMedia:
        """See `MediaStore.put`."""
        return await asyncio.to_thread(self._put, data)

    async def read(self, media: StoredMedia, offset: int) -> AsyncGenerator[bytes, None]:
        """See `MediaStore.read`."""
        path = self._root / media.uri
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as exc:
            raise MediaNotFoundError from exc
        with file:
            file.seek(offset)
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    def _put(self, data: bytes) -> StoredMedia:
        kind = find_kind(data)
        if kind is None:
            raise MediaTypeNotAllowedError("it is no picture, sound, film or model that we know")
        sha256 = hashlib.sha256(data).hexdigest()
        uri = f"media/{sha256[:2]}/{sha256}.{kind.extension}"
        path = self._root / uri
        if not path.exists():
            _write_whole(path, data)
        return _described(uri, sha256, data, kind)


def _described(uri: str, sha256: str, data: bytes, kind: MediaKind) -> StoredMedia:
    width, height = picture_size(data) if kind.mime_type.startswith("image/") else (0, 0)
    return StoredMedia(uri, sha256, len(data), kind.mime_type, "", width, height)


def _write_whole(path: Path, data: bytes) -> None:
    """Write beside, flush to the disk, then rename: a crash leaves no half file behind."""
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
