"""Asking a model over HTTP: one driver for every server that streams its answer line by line.

Ollama, OpenAI-compatible servers and llama.cpp differ in a body and in how a line reads; a
`Dialect` holds that difference. What is easily done wrong is here, once: limits on every wait and
size, errors told apart, and a connection that is closed as soon as the caller leaves, so that no
GPU writes on for nobody.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import httpx
import structlog

from generation_service.text.interface import (
    RETRY_SECONDS,
    ModelAnswerInvalidError,
    ModelBusyError,
    ModelNotFoundError,
    ModelTimeoutError,
    ModelUnavailableError,
    PromptForm,
    PromptFormNotOfferedError,
    TextDelta,
    TextResult,
)
from generation_service.text.limits import AnswerClock, ModelSlots, ProviderLimits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping

    from generation_service.text.costs import Cost
    from generation_service.text.interface import TextRequest
    from generation_service.text.models_file import ModelTerms
    from servicekit.errors import ServiceError

log = structlog.get_logger()

MAX_LINE_BYTES = 1024 * 1024
"""A token's line is a few hundred bytes; a mebibyte is nonsense or an attack."""


@dataclass(frozen=True)
class Piece:
    """What one line of a stream told.

    Attributes:
        text: Text to append.
        thinking: The model writes what is not part of the answer: a sign of life.
        done: Nothing more will come.
        finish_reason: Why the model ended; empty: not told here.
        prompt_token_count: Tokens read; None: not told here.
        completion_token_count: Tokens written; None: not told here.
        backend_job_id: The server's id of the request; empty: not told here.
        cost: What the answer cost; None: not told here.
    """

    text: str = ""
    thinking: bool = False
    done: bool = False
    finish_reason: str = ""
    prompt_token_count: int | None = None
    completion_token_count: int | None = None
    backend_job_id: str = ""
    cost: Cost | None = None


class Stream(Protocol):
    """How the answers of one kind of server are read."""

    @property
    def path(self) -> str:
        """The path to post to."""

    def missing_hint(self, model: str) -> str:
        """Tell in one sentence how a model that is not there comes there; empty: nobody knows."""

    def read(self, line: bytes) -> Piece | None:
        """Read one line; None for lines without meaning.

        Raises:
            ModelAnswerInvalidError: The line is nonsense.
            ServiceError: The line tells of an error.
        """


class Dialect(Stream, Protocol):
    """How one kind of server is spoken to."""

    @property
    def name(self) -> str:
        """The backend's name, such as `ollama`."""

    def body(self, model: str, request: TextRequest) -> bytes:
        """Write the request, exactly as it is sent."""

    def applied(self, request: TextRequest) -> Mapping[str, object]:
        """Tell the parameters that `body` asks for; can be written as JSON."""


