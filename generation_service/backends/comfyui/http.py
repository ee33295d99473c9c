"""Calls to a worker over HTTP: limits on every wait and size, and every failure given its name.

A worker's answers are not to be trusted in shape: a proxy may answer with a web page, the server
with 500 for work that it did, and its JSON may hold NaN. All of that is met here, once.
"""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

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
    """One worker's HTTP side, without knowledge of its routes."""

    def __init__(
        self,
        url: str,
        limits: HttpLimits | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open a connection pool; nothing is sent yet.

        Args:
            url: Where the worker's paths begin, such as `http://gpu1:8188`.
            limits: Of every call.
            transport: Another way to the worker.
        """
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO
        self._limits = limits or HttpLimits()
        self._client = httpx.AsyncClient(
            base_url=url,
            # No Origin header: the server compares it with Host and refuses.
            headers={"User-Agent": "stellwerk", "Accept-Encoding": "identity"},
            transport=transport,
            verify=url.startswith("https:"),  # reading certificates takes its time
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(
                connect=self._limits.connect_seconds,
                read=self._limits.read_seconds,
                write=self._limits.write_seconds,
                pool=self._limits.read_seconds,
            ),
            limits=httpx.Limits(
                max_connections=self._limits.connections,
                keepalive_expiry=30.0,  # the server's side stays open for longer
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

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
        return _json(await self._call("POST", path, content=_dump(body)))

    async def tell(self, path: str, body: object) -> None:
        """Post something that is safe to repeat and whose answer says nothing.

        Raises:
            WorkerFaultError: It may not have been heard.
        """
        content = _dump(body)
        try:
            await self._call("POST", path, content=content)
        except ConnectionCutError:
            await self._call("POST", path, content=content)

    async def post_file(self, path: str, name: str, data: bytes, fields: dict[str, str]) -> Any:
        """Post a file as multipart; the answer is JSON.

        Raises:
            WorkerFaultError: There is no such answer.
            WorkflowInvalidError: 400.
            PromptTooLargeError: 413.
        """
        return _json(await self._call("POST", path, files={"image": (name, data)}, data=fields))

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Get a file piece by piece; errors inside the block are named as well.

        Raises:
            WorkerFaultError: It cannot be had.
        """
        self._check_open()
        with _named_failures():
            async with self._client.stream("GET", path, params=dict(params)) as response:
                if response.status_code != httpx.codes.OK:
                    raise _status_error(response.status_code, path, b"")
                yield response

    async def _call(self, method: str, path: str, **options: Any) -> bytes:
        """Send a request and read its whole answer, within the size limit."""
        if "content" in options:
            options["headers"] = {"Content-Type": "application/json"}
        self._check_open()
        with _named_failures():
            async with self._client.stream(method, path, **options) as response:
                good = response.status_code == httpx.codes.OK
                body = await self._read(
                    response, self._limits.max_json_bytes if good else MAX_ERROR_BYTES
                )
                if not good:
                    raise _status_error(response.status_code, path, body)
                return body

    def _check_open(self) -> None:
        if self._client.is_closed:
            raise NotConnectedError("our side is closed")

    @staticmethod
    async def _read(response: httpx.Response, limit: int) -> bytes:
        pieces = bytearray()
        async for piece in response.aiter_bytes():
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
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise NotConnectedError(f"{type(exc).__name__}: {exc}") from exc
    except (httpx.NetworkError, httpx.RemoteProtocolError) as exc:
        raise ConnectionCutError(f"{type(exc).__name__}: {exc}") from exc
    except httpx.HTTPError as exc:
        text = str(exc) or type(exc).__name__
        raise WorkerUnreachableError(f"{type(exc).__name__}: {text}") from exc
    except httpx.InvalidURL as exc:
        raise WorkerRefusedError("the worker's address is no URL") from exc


def _status_error(status: int, path: str, body: bytes) -> Exception:
    """Name an answer that is not 200.

    500 is no sign of a broken server nor of nothing done; 400 and 413 are about what we sent.
    """
    if status == httpx.codes.BAD_REQUEST:
        return RefusedRequestError(body)
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
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
