"""The least that a client of ComfyUI has to do; the stand-in's own tests use nothing better."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from tests.support import eventually

if TYPE_CHECKING:
    Json = dict[str, Any]


def picture(color: int = 255, *, width: int = 64, height: int = 64, batch: int = 1) -> Json:
    """Return a graph that saves a picture under a name of its own."""
    size = {"width": width, "height": height, "batch_size": batch, "color": color}
    saved = {"images": ["1", 0], "filename_prefix": uuid.uuid4().hex}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size},
        "2": {"class_type": "SaveImage", "inputs": saved},
    }


def slow_picture(ticks: int = 3, tick_ms: int = 10) -> Json:
    """Return a graph with a node that takes its time and looks for interrupts."""
    graph = picture()
    inputs = {"image": ["1", 0], "tag": 0, "ticks": ticks, "tick_ms": tick_ms}
    graph["3"] = {"class_type": "ProbeTick", "inputs": inputs}
    graph["2"]["inputs"]["images"] = ["3", 0]
    return graph


class BareClient:
    """`async with BareClient(comfy.url) as client: …`; has a socket if `listens`."""

    def __init__(self, url: str, *, listens: bool = False) -> None:
        """Make a client."""
        self.url = url
        self.client_id = uuid.uuid4().hex
        self.messages: list[Json] = []
        self._listens = listens

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(self.url)
        if self._listens:
            self.socket = await self.session.ws_connect(f"/ws?clientId={self.client_id}")
            await self.hear()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def hear(self) -> Json:
        """Return the next text message."""
        message: Json = await self.socket.receive_json(timeout=5)
        self.messages.append(message)
        return message

    async def hear_until(self, kind: str, **data: Any) -> list[str]:
        """Return the types of all messages up to the first of a kind with these data."""
        kinds = []
        while True:
            message = await self.hear()
            kinds.append(message["type"])
            wanted = data.items() <= message["data"].items()
            if message["type"] == kind and wanted:
                return kinds

    async def post(self, graph: Json, prompt_id: str | None = None, **more: Any) -> Json:
        """Post a prompt and return the answer."""
        body = {"prompt": graph, "client_id": self.client_id, **more}
        body["prompt_id"] = prompt_id or str(uuid.uuid4())
        async with self.session.post("/prompt", json=body) as response:
            answer: Json = await response.json()
            return answer

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        async with self.session.get(path) as response:
            return json.loads(await response.read())

    async def status_of(self, method: str, path: str, **body: Any) -> int:
        """Return only the status of a call."""
        async with self.session.request(method, path, **body) as response:
            await response.read()
            return response.status

    async def ended(self, prompt_id: str) -> Json:
        """Wait for the history entry of a prompt and return it."""

        async def entry() -> Json:
            history: Json = await self.get(f"/history/{prompt_id}")
            found: Json = history.get(prompt_id, {})
            return found

        return await eventually(entry)

    async def run(self, graph: Json, **more: Any) -> Json:
        """Post a prompt, wait for its end, and return the history entry."""
        answer = await self.post(graph, **more)
        return await self.ended(answer["prompt_id"])

    async def files(self, entry: Json) -> list[bytes]:
        """Return all files that a history entry names."""
        contents = []
        for output in entry["outputs"].values():
            for value in output.values():
                for file in value:
                    if isinstance(file, dict):
                        async with self.session.get("/view", params=file) as response:
                            assert response.status == 200
                            contents.append(await response.read())
        return contents


def end_of(entry: Json) -> str:
    """Return the terminal message's type of a history entry."""
    kind: str = entry["status"]["messages"][-1][0]
    return kind
