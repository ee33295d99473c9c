"""What the fake language-model servers share: recording, switches, and who left in the middle.

They are real HTTP servers on a free port. `answer` is a text or a function of the request's JSON;
`requests` holds the exact bytes that came in; `fault` (all calls) and `next_faults` (one each)
make them misbehave.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Json = dict[str, Any]
    Answer = str | Callable[[Json], str]


class Fault(StrEnum):
    """How a call goes wrong."""

    HANG_BEFORE = "hangs before the first token"
    HANG_BETWEEN = "hangs after the first token"
    ERROR_500 = "answers with status 500"
    BUSY_429 = "answers with status 429 and Retry-After: 7"
    NO_KEY_401 = "answers with status 401"
    CUT = "cuts the connection after the first token"
    NONSENSE = "sends something else than its format"
    EMPTY = "sends an answer without a token"
    ERROR_INSIDE = "sends an error in the middle of the stream"
    ENDLESS = "never stops sending tokens"
    ENDLESS_LINE = "sends one line without an end"


@dataclass(frozen=True)
class Recorded:
    """One request as it came in.

    Attributes:
        path: Its path.
        headers: Its headers, names in lower case.
        body: Its exact bytes.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body, read as a JSON object."""
        content: Json = json.loads(self.body)
        return content

    @property
    def prompt(self) -> str:
        """The contents of all messages, one after the other, or the raw prompt."""
        if "messages" not in self.json:
            return str(self.json.get("prompt", self.json.get("input")))
        return "\n".join(str(message["content"]) for message in self.json["messages"])


class TextServer:
    """Base of the fakes: `async with FakeOllama("An answer.") as server: server.url …`."""

    path = "/"
    content_type = "application/json"

    def __init__(self, answer: Answer = "A fake answer.", *, models: Collection[str] = ()) -> None:
        """Make a server; it listens inside `async with`.

        Args:
            answer: What every call is answered, or a function of the request's JSON.
            models: The models that it has; empty: any.
        """
        self.answer = answer
        self.models = models
        self.requests: list[Recorded] = []
        self.fault: Fault | None = None
        self.next_faults: deque[Fault | None] = deque()
        self.first_token_delay_seconds = 0.0
        self.token_delay_seconds = 0.0
        self.gate = asyncio.Event()
        """While it is not set, answers stop in their middle."""
        self.gate.set()
        self.left_count = 0
        self.answering = 0  # calls that are being answered now
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def routes(self) -> list[web.RouteDef]:
        """What the server listens to."""
        return [web.post(self.path, self._handle)]

    def line(self, content: Json) -> bytes:
        """Write one piece of a stream in the server's format."""
        raise NotImplementedError

    def token(self, model: str, text: str) -> Json:
        """Make the piece that carries a token."""
        raise NotImplementedError

    def end(self, model: str, prompt_tokens: int, completion_tokens: int) -> list[bytes]:
        """Make the last pieces of a stream."""
        raise NotImplementedError

    def inner_error(self) -> Json:
        """Make a piece that tells of an error."""
        raise NotImplementedError

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        recorded = Recorded(request.path, headers, await request.read())
        self.requests.append(recorded)
        fault = self.next_faults.popleft() if self.next_faults else self.fault
        model = str(recorded.json["model"])
        if refusal := self._refusal(fault, model):
            return refusal
        self.answering += 1
        try:
            return await self._stream(request, recorded, fault, model)
        except (asyncio.CancelledError, ConnectionError):
            self.left_count += 1
            raise
        finally:
            self.answering -= 1

    def _refusal(self, fault: Fault | None, model: str) -> web.Response | None:
        error = {"error": "a fake error"}
        if fault is Fault.ERROR_500:
            return web.json_response(error, status=500)
        if fault is Fault.BUSY_429:
            return web.json_response(error, status=429, headers={"Retry-After": "7"})
        if fault is Fault.NO_KEY_401:
            return web.json_response(error, status=401)
        if self.models and model not in self.models:
            return web.json_response({"error": f"model '{model}' not found"}, status=404)
        return None

    async def _stream(
        self, request: web.Request, recorded: Recorded, fault: Fault | None, model: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await asyncio.sleep(self.first_token_delay_seconds)
        if fault is Fault.HANG_BEFORE:
            await asyncio.Event().wait()
        await response.prepare(request)
        answer = self.answer if isinstance(self.answer, str) else self.answer(recorded.json)
        tokens = [] if fault is Fault.EMPTY else re.findall(r"\s*\S+\s*", answer)
        for number, token in enumerate(tokens):
            if number:
                await asyncio.sleep(self.token_delay_seconds)
            if number == len(tokens) // 2:
                await self.gate.wait()
            await response.write(self.line(self.token(model, token)))
            await self._misbehave(request, response, fault, model)
        prompt_tokens = len(recorded.prompt.split())
        for line in self.end(model, prompt_tokens, len(tokens)):
            await response.write(line)
        await response.write_eof()
        return response

    async def _misbehave(
        self, request: web.Request, response: web.StreamResponse, fault: Fault | None, model: str
    ) -> None:
        """Do after a token what the fault says."""
        if fault is Fault.HANG_BETWEEN:
            await asyncio.Event().wait()
        elif fault is Fault.CUT and request.transport is not None:
            request.transport.abort()
            await asyncio.Event().wait()
        elif fault is Fault.NONSENSE:
            await response.write(b"<html>{never closed</html>\n")
        elif fault is Fault.ERROR_INSIDE:
            await response.write(self.line(self.inner_error()))
        while fault is Fault.ENDLESS:
            await response.write(self.line(self.token(model, "more " * 50)))
        while fault is Fault.ENDLESS_LINE:
            await response.write(b"x" * 65536)


def echo_digest(content: Json) -> str:
    """Answer with a hash of the messages: shows which prompt an answer belongs to."""
    prompt = "\n".join(str(message["content"]) for message in content["messages"])
    return f"answer {hashlib.sha256(prompt.encode()).hexdigest()[:12]}"
