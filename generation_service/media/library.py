"""The rules of reading media: who made it, whose it is, whether it was released.

Unknown, withheld and foreign files all look the same to whoever may not read them.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from generation_service.media.interface import MediaNotFoundError, MediaTooLargeError, StoredMedia
from generation_service.media.ledger import MediaLedger, Reference, named
from generation_service.media.upload import UploadLimits, clean_picture
from servicekit.errors import InvalidArgumentError
from servicekit.principals import Principal, Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from generation_service.media.interface import MediaStore

_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_FILENAME_CHARACTERS = 120
_CONCURRENT_CLEANINGS = 2


@dataclass(frozen=True)
class MediaName:
    """How a caller names a file: as an item of an execution, or by its hash."""

    execution_id: str = ""
    item_id: str = ""
    sha256: str = ""


class MediaLibrary:
    """Stores, releases and hands out files."""

    def __init__(
        self,
        store: MediaStore,
        ledger: MediaLedger,
        limits: UploadLimits,
        *,
        machines: frozenset[Role] = frozenset({Role.SERVICE}),
    ) -> None:
        """Build the library.

        Args:
            store: Keeps the bytes.
            ledger: Knows whose they are; closed by its owner.
            limits: For uploads.
            machines: Roles whose callers may read any file by its hash, released or not; with
                the local admin among them where services have no key of their own.
        """
        self._store = store
        self._ledger = ledger
        self._limits = limits
        self._machines = machines
        self._cleaning = asyncio.Semaphore(_CONCURRENT_CLEANINGS)

    async def keep_made(
        self, data: bytes, *, filename: str, execution_id: str, item_id: str, owner: Principal
    ) -> StoredMedia:
        """Keep a file that an execution made; nobody but services may read it yet."""
        media = named(await self._store.put(data), filename)
        await self._ledger.note_made(media, execution_id, item_id, owner)
        return media

    async def keep_upload(
        self, chunks: AsyncIterator[bytes], *, filename: str, owner: Principal
    ) -> StoredMedia:
        """Receive, clean and keep a picture of `owner`.

        Raises:
            InvalidArgumentError: MEDIA_EMPTY, MEDIA_TOO_LARGE, MEDIA_TYPE_NOT_ALLOWED or
                BROKEN_IMAGE.
        """
        data = await self._received(chunks)
        async with self._cleaning:
            clean = await asyncio.to_thread(clean_picture, data, self._limits)
        media = named(await self._store.put(clean), plain_name(filename))
        await self._ledger.note_upload(media, owner)
        return media

    async def release(
        self, execution_id: str, item_id: str, sha256: str, caller: Principal
    ) -> StoredMedia:
        """Let the caller's principal read a file as one item of an execution.

        The file must have been made by that execution, or uploaded by that principal.

        Raises:
            InvalidArgumentError: REFERENCE_MISSING.
            MediaNotFoundError: It is neither.
            ItemTakenError: The item already stands for another file.
        """
        if not (execution_id and item_id and _HASH.fullmatch(sha256)):
            raise _missing("execution_id, item_id and sha256 are all needed.")
        made = await self._ledger.made(execution_id, sha256)
        if made is not None and not caller.may_see(made.owner):
            raise MediaNotFoundError
        source = made or await self._ledger.upload(sha256, caller)
        if source is None:
            raise MediaNotFoundError
        await self._ledger.release(source.media, execution_id, item_id, caller)
        return source.media

    async def find_for_reading(self, name: MediaName, caller: Principal) -> Reference:
        """Find a file that the caller may read.

        Raises:
            InvalidArgumentError: REFERENCE_MISSING.
            MediaNotFoundError: Unknown, withheld or not the caller's.
        """
        if name.sha256:
            any_owner = caller.actor in self._machines
            return await self._find_by_hash(name.sha256, caller, any_owner=any_owner)
        return await self._find_item(name, caller)

    async def describe(self, name: MediaName, caller: Principal) -> Reference:
        """Find a file that the principal itself may read, whoever acts on its behalf.

        Raises:
            InvalidArgumentError: REFERENCE_MISSING.
            MediaNotFoundError: Unknown, withheld or not the principal's.
        """
        if name.sha256:
            is_service = caller.role is Role.SERVICE
            return await self._find_by_hash(name.sha256, caller, any_owner=is_service)
        return await self._find_item(name, caller)

    def read(self, media: StoredMedia, offset: int) -> AsyncGenerator[bytes, None]:
        """Stream the bytes of a file that was found, from `offset` on.

        Raises:
            InvalidArgumentError: OFFSET_INVALID.
            MediaNotFoundError: The file is gone.
        """
        if not 0 <= offset <= media.size_bytes:
            raise InvalidArgumentError(
                "OFFSET_INVALID", "The offset lies outside of the file.", field="offset"
            )
        return self._store.read(media, offset)

    async def _find_item(self, name: MediaName, caller: Principal) -> Reference:
        if not (name.execution_id and name.item_id):
            raise _missing("Name a file by execution and item, or by its hash.")
        found = await self._ledger.reference(name.execution_id, name.item_id)
        if found is None or not caller.may_see(found.owner):
            raise MediaNotFoundError
        if not found.released and caller.role is not Role.SERVICE:
            raise MediaNotFoundError
        return found

    async def _find_by_hash(self, sha256: str, caller: Principal, *, any_owner: bool) -> Reference:
        own = await self._ledger.upload(sha256, caller)
        if own is not None:
            return own
        media = await self._ledger.file(sha256) if any_owner else None
        if media is None:
            raise MediaNotFoundError
        return Reference(media, caller, await self._ledger.is_released(sha256))

    async def _received(self, chunks: AsyncIterator[bytes]) -> bytes:
        data = bytearray()
        try:
            async with asyncio.timeout(self._limits.seconds):
                async for chunk in chunks:
                    data += chunk
                    if len(data) > self._limits.max_bytes:
                        limit = self._limits.max_bytes // (1024 * 1024)
                        raise MediaTooLargeError(f"at most {limit} MiB")
        except TimeoutError as exc:
            raise MediaTooLargeError(
                f"the upload must end within {self._limits.seconds:g} s"
            ) from exc
        if not data:
            raise InvalidArgumentError("MEDIA_EMPTY", "The file is empty.", field="data")
        return bytes(data)


def plain_name(filename: str) -> str:
    """A file's name without folders and control characters, of bounded length."""
    base = PurePosixPath(filename.replace("\\", "/")).name
    return "".join(c for c in base if c.isprintable())[:_MAX_FILENAME_CHARACTERS]


def _missing(message: str) -> InvalidArgumentError:
    return InvalidArgumentError("REFERENCE_MISSING", message, field="key")
