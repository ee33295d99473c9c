"""Sends a recording's requests to the stand-in again and compares what comes back."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from tests.support import eventually
from tests.unit.fakes.comparison import SLOW_INPUTS, Comparison
from tests.unit.fakes.signatures import of_frame, of_message, of_others, of_statuses

if TYPE_CHECKING:
    from tests.fakes.comfyui import ComfyUIServer
    from tests.unit.fakes.comparison import Plan

    Json = dict[str, Any]

CAPTURES = Path(__file__).parent / "captures"
QUIET_SECONDS = 0.02  # for messages that should not come
LARGE_BODY = re.compile(r"^<(\d+) bytes>$")
SCALE = 10  # large bodies and their limit are that much smaller here


class Socket:
    """A client's socket and what it heard."""

    def __init__(self, response: aiohttp.ClientWebSocketResponse) -> None:
        """Read until it closes."""
        self.response = response
        self.lines: list[str] = []
        self.is_behind = False  # heard less than the recorded one once; not waited for again
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.response:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.lines.append(of_message(json.loads(message.data)))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.lines.append(of_frame(message.data))


class Replay:
    """One scenario against one stand-in."""

    def __init__(self, name: str, plan: Plan, comfy: ComfyUIServer) -> None:
        """Read the recording.

        Args:
            name: Of the file in captures/, without suffix.
            plan: What it needs.
            comfy: A fresh stand-in.
        """
        self.steps = json.loads((CAPTURES / f"{name}.json").read_text())["steps"]
        self.plan = plan
        self.comfy = comfy
        self.sockets: dict[str, Socket] = {}
        self.expected: dict[str, list[str]] = {}
        self.compared = Comparison(plan, comfy)
        self.refused = 0
        self.validators: dict[str, str] = {}  # of the latest answer

    async def run(self) -> list[str]:
        """Go through all steps and return the differences."""
        self.plan.prepare(self.comfy)
        async with aiohttp.ClientSession() as session:
            self.session = session
            for step in self.steps:
                await getattr(self, f"_{step['do']}")(step)
            await asyncio.sleep(QUIET_SECONDS)
            for socket in self.sockets.values():
                await socket.response.close()
                await socket.task
        for name, expected in self.expected.items():
            self.compared.messages(name, expected, self.sockets[name].lines)
        return self.compared.differences

    # steps

    async def _note(self, step: Json) -> None:
        for beginning, action in self.plan.notes.items():
            if step["text"].startswith(beginning):
                await getattr(self, action)()

    async def kill(self) -> None:
        """Kill the server."""
        await self.comfy.kill()

    async def restart(self) -> None:
        """Start it again."""
        await self.comfy.restart()

    async def remove_outputs(self) -> None:
        """Delete the files that were saved last."""
        for file in self.comfy.runs[-1].files:
            folder = self.comfy.folders.base / file["type"] / file["subfolder"]
            (folder / file["filename"]).unlink()

    async def remove_gone(self) -> None:
        """Delete an uploaded file while a prompt that needs it waits."""
        (self.comfy.folders.base / "input" / "gone.png").unlink()

    async def _ws_open(self, step: Json) -> None:
        if self.plan.fresh and self.sockets:
            await self.restart()
        url = URL(self.comfy.url + step["path"], encoded=True)
        headers = self._headers(step)
        try:
            response = await self.session.ws_connect(url, headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as exc:
            self.refused = exc.status
            return
        before = self.sockets.get(step["sock"])
        socket = self.sockets[step["sock"]] = Socket(response)
        if before is not None:  # the recording used one name again
            socket.lines[:0] = before.lines
        self.expected.setdefault(step["sock"], [])
        count = len(before.lines) if before is not None else 0
        await eventually(lambda: len(socket.lines) > count)

    async def _ws_open_failed(self, step: Json) -> None:
        self.compared.values(step, "status", step["status"], self.refused)

    async def _ws_send(self, step: Json) -> None:
        socket = self.sockets[step["sock"]].response
        await socket.send_str(step["text"] if "text" in step else json.dumps(step["json"]))

    async def _ws_closed(self, step: Json) -> None:
        if step["sock"] in self.sockets:
            socket = self.sockets[step["sock"]]
            await socket.response.close()
            await socket.task

    async def _received(self, step: Json) -> None:
        for name, lines in step["messages"].items():
            lines = [line for line in lines if not self.compared.is_skipped(line)]
            if not lines:
                continue
            self.expected[name] += lines
            await self._heard(name)

    async def _heard(self, name: str) -> None:
        """Wait until a socket got as much as the recorded one at this point."""
        socket = self.sockets[name]

        def counts(lines: list[str]) -> tuple[int, int]:
            lines = [line for line in lines if not self.compared.is_skipped(line)]
            others = of_others(lines, short=self.plan.long)
            return len(others), 0 if self.compared.is_racing else len(of_statuses(lines))

        wanted = counts(self.expected[name])

        def is_there() -> bool:
            messages, statuses = counts(socket.lines)
            return messages >= wanted[0] and statuses >= wanted[1]

        try:
            await eventually(is_there, within_seconds=0.1 if socket.is_behind else 3)
        except AssertionError:
            socket.is_behind = True

    async def _idle(self, step: Json) -> None:
        """Wait until nothing runs, or nothing can any more."""

        def is_over() -> bool:
            is_dead = not self.comfy.is_worker_alive  # or all of it
            return is_dead or self.comfy.queue.remaining_count == 0

        await eventually(is_over)
        await asyncio.sleep(QUIET_SECONDS)

    # HTTP

    async def _http(self, step: Json) -> None:
        label = step.get("label", "")
        if any(each in (label, step["path"]) for each in self.plan.skip):
            if isinstance(step.get("answer_json"), dict):
                self.compared.skipped.add(str(step["answer_json"].get("prompt_id")))
            return
        path = self._path(step["path"])
        if any(path.endswith(f"/{each}") for each in self.compared.skipped):
            return
        if step["status"] is None:
            try:
                await self.session.get(self.comfy.url + path)
            except aiohttp.ClientConnectionError:
                return
            self.compared.differences.append(f"{label}: the server answers")
            return
        url = URL(self.comfy.url + path, encoded=True)
        headers, body = self._headers(step), self._body(step)
        async with self.session.request(
            step["method"], url, headers=headers, allow_redirects=False, **body
        ) as response:
            content = await response.read()
            self.compared.values(step, "status", step["status"], response.status)
            self.compared.answer(step, content, response)
            self.validators = {
                "If-None-Match": response.headers.get("Etag", ""),
                "If-Modified-Since": response.headers.get("Last-Modified", ""),
            }
        action = self.plan.after.get(str(step.get("json", {}).get("prompt_id")))
        if action is not None:
            await getattr(self, action)()

    def _path(self, path: str) -> str:
        """Put in the random name of a file that is only shown."""
        files = [file["filename"] for run in self.comfy.runs for file in run.files]
        prefixes = [name[:19] for name in files if name.startswith("ComfyUI_temp_")]
        return re.sub(r"ComfyUI_temp_[a-z]{5}_", prefixes[-1], path) if prefixes else path

    def _headers(self, step: Json) -> dict[str, str]:
        headers: dict[str, str] = dict(step.get("headers") or step.get("request_headers") or {})
        for name, value in headers.items():
            value = self.validators.get(name, value)
            headers[name] = value.replace(":8188", f":{self.comfy.port}")
        return headers

    def _body(self, step: Json) -> Json:
        label = step.get("label", "")
        if label in self.plan.uploads:
            name, content, fields = self.plan.uploads[label]
            form = aiohttp.FormData(quote_fields=False)
            if name is not None:
                form.add_field(fields.get("*", "image"), io.BytesIO(content), filename=name)
            for key, value in fields.items():
                if key != "*":
                    form.add_field(key, value)
            if name is None and not fields:
                form.add_field("nothing", "1")
            return {"data": form}
        if "body" in step:
            size = LARGE_BODY.match(step["body"])
            own_id = step.get("answer_json", {}).get("prompt_id")
            data = large_prompt(int(size[1]), own_id) if size else step["body"].encode()
            return {"data": io.BytesIO(data)}  # aiohttp warns of large bytes
        if "json" not in step:
            return {}
        body = step["json"]
        if step["path"] == "/prompt" and isinstance(body.get("prompt"), dict):
            body = self._quick(body)
        return {"data": json.dumps(body).encode()}

    def _quick(self, body: Json) -> Json:
        """Shorten long nodes; a prompt with a node that is not here only uses up its number."""
        for node in body["prompt"].values():
            if not isinstance(node, dict):
                continue
            if node.get("class_type") in ("ProbeAsync", "ProbeExpand"):
                self.compared.skipped.add(body["prompt_id"])
                return {}
            inputs = node.get("inputs")
            if not isinstance(inputs, dict):
                continue
            for name, limit in SLOW_INPUTS.items():
                if isinstance(inputs.get(name), int | float):
                    inputs[name] = min(inputs[name], limit)
        return body


def large_prompt(recorded_bytes: int, prompt_id: str | None) -> bytes:
    """Return a body of POST /prompt of a size that relates to the limit as the recorded one."""
    image: Json = {"width": 64, "height": 64, "batch_size": 1, "color": 1}
    image["more"] = "x" * (recorded_bytes // SCALE)
    saved = {"images": ["1", 0], "filename_prefix": "cap15/p"}
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": saved},
    }
    body = {"prompt": graph, "prompt_id": prompt_id, "client_id": "client0"}
    return json.dumps(body).encode()
