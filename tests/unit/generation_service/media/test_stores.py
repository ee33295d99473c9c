"""What every media store promises: one class of tests for all of them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from generation_service.media.folder import FolderMediaStore
from generation_service.media.interface import (
    CHUNK_BYTES,
    MediaNotFoundError,
    StoreUnavailableError,
)
from generation_service.media.s3 import PART_BYTES, S3MediaStore
from tests.support import free_port
from tests.unit.generation_service.media.stores import new_bucket, s3_server, s3_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from generation_service.media.interface import MediaStore

KEY = "media/ab/abcd.png"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3-API server."""
    with s3_server() as address:
        yield address


async def everything(store: MediaStore, key: str, offset: int = 0) -> bytes:
    """All bytes behind a key."""
    return b"".join([piece async for piece in store.read(key, offset)])


class TestMediaStore:
    """Each test runs against every kind of store."""

    @pytest.fixture(params=["folder", "s3"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
        """An empty store."""
        if request.param == "folder":
            return FolderMediaStore(tmp_path)
        return s3_store(request.getfixturevalue("server"))

    async def test_bytes_come_back(self, store: MediaStore) -> None:
        """What was written is read, and its size is known."""
        assert await store.size(KEY) is None
        await store.write(KEY, b"abc")
        assert await store.size(KEY) == 3
        assert await everything(store, KEY) == b"abc"

    @pytest.mark.parametrize("offset", [1, 2, 3])
    async def test_reading_begins_anywhere(self, store: MediaStore, offset: int) -> None:
        """A transfer that broke off goes on where it was, even at the very end."""
        await store.write(KEY, b"abc")
        assert await everything(store, KEY, offset) == b"abc"[offset:]

    async def test_large_files_pass_in_bounded_pieces(self, store: MediaStore) -> None:
        """A film of several parts comes back whole, in pieces that fit into a message."""
        film = os.urandom(2 * PART_BYTES + 12_345)
        await store.write("media/fi/film.mp4", film)
        pieces = [piece async for piece in store.read("media/fi/film.mp4", 0)]
        assert max(map(len, pieces)) <= CHUNK_BYTES
        assert b"".join(pieces) == film

    async def test_the_first_to_write_wins(self, store: MediaStore) -> None:
        """A key never changes what it stands for."""
        await store.write(KEY, b"first")
        await store.write(KEY, b"second")
        assert await everything(store, KEY) == b"first"

    async def test_many_may_write_the_same_at_once(self, store: MediaStore) -> None:
        """Equal bytes from several jobs end as one whole file."""
        await asyncio.gather(*(store.write(KEY, b"x" * 50_000) for _ in range(8)))
        assert await everything(store, KEY) == b"x" * 50_000

    async def test_what_is_not_there_is_not_found(self, store: MediaStore) -> None:
        """A missing file is an answer, not a crash."""
        with pytest.raises(MediaNotFoundError):
            await everything(store, KEY)

    async def test_deleting_takes_one_key_or_all_below(self, store: MediaStore) -> None:
        """Neighbours whose names begin alike stay; deleting again is fine."""
        for key in ("d/ab/1", "d/ab/2", "d/abc", KEY):
            await store.write(key, b"x")
        for prefix in ("d/ab", "d/ab", KEY, KEY):
            await store.delete(prefix)
        sizes = [await store.size(key) for key in ("d/ab/1", "d/ab/2", "d/abc", KEY)]
        assert sizes == [None, None, 1, None]


async def test_a_signed_address_opens_for_anybody(server: str) -> None:
    """A bucket gives out addresses that need no key; a folder gives none."""
    store = s3_store(server)
    await store.write(KEY, b"abc")
    url = await store.signed_url(KEY, 30)
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(url)).content == b"abc"
    assert "Expires=30" in url


async def test_a_folder_has_no_addresses(tmp_path: Path) -> None:
    """Files of a folder pass through the service."""
    assert await FolderMediaStore(tmp_path).signed_url(KEY, 30) == ""


def test_a_folder_holds_no_half_files(tmp_path: Path) -> None:
    """Nothing but the file itself remains of a write."""
    asyncio.run(FolderMediaStore(tmp_path).write(KEY, b"abc"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["abcd.png"]


async def test_a_server_that_refuses_us_is_unavailable(server: str) -> None:
    """A bucket that is not there is an operator's fault, told as such and without its name."""
    store = S3MediaStore(replace(new_bucket(server), name="no-such-bucket"))
    with pytest.raises(StoreUnavailableError) as refused:
        await store.write(KEY, b"abc")
    assert "no-such-bucket" not in refused.value.message


async def test_a_server_that_is_gone_is_unavailable(server: str) -> None:
    """A connection that cannot be made ends after few tries."""
    nobody = replace(new_bucket(server), endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailableError):
        await S3MediaStore(nobody).size(KEY)