def make_client(
    base_url: str,
    limits: ProviderLimits,
    *,
    api_key: str = "",
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Make the connection pool of one provider.

    Args:
        base_url: Where its paths begin.
        limits: The provider's limits. Reading has none here: `AnswerClock` limits it by phase.
        api_key: Sent as bearer token; empty: none.
        transport: Another way to the server, such as a socket file.

    Returns:
        The client; the caller closes it.
    """
    # httpx logs every URL at INFO.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    headers = {"Accept-Encoding": "identity", "User-Agent": "stellwerk"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return httpx.AsyncClient(
        base_url=base_url,
        headers=headers,
        transport=transport,
        follow_redirects=False,
        timeout=httpx.Timeout(
            connect=limits.connect_seconds,
            read=None,
            write=limits.first_token_seconds,
            pool=limits.wait_seconds,
        ),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.concurrent * 2),
    )


async def stream_pieces(
    client: httpx.AsyncClient, stream: Stream, model: str, body: bytes, clock: AnswerClock
) -> AsyncGenerator[Piece, None]:
    """Post a request and read its stream until the server says that it is done.

    Args:
        client: The pool of the server.
        stream: How to read its answer.
        model: For errors only, `<backend>/<model>`.
        body: What to post.
        clock: Limits the waits; ticks with every token.

    Raises:
        ServiceError: As `TextBackend.generate`.
    """
    ended = False
    with _translated_errors():
        request = client.build_request(
            "POST", stream.path, content=body, headers={"Content-Type": "application/json"}
        )
        response = await clock.wait(client.send(request, stream=True))
        async with aclosing(response):
            if response.status_code != httpx.codes.OK:
                raise _status_error(response, model, stream)
            async with aclosing(_lines(response, clock)) as lines:
                async for line in lines:
                    piece = stream.read(line)
                    if piece is None:
                        continue
                    if piece.text or piece.thinking:
                        clock.token()
                    yield piece
                    if piece.done:
                        return
                    ended = ended or bool(piece.finish_reason)
    if not ended:  # some servers leave out the last line
        raise ModelUnavailableError("The model's server broke off in the middle of the answer.")


class HttpTextBackend:
    """A text backend whose models live behind an HTTP server."""

    follows_instructions = True

    def __init__(
        self,
        dialect: Dialect,
        client: httpx.AsyncClient,
        limits: ProviderLimits,
        *,
        leaves_site: bool,
        terms: Mapping[str, ModelTerms] | None = None,
        forms: Mapping[PromptForm, Callable[[], Dialect]] | None = None,
    ) -> None:
        """Take what it works with.

        Args:
            dialect: How to speak to the server.
            client: The pool of the server; closed with the backend.
            limits: Of each of its models.
            leaves_site: Whether texts leave the site.
            terms: What holds for single models, by name.
            forms: How to speak for prompts in other forms than a chat, anew for each request.
        """
        terms = terms or {}
        self.name = dialect.name
        self.leaves_site = leaves_site
        self._forms = {PromptForm.CHAT: lambda: dialect, **(forms or {})}
        self._client = client
        self._limits = limits
        self._prices = {model: term.price for model, term in terms.items() if term.price}
        places = {model: term.concurrent for model, term in terms.items() if term.concurrent}
        self._slots = ModelSlots(limits, places)
        self._warming: asyncio.Task[object] | None = None

    def warm_up(self, work: Coroutine[object, object, object]) -> None:
        """Do something in the background that makes first answers faster; once."""
        self._warming = asyncio.create_task(work)

    async def generate(
        self, model: str, request: TextRequest
    ) -> AsyncGenerator[TextDelta | TextResult, None]:
        """Ask a model: deltas, then one result. See `TextBackend.generate`."""
        started = perf_counter()
        full_name = f"{self.name}/{model}"
        if request.form not in self._forms:
            raise PromptFormNotOfferedError(full_name)
        dialect = self._forms[request.form]()
        body = dialect.body(model, request)
        async with self._slots.place(model):
            clock = AnswerClock(self._limits, started)
            pieces = stream_pieces(self._client, dialect, full_name, body, clock)
            heard: list[Piece] = []
            size = 0
            async with aclosing(pieces):
                async for piece in pieces:
                    heard.append(piece)
                    size += len(piece.text)
                    if size > self._limits.answer_chars:
                        raise ModelAnswerInvalidError("The model's answer is too long.")
                    if piece.text:
                        yield TextDelta(piece.text)
        result = self._result(model, request, heard, clock)
        yield replace(result, parameters=dialect.applied(request))

    def _result(
        self, model: str, request: TextRequest, heard: list[Piece], clock: AnswerClock
    ) -> TextResult:
        text = "".join(piece.text for piece in heard).strip()
        if not text:
            raise ModelAnswerInvalidError("The model's answer is empty.")
        told = [p.prompt_token_count for p in heard if p.prompt_token_count is not None]
        written = [p.completion_token_count for p in heard if p.completion_token_count is not None]
        read_count, written_count = (each[-1] if each else None for each in (told, written))
        price = self._prices.get(model)
        return TextResult(
            text=text,
            messages=request.messages,
            parameters={},
            model=f"{self.name}/{model}",
            backend=self.name,
            prompt_token_count=read_count,
            completion_token_count=written_count,
            run_seconds=clock.run_seconds,
            first_token_seconds=clock.first_token_seconds,
            finish_reason=next((p.finish_reason for p in heard if p.finish_reason), "stop"),
            backend_job_id=next((p.backend_job_id for p in heard if p.backend_job_id), ""),
            cost=next((p.cost for p in reversed(heard) if p.cost), None)
            or (price.of(read_count, written_count) if price else None),
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        await self._client.aclose()


async def _lines(response: httpx.Response, clock: AnswerClock) -> AsyncGenerator[bytes, None]:
    """Split the raw stream at line feeds; httpx's own splitting also does so inside of texts."""
    rest = b""
    chunks = response.aiter_raw()
    while True:
        try:
            rest += await clock.wait(anext(chunks))
        except StopAsyncIteration:
            break
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield line.strip()
        if len(rest) > MAX_LINE_BYTES:
            raise ModelAnswerInvalidError("The model's server sent a line without an end.")
    if rest.strip():
        yield rest.strip()


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Tell what went wrong on the way in the words of the interface."""
    try:
        yield
    except httpx.ConnectTimeout as exc:
        raise ModelTimeoutError("The model's server did not take the connection in time.") from exc
    except httpx.PoolTimeout as exc:
        raise ModelBusyError("All connections to the model's server are in use.") from exc
    except httpx.TimeoutException as exc:
        raise ModelTimeoutError("The model's server did not take the request in time.") from exc
    except httpx.ConnectError as exc:
        raise ModelUnavailableError("The model's server cannot be reached.") from exc
    except httpx.TransportError as exc:
        raise ModelUnavailableError("The model's server broke off the connection.") from exc


def _status_error(response: httpx.Response, model: str, stream: Stream) -> ServiceError:
    """Read a status; the text beside it may quote the prompt and is left unread."""
    status = response.status_code
    log.warning("model_refused", model=model, http_status=status)
    if status == httpx.codes.NOT_FOUND:
        return ModelNotFoundError(model, stream.missing_hint(model.partition("/")[2]))
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ModelBusyError("The model's server is busy.", _retry_after(response))
    if status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.GATEWAY_TIMEOUT):
        return ModelTimeoutError("The model's server gave up waiting for the model.")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ModelUnavailableError("The model's server does not accept our key.")
    return ModelUnavailableError(f"The model's server answered with status {status}.")


def _retry_after(response: httpx.Response) -> float:
    """Seconds of the `Retry-After` header; our own guess where it is missing or a date."""
    value = response.headers.get("retry-after", "")
    return min(float(value), 600.0) if value.isascii() and value.isdigit() else RETRY_SECONDS
