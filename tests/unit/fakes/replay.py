"""Sends a recording's requests to the stand-in again and compares what comes back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.fakes.comfyui import ComfyUIServer
from tests.support import eventually
from tests.unit.fakes.signatures import of_frame, of_message, of_others, of_statuses, plain

Json = dict[str, Any]

CAPTURES = Path(__file__).parent / "captures"
SUMMARIES = re.compile(r"^<.*>$")  # an answer that the recording only describes
QUIET_SECONDS = 0.02  # for messages that should not come
SLOW_INPUTS = {"tick_ms": 20, "seconds": 0.1}  # at most, so that a replay is quick


@dataclass
class Plan:
    """What a scenario needs besides its recording.

    Attributes:
        switches: Of the stand-in.
        prepare: Called before the first step.
        uploads: Multipart bodies, which recordings do not hold, by label: file name, content,
            fields.
        notes: What to do at a note, by its beginning.
        skip: Labels, notes' beginnings or prompt ids of steps that are left out.
        long: Take the steps of long nodes together.
        racing: Statuses depend on who was faster; they are not compared.
    """

    switches: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[ComfyUIServer], None] = lambda comfy: None
    uploads: Mapping[str, tuple[str | None, bytes, Mapping[str, str]]] = field(
        default_factory=dict
    )
    notes: Mapping[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    long: bool = False
    racing: bool = False


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
        self.skipped: set[str] = set()
        self.differences: list[str] = []
        self.compared_count = 0

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
            self._compare_messages(name, expected, self.sockets[name].lines)
        return self.differences

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
        url = URL(self.comfy.url + step["path"], encoded=True)
        headers = self._headers(step)
        try:
            response = await self.session.ws_connect(url, headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as exc:
            self.refused = exc.status
            return
        self.sockets[step["sock"]] = Socket(response)
        self.expected.setdefault(step["sock"], [])
        await eventually(lambda: self.sockets[step["sock"]].lines)

    async def _ws_open_failed(self, step: Json) -> None:
        self._compare(step, "status", step["status"], self.refused)

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
            lines = [line for line in lines if not self._is_skipped(line)]
            if not lines:
                continue
            self.expected[name] += lines
            await self._heard(name)

    async def _heard(self, name: str) -> None:
        """Wait until a socket got as much as the recorded one at this point."""
        socket = self.sockets[name]

        def counts(lines: list[str]) -> tuple[int, int]:
            lines = [line for line in lines if not self._is_skipped(line)]
            others = of_others(lines, short=self.plan.long)
            return len(others), 0 if self._is_racing else len(of_statuses(lines))

        wanted = counts(self.expected[name])

        def is_there() -> bool:
            messages, statuses = counts(socket.lines)
            return messages >= wanted[0] and statuses >= wanted[1]

        try:
            await eventually(is_there, within_seconds=0.1 if socket.is_behind else 3)
        except AssertionError:
            socket.is_behind = True

    @property
    def _is_racing(self) -> bool:
        return self.plan.racing or bool(self.skipped)

    async def _idle(self, step: Json) -> None:
        """Wait until nothing runs, or nothing can any more."""

        def is_over() -> bool:
            is_dead = not self.comfy.is_worker_alive
            return is_dead or self.comfy.queue.remaining_count == 0

        await eventually(is_over)
        await asyncio.sleep(QUIET_SECONDS)

    def _is_skipped(self, line: str) -> bool:
        return any(f'"{each}"' in line or f" {each}:" in line for each in self.skipped)

    # HTTP

    async def _http(self, step: Json) -> None:
        label = step.get("label", "")
        if any(each in (label, step["path"]) for each in self.plan.skip):
            return
        path = self._path(step["path"])
        if any(path.endswith(f"/{each}") for each in self.skipped):
            return
        if step["status"] is None:
            try:
                await self.session.get(self.comfy.url + path)
            except aiohttp.ClientConnectionError:
                return
            self.differences.append(f"{label}: the server answers")
            return
        url = URL(self.comfy.url + path, encoded=True)
        async with self.session.request(
            step["method"], url, headers=self._headers(step), allow_redirects=False, **self._body(step)
        ) as response:
            content = await response.read()
            self._compare(step, "status", step["status"], response.status)
            self._compare_answer(step, content, response)

    def _path(self, path: str) -> str:
        temp = [file["filename"] for run in self.comfy.runs for file in run.files]
        names = [name for name in temp if name.startswith("ComfyUI_temp_")]
        if "ComfyUI_temp_" in path and names:
            path = re.sub(r"ComfyUI_temp_[a-z]{5}_00001", names[-1].rpartition("_0")[0] + "_00001", path)
            path = re.sub(r"(ComfyUI_temp_[a-z]{5})_.*?_(0000\d)", r"\1_\2", path)
        return path

    def _headers(self, step: Json) -> dict[str, str]:
        headers: dict[str, str] = dict(step.get("headers") or step.get("request_headers") or {})
        for name, value in headers.items():
            headers[name] = value.replace(":8188", f":{self.comfy.port}")
        return headers

    def _body(self, step: Json) -> Json:
        label = step.get("label", "")
        if label in self.plan.uploads:
            name, content, fields = self.plan.uploads[label]
            form = aiohttp.FormData(quote_fields=False)
            if name is not None:
                form.add_field(fields.get("*", "image"), content, filename=name)
            for key, value in fields.items():
                if key != "*":
                    form.add_field(key, value)
            if name is None and not fields:
                form.add_field("nothing", "1")
            return {"data": form}
        if "body" in step:
            return {"data": step["body"].encode()}
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
                self.skipped.add(body["prompt_id"])
                return {}
            inputs = node.get("inputs")
            for name, limit in SLOW_INPUTS.items() if isinstance(inputs, dict) else ():
                if isinstance(inputs.get(name), int | float):
                    inputs[name] = min(inputs[name], limit)
        return body

    # comparison

    def _compare(self, step: Json, what: str, expected: Any, actual: Any) -> None:
        self.compared_count += 1
        if str(step.get("json", {}).get("prompt_id")) in self.skipped:
            return
        if expected != actual:
            name = f"{step.get('method', '')} {step.get('path', '')} {step.get('label', '')}"
            self.differences.append(f"{name}: {what}: expected {expected!r}, got {actual!r}")

    def _compare_answer(
        self, step: Json, content: bytes, response: aiohttp.ClientResponse
    ) -> None:
        for name, value in step.get("answer_headers", {}).items():
            if name == "Content-Disposition":
                value = re.sub("ComfyUI_temp_[a-z]{5}_", "ComfyUI_temp_xxxxx_", value)
            actual = plain(response.headers.get(name, ""))
            self._compare(step, name, value, actual)
        if "answer_text" in step:
            if not SUMMARIES.match(step["answer_text"]) and len(step["answer_text"]) != 40:
                self._compare(step, "text", step["answer_text"], content.decode(errors="replace"))
        elif "answer_bytes" in step:
            recorded = step["answer_bytes"]
            first = bytes.fromhex(recorded["first_16_hex"].replace(" ", ""))
            self._compare(step, "bytes", first[:4].hex(), content[:4].hex())
            if step["status"] == 206:
                self._compare(step, "length", recorded["length"], len(content))
        elif "answer_json" in step:
            self._compare_json(step, step["answer_json"], content)

    def _compare_json(self, step: Json, expected: Any, content: bytes) -> None:
        text = content.decode().replace(str(self.comfy.folders.base), "<path>/base")
        actual = plain(json.loads(text)) if text else ""
        if step["path"].startswith("/history/") and isinstance(actual, dict) and actual:
            self._compare_history(step, expected, next(iter(actual.values())))
        elif isinstance(expected, list) and isinstance(actual, dict):
            self._compare(step, "number of entries", len(expected), len(actual))
        elif not fits(expected, actual):
            self._compare(step, "JSON", expected, actual)
        self.compared_count += 1

    def _compare_history(self, step: Json, expected: Any, entry: Json) -> None:
        """Compare what the recording kept of an entry; it often kept only a part."""
        status = entry["status"]
        kinds = [message[0] for message in status["messages"]]
        if not isinstance(expected, dict):  # only that there is one
            return
        kept = next(iter(expected.values()), {})
        if isinstance(kept, str):
            self._compare(step, "status", kept, status["status_str"])
            return
        if not isinstance(kept, dict):
            self._compare(step, "end", kept[0], kinds[-1])
            return
        known = {**entry, "status_str": status["status_str"], "messages": kinds}
        known |= {"number": entry["prompt"][0], "extra": entry["prompt"][3]}
        for key, value in kept.items():
            if key == "status" and isinstance(value, str):
                self._compare(step, key, value, status["status_str"])
            elif key == "status" and "messages" not in value:
                self._compare(step, key, value["status_str"], status["status_str"])
            elif key == "status" and value["messages"] and isinstance(value["messages"][0], str):
                self._compare(step, key, {**status, "messages": kinds}, value)
            elif key == "prompt_number_id_extra_outputs":
                prompt = entry["prompt"]
                self._compare(step, key, value, [prompt[0], prompt[1], prompt[3], prompt[4]])
            elif key in known and not fits(value, known[key]):
                self._compare(step, key, value, known[key])
            elif key not in known:
                self._compare(step, f"outputs of {key}", value, entry["outputs"].get(key))

    def _compare_messages(self, name: str, expected: list[str], lines: list[str]) -> None:
        base = str(self.comfy.folders.base)
        actual = [line.replace(base, "<path>/base") for line in lines]
        actual = [line for line in actual if not self._is_skipped(line)]
        pairs = [(of_others(each, short=self.plan.long)) for each in (expected, actual)]
        self._compare_lines(name, *pairs)
        if not self._is_racing:
            self._compare_lines(name, of_statuses(expected), of_statuses(actual))

    def _compare_lines(self, name: str, wanted: list[str], got: list[str]) -> None:
        self.compared_count += len(wanted)
        if wanted != got:
            pairs = enumerate(zip(wanted, got, strict=False))
            same = min(len(wanted), len(got))
            at = next((index for index, pair in pairs if pair[0] != pair[1]), same)
            self.differences.append(
                f"{name} message {at} of {len(wanted)}/{len(got)}: "
                f"expected {wanted[at : at + 3]}, got {got[at : at + 3]}"
            )


def fits(expected: Any, actual: Any) -> bool:
    """Say whether a JSON value is the recorded one, where that was recorded in full."""
    if isinstance(expected, str) and SUMMARIES.match(expected):
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        if "system" in expected and "devices" in expected:  # another machine
            return expected["system"].keys() == actual["system"].keys()
        return expected.keys() == actual.keys() and all(
            fits(each, actual[key]) for key, each in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        is_item = len(expected) == 2 and len(actual) == 5  # only number and id were kept
        return (is_item or len(expected) == len(actual)) and all(map(fits, expected, actual))
    return bool(expected == actual)
