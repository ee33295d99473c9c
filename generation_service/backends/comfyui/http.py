"""Calls to a worker over HTTP: limits on every wait and size, and every failure given its name.

A worker's answers are not to be trusted in shape: a proxy may answer with a web page, the server
with 500 for work that it did, and its JSON may hold NaN. All of that is met here, once.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from generation_service.backends.comfyui.addresses import WorkerResolver
from generation_service.backends.comfyui.errors import (
    PromptTooLargeError,
    WorkerAnswerInvalidError,
    WorkerRefusedError,
    WorkerUnreachableError,
    WorkflowInvalidError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

MAX_ERROR_BYTES = 1024 * 1024
"""Of the body of an error; a 400 may quote long lists of choices."""


@dataclass(frozen=True)
class HttpLimits:
    """What bounds a call.

    Attributes:
        connect_seconds: Until a connection stands.
        read_seconds: Between two pieces of an answer; a worker may freeze for a second.
        write_seconds: Between two pieces of a request.
        connections: At the same time.
        max_json_bytes: Of an answer in JSON; the queue holds whole graphs.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    write_seconds: float = 60.0
    connections: int = 8
    max_json_bytes: int = 64 * 1024 * 1024


def parse_json(data: bytes | str) -> Any:
    """Read JSON as Python writes it, which may hold NaN and Infinity.

    Raises:
        ValueError: It is no JSON at all, or nested without end.
    """
    try:
        return json.loads(data)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


class HttpDoor:
    """One worker's HTTP side, without knowledge of its routes.

    By aiohttp: a job is four small calls, of which each takes httpx half a millisecond longer.
    """

    def __init__(self, url: str, limits: HttpLimits | None = None) -> None:
        """Prepare; nothing is opened yet.

        Args:
            url: Where the worker's paths begin, such as `http://gpu1:8188`.
            limits: Of every call.
        """
        self._base = url.rstrip("/")
        self._limits = limits or HttpLimits()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def _open(self) -> aiohttp.ClientSession:
        """Our connections, made within the loop that uses them."""
        if self._closed:
            raise NotConnectedError("our side is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # No Origin header: the server compares it with Host and refuses.
                headers={"User-Agent": "stellwerk", "Accept-Encoding": "identity"},
                connector=aiohttp.TCPConnector(
                    limit=self._limits.connections,
                    resolver=WorkerResolver(),
                    keepalive_timeout=30.0,  # the server's side stays open for longer
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=self._limits.connect_seconds + self._limits.read_seconds,
                    sock_connect=self._limits.connect_seconds,
                    sock_read=self._limits.read_seconds,
                ),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Get an answer in JSON; asked again once when an idle connection turns out dead.

        Raises:
            WorkerFaultError: There is no such answer.
        """
        try:
            return _json(await self._call("GET", path, params=params))
        except ConnectionCutError:
            return _json(await self._call("GET", path, params=params))

    async def post_json(self, path: str, body: object) -> Any:
        """Post once, and never again by itself: the answer is JSON.

        Raises:
            WorkerFaultError: There is no such answer; the work may have been done all the same.
            WorkflowInvalidError: 400, or the body cannot be written as JSON.
            PromptTooLargeError: 413.
        """
        return _json(await self._call("POST", path, data=_dump(body)))

    async def tell(self, path: str, body: object) -> None:
        """Post something that is safe to repeat and whose answer says nothing.

        Raises:
            WorkerFaultError: It may not have been heard.
        """
        content = _dump(body)
        try:
            await self._call("POST", path, data=content)
        except ConnectionCutError:
            await self._call("POST", path, data=content)

    async def post_file(self, path: str, name: str, data: bytes, fields: dict[str, str]) -> Any:
        """Post a file as multipart; the answer is JSON.

        Raises:
            WorkerFaultError: There is no such answer.
            WorkflowInvalidError: 400.
            PromptTooLargeError: 413.
        """
        form = aiohttp.FormData()
        form.add_field("image", data, filename=name, content_type="application/octet-stream")
        for key, value in fields.items():
            form.add_field(key, value)
        return _json(await self._call("POST", path, data=form))

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Get a file piece by piece; errors inside the block are named as well.

        Raises:
            WorkerFaultError: It cannot be had.
        """
        with _named_failures():
            async with self._answer("GET", path, params=dict(params)) as response:
                if response.status != HTTPStatus.OK:
                    raise _status_error(response.status, path, b"")
                yield response

    async def _call(self, method: str, path: str, **options: Any) -> bytes:
        """Send a request and read its whole answer, within the size limit."""
        if isinstance(options.get("data"), bytes):
            options["headers"] = {"Content-Type": "application/json"}
        with _named_failures():
            async with self._answer(method, path, **options) as response:
                good = response.status == HTTPStatus.OK
                body = await self._read(
                    response, self._limits.max_json_bytes if good else MAX_ERROR_BYTES
                )
                if not good:
                    raise _status_error(response.status, path, body)
                return body

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and give up when it is not taken in time."""
        limits, session = self._limits, self._open()
        # aiohttp has no limit of its own for a peer that reads nothing.
        async with asyncio.timeout(
            limits.connect_seconds + limits.write_seconds + limits.read_seconds
        ):
            response = await session.request(
                method, f"{self._base}{path}", allow_redirects=False, **options
            )
        async with response:
            yield response

    @staticmethod
    async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
        pieces = bytearray()
        async for piece in response.content.iter_any():
            pieces += piece
            if len(pieces) > limit:
                raise WorkerAnswerInvalidError(f"an answer of more than {limit} bytes")
        return bytes(pieces)


def _dump(body: object) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError) as exc:
        raise WorkflowInvalidError(f"the graph cannot be written as JSON: {exc}") from exc


def _json(body: bytes) -> Any:
    try:
        return parse_json(body)
    except ValueError as exc:
        raise WorkerAnswerInvalidError("an answer that is no JSON") from exc


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
        raise NotConnectedError(f"{type(exc).__name__}: {exc}") from exc
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as exc:
        if isinstance(exc, TimeoutError):
            raise WorkerUnreachableError(f"{type(exc).__name__}: {exc}") from exc
        raise ConnectionCutError(f"{type(exc).__name__}: {exc}") from exc
    except aiohttp.InvalidURL as exc:
        raise WorkerRefusedError("the worker's address is no URL") from exc
    except (aiohttp.ClientError, TimeoutError) as exc:
        text = str(exc) or type(exc).__name__
        raise WorkerUnreachableError(f"{type(exc).__name__}: {text}") from exc


def _status_error(status: int, path: str, body: bytes) -> Exception:
    """Name an answer that is not 200.

    500 is no sign of a broken server nor of nothing done; 400 and 413 are about what we sent.
    """
    if status == HTTPStatus.BAD_REQUEST:
        return RefusedRequestError(body)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PromptTooLargeError("413: larger than the worker's --max-upload-size")
    if status in (401, 403, 404, 405) or 300 <= status < 400:
        return WorkerRefusedError(f"status {status} at {path}")
    return WorkerAnswerInvalidError(f"status {status} at {path}")


class ConnectionCutError(WorkerUnreachableError):
    """The connection broke, as an idle one may; no time was lost in waiting."""


class NotConnectedError(WorkerUnreachableError):
    """No connection came about, so nothing was sent."""


class RefusedRequestError(WorkflowInvalidError):
    """Status 400.

    Attributes:
        body: What the worker said about it.
    """

    def __init__(self, body: bytes) -> None:
        """Keep the body; whoever knows the route can read it."""
        super().__init__("status 400")
        self.body = body
