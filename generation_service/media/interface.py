"""What a media store keeps and promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import (
    AlreadyExistsError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHUNK_BYTES = 256 * 1024
"""Size of the pieces in which files are read."""


@dataclass(frozen=True)
class StoredMedia:
    """A stored file.

    Attributes:
        uri: Store key, `media/<first two of sha256>/<sha256>.<ext>`, relative to the data folder.
        sha256: Of the bytes, 64 lower-case hexadecimal digits.
        size_bytes: Its size.
        mime_type: Found from the bytes.
        filename: A name for people; empty: none.
        width: In pixels; 0 when it is no picture.
        height: In pixels; 0 when it is no picture.
    """

    uri: str
    sha256: str
    size_bytes: int
    mime_type: str
    filename: str = ""
    width: int = 0
    height: int = 0


class MediaStore(Protocol):
    """Keeps bytes under keys such as `media/ab/<sha256>.png`.

    What is behind a key never changes: its name is made of its hash, or the first to write wins.
    """

    async def write(self, key: str, data: bytes) -> None:
        """Keep bytes, whole or not at all; a key that is there stays as it is.

        Raises:
            StoreUnavailableError: The store cannot be reached or is full.
        """

    async def size(self, key: str) -> int | None:
        """Bytes behind a key; None: nothing is.

        Raises:
            StoreUnavailableError: The store cannot be reached.
        """

    def read(self, key: str, offset: int) -> AsyncGenerator[bytes, None]:
        """Stream the bytes from `offset` on, in pieces of at most 256 KiB.

        Raises:
            MediaNotFoundError: Nothing is behind the key.
            StoreUnavailableError: The store cannot be reached.
        """

    async def delete(self, prefix: str) -> None:
        """Delete a key, or every key below it as below a folder; nothing there is fine.

        Raises:
            StoreUnavailableError: The store cannot be reached.
        """

    async def signed_url(self, key: str, seconds: float) -> str:
        """Address under which anybody can read the key for a while; empty: it gives none."""

    async def close(self) -> None:
        """Give back connections."""


class MediaNotFoundError(NotFoundError):
    """The file is unknown, withheld or somebody else's, which must look the same."""

    def __init__(self) -> None:
        """Name nothing, since a name might tell."""
        super().__init__("MEDIA_NOT_FOUND", "There is no such file for you.")


class StoreUnavailableError(UnavailableError):
    """The store cannot be reached, or refuses us."""

    def __init__(self) -> None:
        """Name no bucket and no address."""
        super().__init__(
            "MEDIA_STORE_UNAVAILABLE",
            "The media store cannot be reached; try again in a moment.",
            retry_seconds=2.0,
        )


class ItemTakenError(AlreadyExistsError):
    """The item already stands for another file."""

    def __init__(self, item_id: str) -> None:
        """Name the item."""
        super().__init__(
            "ITEM_TAKEN", "The item already stands for another file.", resource=("item", item_id)
        )


class MediaTypeNotAllowedError(InvalidArgumentError):
    """The bytes are no medium that we take."""

    def __init__(self, allowed: str) -> None:
        """Say what is allowed."""
        super().__init__(
            "MEDIA_TYPE_NOT_ALLOWED", f"This kind of file is not taken; {allowed}.", field="data"
        )


class MediaTooLargeError(InvalidArgumentError):
    """Too many bytes or pixels."""

    def __init__(self, limit: str) -> None:
        """Say what the limit is."""
        super().__init__("MEDIA_TOO_LARGE", f"The file is too large: {limit}.", field="data")


class BrokenImageError(InvalidArgumentError):
    """A picture that cannot be decoded."""

    def __init__(self) -> None:
        """One sentence."""
        super().__init__("BROKEN_IMAGE", "The picture is broken or incomplete.", field="data")


class BrokenMediaError(InternalError):
    """A worker made a file that breaks the rules of its format."""

    def __init__(self, mime_type: str) -> None:
        """Name the kind of file."""
        super().__init__("BROKEN_MEDIA", f"What was made is no whole {mime_type} file.")


class ThumbnailUnavailableError(InvalidArgumentError):
    """There is no small picture of this file."""

    def __init__(self) -> None:
        """Say of what there is one."""
        super().__init__(
            "THUMBNAIL_UNAVAILABLE",
            "Thumbnails are made of pictures only.",
            field="thumbnail_pixels",
        )


class ManifestUnavailableError(InvalidArgumentError):
    """There is no detached mark of this file."""

    def __init__(self) -> None:
        """Say why."""
        super().__init__(
            "MANIFEST_UNAVAILABLE",
            "The file carries its mark inside, was not made by a machine, or marking is off.",
            field="manifest",
        )
