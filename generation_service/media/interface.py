"""What a media store keeps and promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from servicekit.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


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
    """Keeps bytes by their hash."""

    async def put(self, data: bytes) -> StoredMedia:
        """Keep bytes; the same bytes are kept once.

        Raises:
            MediaTypeNotAllowedError: They are no medium that we know.
        """

    def read(self, media: StoredMedia, offset: int) -> AsyncGenerator[bytes, None]:
        """Stream the bytes from `offset` on.

        Raises:
            MediaNotFoundError: The file is gone.
        """


class MediaNotFoundError(NotFoundError):
    """The file is unknown, withheld or somebody else's, which must look the same."""

    def __init__(self) -> None:
        """Name nothing, since a name might tell."""
        super().__init__("MEDIA_NOT_FOUND", "There is no such file for you.")


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
