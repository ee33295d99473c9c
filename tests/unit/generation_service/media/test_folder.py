"""The folder store: by hash, once, whole."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from generation_service.media.folder import FolderMediaStore
from generation_service.media.interface import MediaNotFoundError, MediaTypeNotAllowedError
from generation_service.media.types import find_kind
from tests.unit.generation_service.media.pictures import plain_png

if TYPE_CHECKING:
    from pathlib import Path

    from generation_service.media.interface import StoredMedia


async def read_all(store: FolderMediaStore, media: StoredMedia, offset: int = 0) -> bytes:
    """All bytes of a file."""
    return b"".join([piece async for piece in store.read(media, offset)])


async def test_a_file_is_kept_under_its_hash(tmp_path: Path) -> None:
    """The key tells the hash, the kind comes from the bytes."""
    data = plain_png()
    media = await FolderMediaStore(tmp_path).put(data)
    sha256 = hashlib.sha256(data).hexdigest()
    assert media.uri == f"media/{sha256[:2]}/{sha256}.png"
    assert (tmp_path / media.uri).read_bytes() == data
    assert (media.mime_type, media.width, media.height) == ("image/png", 8, 8)


async def test_equal_bytes_are_kept_once(tmp_path: Path) -> None:
    """Storing the same again, even at the same time, leaves one file and no rests."""
    store = FolderMediaStore(tmp_path)
    stored = await asyncio.gather(*(store.put(plain_png()) for _ in range(8)))
    assert len(set(stored)) == 1
    assert [p.name for p in (tmp_path / "media").rglob("*") if p.is_file()] == [
        stored[0].uri.rsplit("/", 1)[1]
    ]


async def test_a_file_can_be_read_from_any_place(tmp_path: Path) -> None:
    """A transfer that broke off goes on where it was."""
    store = FolderMediaStore(tmp_path)
    media = await store.put(plain_png())
    assert await read_all(store, media) == plain_png()
    assert await read_all(store, media, 10) == plain_png()[10:]


async def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    """A missing file is an answer, not a crash."""
    store = FolderMediaStore(tmp_path)
    media = await store.put(plain_png())
    (tmp_path / media.uri).unlink()
    with pytest.raises(MediaNotFoundError):
        await read_all(store, media)


async def test_unknown_bytes_are_not_kept(tmp_path: Path) -> None:
    """The store holds media only."""
    with pytest.raises(MediaTypeNotAllowedError):
        await FolderMediaStore(tmp_path).put(b"#!/bin/sh")


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"....ftypisom", "video/mp4"),
        (b"glTF....", "model/gltf-binary"),
        (b"GIF89a", "image/gif"),
        (b"OggS", "audio/ogg"),
    ],
)
def test_kinds_are_found_by_their_bytes(data: bytes, mime_type: str) -> None:
    """No name is needed to tell a sound from a film."""
    kind = find_kind(data)
    assert kind is not None
    assert kind.mime_type == mime_type
