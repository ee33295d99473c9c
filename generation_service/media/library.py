"""The rules of reading media: who made it, whose it is, whether it was released.

Unknown, withheld and foreign files all look the same to whoever may not read them.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from generation_service.media.description import (
    MadeLimits,
    check_made,
    described,
    known_kind,
    plain_name,
)
from generation_service.media.interface import MediaNotFoundError, MediaTooLargeError, StoredMedia
from generation_service.media.ledger import MediaLedger, Reference
from generation_service.media.shelf import Shelf
from generation_service.media.stripping import strip
from generation_service.media.upload import UploadLimits, clean_picture
from servicekit.errors import InvalidArgumentError, PermissionDeniedError
from servicekit.principals import Principal, Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from generation_service.media.delivery import Delivered, Delivery
    from generation_service.media.interface import MediaStore
    from generation_service.media.origin import Origin

_HASH = re.compile(r"[0-9a-f]{64}")
_CONCURRENT_CLEANINGS = 2
_MAY_ERASE = frozenset({Role.ADMIN, Role.SERVICE})


@dataclass(frozen=True)
class MediaName:
    """How a caller names a file: as an item of an execution, or by its hash."""

    execution_id: str = ""
    item_id: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Erased:
    """What an erasure took.

    Attributes:
        references: Of executions, items and uploads to files.
        files: To which nobody else referred.
    """

    references: int
    files: int


@dataclass(frozen=True)
class LibraryRules:
    """Limits and rights of a library.

    Attributes:
        uploads: What people may bring.
        made: What machines may make.
        machines: Roles whose callers may read any file by its hash, released or not; with the
            local admin among them where services have no key of their own.
        url_seconds: How long a signed address opens; 0: none is given.
    """

    uploads: UploadLimits = field(default_factory=UploadLimits)
    made: MadeLimits = field(default_factory=MadeLimits)
    machines: frozenset[Role] = frozenset({Role.SERVICE})
    url_seconds: float = 0


class MediaLibrary:
    """Stores, releases, hands out and erases files."""

    def __init__(
        self, store: MediaStore, ledger: MediaLedger, delivery: Delivery, rules: LibraryRules
    ) -> None:
        """Build the library.

        Args:
            store: Keeps the bytes; closed by its owner, as the ledger is.
            ledger: Knows whose they are.
            delivery: Makes what people are handed.
            rules: Limits and rights.
        """
        self._store = store
        self._ledger = ledger
        self._delivery = delivery
        self._rules = rules
        self._shelf = Shelf(store, ledger)
        self._cleaning = asyncio.Semaphore(_CONCURRENT_CLEANINGS)

    async def keep_made(
        self,
        data: bytes,
        *,
        filename: str,
        execution_id: str,
        item_id: str,
        owner: Principal,
        origin: Origin,
    ) -> StoredMedia:
        """Keep a file that an execution made; nobody but services may read it yet.

        What the worker wrote into it about its making is taken out first.

        Raises:
            InvalidArgumentError: MEDIA_TOO_LARGE or MEDIA_TYPE_NOT_ALLOWED.
            BrokenMediaError: It breaks the rules of its format.
            StoreUnavailableError: The store cannot be reached.
        """
        clean, media = await asyncio.to_thread(
            _clean_made, data, plain_name(filename), self._rules.made
        )
        made_at = origin.made_at or datetime.now(UTC).isoformat(timespec="seconds")
        origin = replace(origin, made_at=made_at)
        given_up = await self._shelf.keep(
            media,
            clean,
            lambda: self._ledger.note_made(media, execution_id, item_id, owner, origin),
        )
        await self._shelf.clear(given_up, execution_id)
        return media

    async def keep_upload(
        self, chunks: AsyncIterator[bytes], *, filename: str, owner: Principal
    ) -> StoredMedia:
        """Receive, clean and keep a picture of `owner`.

        Raises:
            InvalidArgumentError: MEDIA_EMPTY, MEDIA_TOO_LARGE, MEDIA_TYPE_NOT_ALLOWED or
                BROKEN_IMAGE.
            StoreUnavailableError: The store cannot be reached.
        """
        data = await self._received(chunks)
        async with self._cleaning:
            clean, media = await asyncio.to_thread(
                _clean_upload, data, plain_name(filename), self._rules.uploads
            )
        await self._shelf.keep(media, clean, lambda: self._ledger.note_upload(media, owner))
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
            any_owner = caller.actor in self._rules.machines
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

    async def deliver(
        self,
        name: MediaName,
        found: Reference,
        *,
        thumbnail_pixels: int = 0,
        manifest: bool = False,
    ) -> Delivered:
        """Settle what is read of a file that was found.

        By its hash these are the bytes as they are stored; as an item, what people get.

        Raises:
            InvalidArgumentError: THUMBNAIL_UNAVAILABLE, MANIFEST_UNAVAILABLE or BROKEN_IMAGE.
            MediaNotFoundError: The file is gone, or a thumbnail was asked of a withheld one.
        """
        if thumbnail_pixels:
            if not (found.released or found.is_upload):
                raise MediaNotFoundError
            return await self._delivery.thumbnail(found.media, thumbnail_pixels)
        if manifest:
            return await self._delivery.manifest(found)
        if name.sha256:
            return self._delivery.plain(found.media)
        return await self._delivery.whole(found)

    def read(self, delivered: Delivered, offset: int) -> AsyncGenerator[bytes, None]:
        """Stream what `deliver` settled, from `offset` on.

        Raises:
            InvalidArgumentError: OFFSET_INVALID.
            MediaNotFoundError: The file is gone.
        """
        if not 0 <= offset <= delivered.size_bytes:
            raise InvalidArgumentError(
                "OFFSET_INVALID", "The offset lies outside of the file.", field="offset"
            )
        return self._store.read(delivered.key, offset)

    async def signed_url(self, name: MediaName, found: Reference) -> str:
        """Address under which the file, as people get it, can be read for a while.

        Empty: the deployment gives none, or the file is withheld.
        """
        if not self._rules.url_seconds or not found.released:
            return ""
        delivered = await self.deliver(name, found)
        return await self._store.signed_url(delivered.key, self._rules.url_seconds)

    async def erase(self, name: MediaName, caller: Principal) -> Erased:
        """Forget an execution with all its files, one item, or an upload of the caller.

        Files to which nobody else refers are erased, thumbnails and marked copies with them.
        Erasing again is fine.

        Args:
            name: Without `item_id`: the whole execution.
            caller: Who erases.

        Raises:
            InvalidArgumentError: REFERENCE_MISSING.
            PermissionDeniedError: Executions are erased by services and admins only.
            StoreUnavailableError: What is forgotten is erased at the next start.
        """
        if name.sha256:
            removal = await self._ledger.remove_upload(name.sha256, caller)
        elif not name.execution_id:
            raise _missing("Name an execution, an item or an upload.")
        elif caller.role not in _MAY_ERASE:
            raise PermissionDeniedError(
                "ERASURE_NOT_ALLOWED", "Only services and admins erase executions."
            )
        elif name.item_id:
            removal = await self._ledger.remove_item(name.execution_id, name.item_id)
        else:
            removal = await self._ledger.remove_execution(name.execution_id)
        files = await self._shelf.clear(removal, name.execution_id)
        return Erased(removal.count, files)

    async def erase_person(self, user_id: str, caller: Principal) -> Erased:
        """Forget everything that a person uploaded, in whatever session; see `erase`.

        Raises:
            PermissionDeniedError: People are erased by services and admins only.
            StoreUnavailableError: What is forgotten is erased at the next start.
        """
        if caller.role not in _MAY_ERASE:
            raise PermissionDeniedError(
                "ERASURE_NOT_ALLOWED", "Only services and admins erase people."
            )
        removal = await self._ledger.remove_person(user_id)
        return Erased(removal.count, await self._shelf.clear(removal))

    async def finish_erasing(self) -> int:
        """Erase what a crash left over; returns the number of files."""
        return await self._shelf.finish_clearing()

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
            async with asyncio.timeout(self._rules.uploads.seconds):
                async for chunk in chunks:
                    data += chunk
                    if len(data) > self._rules.uploads.max_bytes:
                        limit = self._rules.uploads.max_bytes // (1024 * 1024)
                        raise MediaTooLargeError(f"at most {limit} MiB")
        except TimeoutError as exc:
            raise MediaTooLargeError(
                f"the upload must end within {self._rules.uploads.seconds:g} s"
            ) from exc
        if not data:
            raise InvalidArgumentError("MEDIA_EMPTY", "The file is empty.", field="data")
        return bytes(data)


def _clean_made(data: bytes, filename: str, limits: MadeLimits) -> tuple[bytes, StoredMedia]:
    """A made file without metadata, and its description. Blocking."""
    kind = known_kind(data)
    check_made(data, kind, limits)
    clean = strip(data, kind)
    return clean, described(clean, kind, filename)


def _clean_upload(data: bytes, filename: str, limits: UploadLimits) -> tuple[bytes, StoredMedia]:
    """A person's picture encoded anew, and its description. Blocking."""
    clean = clean_picture(data, limits)
    return clean, described(clean, known_kind(clean), filename)


def _missing(message: str) -> InvalidArgumentError:
    return InvalidArgumentError("REFERENCE_MISSING", message, field="key")
