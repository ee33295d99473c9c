"""Files of the media store that something is made from: whose they are, and their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.backends.interface import AttemptFailedError
from generation_service.media.interface import MediaNotFoundError, StoreUnavailableError
from generation_service.media.library import MediaName
from servicekit.principals import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generation_service.backends.interface import InputMedia
    from generation_service.media.library import MediaLibrary
    from generation_service.media.patience import Patience
    from servicekit.principals import Principal


class InputMissingError(AttemptFailedError):
    """An input file has been deleted since the job was taken."""

    def __init__(self) -> None:
        """One sentence."""
        super().__init__(
            "MEDIA_NOT_FOUND", "The uploaded file is no longer there.", worth_retrying=False
        )


class InputUnreadableError(AttemptFailedError):
    """The media store does not answer."""

    def __init__(self) -> None:
        """One sentence."""
        super().__init__(
            "MEDIA_STORE_UNAVAILABLE", "The media store cannot be reached.", worth_retrying=False
        )


class InputFiles:
    """The library as those see it who make something from its files."""

    def __init__(self, library: MediaLibrary, patience: Patience) -> None:
        """Use a library; its store is waited for where nobody is on the line."""
        self._library = library
        self._patience = patience

    async def check(self, inputs: Iterable[InputMedia], caller: Principal) -> None:
        """Make sure that the caller may use the files.

        Raises:
            MediaNotFoundError: Unknown, or not the caller's.
        """
        for each in inputs:
            await self._library.describe(MediaName(sha256=each.sha256), caller)

    async def read(self, sha256: str) -> bytes:
        """Read a file whose use was allowed before.

        Raises:
            InputMissingError: It has been deleted meanwhile.
            InputUnreadableError: The media store does not answer.
        """
        try:
            return await self._patience.try_again(lambda: self._read(MediaName(sha256=sha256)))
        except StoreUnavailableError as exc:
            raise InputUnreadableError from exc
        except MediaNotFoundError as exc:
            raise InputMissingError from exc

    async def _read(self, name: MediaName) -> bytes:
        found = await self._library.find_for_reading(name, SERVICE)
        delivered = await self._library.deliver(name, found)
        return b"".join([piece async for piece in self._library.read(delivered, 0)])
