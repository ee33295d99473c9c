"""A picture service that speaks the images and the chat API, with switches for what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    Json = dict[str, Any]


class ImageFault(StrEnum):
    """How a call goes wrong."""

    HANG = "never answers"
    ERROR_500 = "answers with status 500"
    BUSY_429 = "answers with status 429"
    NO_KEY_401 = "answers with status 401"
    NO_MONEY_402 = "answers with status 402"
    BAD_REQUEST_400 = "answers with status 400 and repeats the prompt"
    PROMPT_REFUSED = "answers that its rules forbid the prompt"
    ERROR_IN_OK = "answers with status 200 and an error inside"
    NONSENSE = "answers with something that is no JSON"
    NO_PICTURE = "answers without a picture"
    NO_BASE64 = "answers with base64 that is none"
    TEXT_AS_PICTURE = "answers with base64 of a text"
    ENDLESS = "never stops sending its answer"


class Delivery(StrEnum):
    """How pictures come."""

    BASE64 = "base64"
    DATA_URL = "data URL"
    URL = "an address of its own"


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: Json


def picture(text: str = "", edge: int = 8) -> bytes:
    """Return a PNG whose colour depends on the text."""
    colour = sum(text.encode()) % 256
    stream = io.BytesIO()
    Image.new("RGB", (edge, edge), (colour, 255 - colour, 128)).save(stream, "PNG")
    return stream.getvalue()


class FakeImageService:
    """`async with FakeImageService() as service: service.url …`.

    Attributes:
        fault: Of every call; None: all goes well.
        delivery: How pictures come.
        address: What `Delivery.URL` names; empty: an address of this server.
        content_type: Of pictures that are fetched from it.
        redirect_to: Where fetching is sent on to; empty: nowhere.
        requests: What came to the two APIs.
        fetched: Headers with which pictures were fetched.
    """

    def __init__(self) -> None:
        """Make a service; it listens inside `async with`."""
        self.fault: ImageFault | None = None
        self.delivery = Delivery.BASE64
        self.address = ""
        self.content_type = "image/png"
        self.redirect_to = ""
        self.edge = 8
        self.requests: list[Asked] = []
        self.fetched: list[Mapping[str, str]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/images/generations", self._images)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/files/{text}.png", self._file)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _images(self, request: web.Request) -> web.StreamResponse:
        body = await self._note(request)
        if (wrong := await self._fail(request, str(body["prompt"]))) is not None:
            return wrong
        entry: Json = {"revised_prompt": f"Revised: {body['prompt']}"}
        if self.delivery is Delivery.BASE64:
            entry["b64_json"] = self._base64(str(body["prompt"]))
        else:
            entry["url"] = self._link(str(body["prompt"]))
        data = [] if self.fault is ImageFault.NO_PICTURE else [entry]
        return web.json_response({"created": 1, "id": "img-1", "data": data})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._note(request)
        prompt = str(body["messages"][0]["content"])
        if (wrong := await self._fail(request, prompt)) is not None:
            return wrong
        message: Json = {"role": "assistant", "content": "Here it is."}
        if self.fault is not ImageFault.NO_PICTURE:
            image = {"type": "image_url", "image_url": {"url": self._link(prompt)}}
            message["images"] = [image]
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return web.json_response({"id": "gen-1", "choices": [choice]})

    async def _file(self, request: web.Request) -> web.Response:
        self.fetched.append({name.lower(): value for name, value in request.headers.items()})
        if self.redirect_to:
            raise web.HTTPFound(self.redirect_to)
        data = picture(request.match_info["text"], self.edge)
        return web.Response(body=data, content_type=self.content_type)

    async def _note(self, request: web.Request) -> Json:
        body: Json = await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Asked(request.path, headers, body))
        return body

    async def _fail(self, request: web.Request, prompt: str) -> web.StreamResponse | None:
        error: Json = {"error": {"code": "invalid_request", "message": f"Not this: {prompt}"}}
        statuses = {
            ImageFault.ERROR_500: 500,
            ImageFault.BUSY_429: 429,
            ImageFault.NO_KEY_401: 401,
            ImageFault.NO_MONEY_402: 402,
            ImageFault.BAD_REQUEST_400: 400,
        }
        if self.fault in statuses:
            return web.json_response(error, status=statuses[self.fault])
        if self.fault is ImageFault.PROMPT_REFUSED:
            error["error"]["code"] = "moderation_blocked"
            return web.json_response(error, status=400)
        if self.fault is ImageFault.ERROR_IN_OK:
            return web.json_response({"error": {"code": 429, "message": prompt}})
        if self.fault is ImageFault.NONSENSE:
            return web.Response(text="<html>")
        if self.fault is ImageFault.HANG:
            await asyncio.Event().wait()
        if self.fault is ImageFault.ENDLESS:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" " * 65536)
        return None

    def _base64(self, prompt: str) -> str:
        if self.fault is ImageFault.NO_BASE64:
            return "not base64!"
        if self.fault is ImageFault.TEXT_AS_PICTURE:
            return base64.b64encode(b"a text").decode()
        return base64.b64encode(picture(prompt, self.edge)).decode()

    def _link(self, prompt: str) -> str:
        if self.delivery is Delivery.URL:
            return self.address or f"{self.url}/files/{prompt}.png"
        return f"data:image/png;base64,{self._base64(prompt)}"
