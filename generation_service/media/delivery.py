"""What people are handed: the marked file, its manifest, a thumbnail; each made once and kept.

The store keeps files as they were made, and their hash is of those bytes. A mark differs with
every signature, so the marked file is kept as well: a transfer that broke off must go on in the
same bytes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import structlog

from generation_service.media.description import derived_key, marked_keys
from generation_service.media.interface import (
    ManifestUnavailableError,
    MediaNotFoundError,
    ThumbnailUnavailableError,
)
from generation_service.media.marking import (
    EMBEDDABLE,
    MANIFEST_TYPE,
    Facts,
    Marker,
    MarkingFailedError,
)
from generation_service.media.thumbnail import MIME_TYPE, make_thumbnail, side_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.media.interface import MediaStore, StoredMedia
    from generation_service.media.ledger import Reference

log = structlog.get_logger(__name__)

_AT_ONCE = 2
"""Files that are marked or drawn small at the same time; each is held in memory whole."""


@dataclass(frozen=True)
class Delivered:
    """What a caller reads.

    Attributes:
        key: In the store.
        size_bytes: All of it.
        mime_type: Of what is read, such as a thumbnail's.
        marked: It carries a mark inside.
    """

    key: str
    size_bytes: int
    mime_type: str
    marked: bool = False


class Delivery:
    """Makes what is delivered from what is stored."""

    def __init__(
        self, store: MediaStore, marker: Marker | None, *, marks_rules: bool = False
    ) -> None:
        """Build the delivery.

        Args:
            store: Of the files and of what is made from them.
            marker: Marks what machines made; None: nothing is marked.
            marks_rules: Also what was made by rules, without a trained model.
        """
        self._store = store
        self._marks_rules = marks_rules
        self._marker = marker
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def plain(self, media: StoredMedia) -> Delivered:
        """The file as it is stored."""
        return Delivered(media.uri, media.size_bytes, media.mime_type)

    async def whole(self, found: Reference) -> Delivered:
        """The file as people get it: marked if a machine made it and its format allows."""
        signed = self._to_sign(found)
        if signed is None or found.media.mime_type not in EMBEDDABLE:
            return self.plain(found.media)
        marker, facts = signed
        key, _ = marked_keys(found.media.sha256, found.execution_id)
        try:
            size = await self._derived(found.media, key, lambda data: marker.mark(data, facts))
        except MarkingFailedError as exc:
            # A file that is a little odd must not be lost for its owner; its manifest is there.
            log.warning("media_marking_failed", sha256=found.media.sha256, error=str(exc))
            return self.plain(found.media)
        return Delivered(key, size, found.media.mime_type, marked=True)

    async def manifest(self, found: Reference) -> Delivered:
        """The mark beside a file that can carry none.

        Raises:
            ManifestUnavailableError: It carries its mark inside, no machine made it, or marking
                is off.
        """
        signed = self._to_sign(found)
        if signed is None or (await self.whole(found)).marked:
            raise ManifestUnavailableError
        marker, facts = signed
        _, key = marked_keys(found.media.sha256, found.execution_id)
        try:
            size = await self._derived(found.media, key, lambda data: marker.manifest(data, facts))
        except MarkingFailedError as exc:
            log.warning("media_marking_failed", sha256=found.media.sha256, error=str(exc))
            raise ManifestUnavailableError from exc
        return Delivered(key, size, MANIFEST_TYPE)

    def _to_sign(self, found: Reference) -> tuple[Marker, Facts] | None:
        """Who marks a file, and with which facts; None: it is delivered without a mark."""
        if self._marker is None or found.origin is None:
            return None
        if found.origin.by_rules and not self._marks_rules:
            return None
        return self._marker, Facts(found.media, found.origin, found.execution_id)

    async def thumbnail(self, media: StoredMedia, pixels: int) -> Delivered:
        """A small WebP picture whose longer side is at least `pixels` if the picture's is.

        Raises:
            ThumbnailUnavailableError: It is no picture.
            BrokenImageError: It cannot be decoded.
        """
        if not media.mime_type.startswith("image/"):
            raise ThumbnailUnavailableError
        side = side_for(pixels)
        key = derived_key(media.sha256, f"thumbnail-{side}.webp")
        size = await self._derived(media, key, lambda data: make_thumbnail(data, side))
        return Delivered(key, size, MIME_TYPE)

    async def _derived(self, media: StoredMedia, key: str, make: Callable[[bytes], bytes]) -> int:
        """Size of what is behind `key`; made in a thread if it is not there, once for all."""
        size = await self._store.size(key)
        if size is not None:
            return size
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            size = await self._store.size(key)
            if size is None:
                async with self._slots:
                    data = b"".join([piece async for piece in self._store.read(media.uri, 0)])
                    await self._store.write(key, await asyncio.to_thread(make, data))
                # An erasure takes the file first and then what is derived from it. If it came
                # between our reading and writing, what we have just written must go as well.
                if await self._store.size(media.uri) is None:
                    await self._store.delete(key)
                size = await self._store.size(key)
        if size is None:
            raise MediaNotFoundError
        return size
