"""How much a request may bring: counted while it arrives, since not every client says it before.

Forms are read whole, files of forms go to disk as they come: without a limit one request could
fill either. An import is the tracker's to limit, which writes it to its own disk as it comes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from gateway.problems import problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_BYTES = 8 * 1024 * 1024
"""Every text that a run or step may have, with room for how JSON writes emoji."""
AROUND_FILE_BYTES = 64 * 1024
"""Of a form around its file: names and boundaries."""


class BodyTooLargeError(HTTPException):
    """More came than a request may bring.

    Attributes:
        reason: What programs branch on.
    """

    def __init__(self, reason: str, limit_bytes: int) -> None:
        """Name the limit."""
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"A request may bring at most {limit_bytes} bytes here.",
        )
        self.reason = reason


class BodyLimits:
    """Refuses bodies that are too large with 413, before or while they are read."""

    def __init__(self, app: ASGIApp, file_bytes: int, unlimited: Iterable[str]) -> None:
        """Wrap an app.

        Args:
            app: What is behind.
            file_bytes: Largest file of an upload.
            unlimited: Paths that take a file as it is and have a limit of their own.
        """
        self._app = app
        self._file_bytes = file_bytes
        self._unlimited = frozenset(unlimited)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what it brings."""
        headers = dict(scope.get("headers", ()))
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        if scope["type"] != "http" or (scope["path"] in self._unlimited and not is_form):
            await self._app(scope, receive, send)
            return
        error, limit = self._limit(is_form)
        if _is_above(headers.get(b"content-length", b""), limit):
            await problem(error.status_code, error.reason, error.detail)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise error
            return message

        await self._app(scope, counted, send)

    def _limit(self, is_form: bool) -> tuple[BodyTooLargeError, int]:
        """What is raised, and above how many bytes."""
        if is_form:
            error = BodyTooLargeError("MEDIA_TOO_LARGE", self._file_bytes)
            return error, self._file_bytes + AROUND_FILE_BYTES
        return BodyTooLargeError("REQUEST_TOO_LARGE", FORM_BYTES), FORM_BYTES


def _is_above(content_length: bytes, limit: int) -> bool:
    return content_length.isdigit() and int(content_length[:20]) > limit
