"""Bytes and the notes about them change together.

Files are kept by their hash, so the file that one person's erasure has just left without a
reference may be the one that another's picture is about to become. Whoever keeps or erases a file
therefore holds its lock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from generation_service.media.description import derived_key, marked_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from generation_service.media.interface import MediaStore, StoredMedia
    from generation_service.media.ledger import MediaLedger, Removal


T = TypeVar("T")


class Shelf:
    """Where files are put, and taken away when nobody refers to them any more."""

    def __init__(self, store: MediaStore, ledger: MediaLedger) -> None:
        """Use a store and the ledger about it."""
        self._store = store
        self._ledger = ledger
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def keep(self, media: StoredMedia, data: bytes, note: Callable[[], Awaitable[T]]) -> T:
        """Write a file, then note whose it is; returns what noting it did.

        Raises:
            StoreUnavailableError: The store cannot be reached; nothing is noted.
        """
        async with self._lock(media.sha256):
            await self._store.write(media.uri, data)
            return await note()

    async def clear(self, removal: Removal, execution_id: str = "") -> int:
        """Erase the files to which a removal took the last reference.

        Args:
            removal: What was forgotten.
            execution_id: Its marked copies go in any case: they name it.

        Returns:
            Files that were erased.
        """
        erased = 0
        for sha256 in removal.hashes:
            async with self._lock(sha256):
                uri = await self._ledger.take_unreferenced(sha256)
                if uri is not None:
                    await self._erase(sha256, uri)
                    erased += 1
                elif execution_id:
                    for key in marked_keys(sha256, execution_id):
                        await self._store.delete(key)
        return erased

    async def finish_clearing(self) -> int:
        """Erase what a crash left between the note and the deed.

        Returns:
            Files that were erased.
        """
        left = await self._ledger.to_be_erased()
        for sha256, uri in left.items():
            async with self._lock(sha256):
                await self._erase(sha256, uri)
        return len(left)

    async def _erase(self, sha256: str, uri: str) -> None:
        await self._store.delete(uri)
        await self._store.delete(derived_key(sha256))
        await self._ledger.note_erased(sha256)

    def _lock(self, sha256: str) -> asyncio.Lock:
        return self._locks.setdefault(sha256, asyncio.Lock())
