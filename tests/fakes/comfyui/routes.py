"""The HTTP routes that have to do with prompts, and those that only tell about the server."""

from __future__ import annotations

import copy
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.comfyui.catalogue import FOLDERS, UPLOAD_INPUTS
from tests.fakes.comfyui.middlewares import JSON_KEY
from tests.fakes.comfyui.sockets import features
from tests.fakes.comfyui.validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.fakes.comfyui.folders import Folders
    from tests.fakes.comfyui.prompt_queue import PromptQueue
    from tests.fakes.comfyui.sockets import SocketHub
    from tests.fakes.comfyui.switches import Switches
    from tests.fakes.comfyui.worker import Worker

    Json = dict[str, Any]

VERSION = "0.3.64"
MEMORY = {"ram_total": 25276510208, "ram_free": 22044336128}
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


async def read_json(request: web.Request) -> Any:
    """Return the body as JSON, whatever its declared type.

    Raises:
        Exception: It is none; the answer is a 500.
    """
    request[JSON_KEY] = content = await request.json()
    return content


class PromptRoutes:
    """`/prompt`, `/queue`, `/history`, `/interrupt`, `/free`."""

    def __init__(
        self,
        switches: Switches,
        queue: PromptQueue,
        worker: Worker,
        folders: Folders,
        catalogue: Mapping[str, Json],
    ) -> None:
        """Bind the routes to a server's parts."""
        self._switches = switches
        self._queue = queue
        self._worker = worker
        self._folders = folders
        self._catalogue = catalogue

    def add_to(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Add the routes below a prefix."""
        router.add_get(f"{prefix}/prompt", self.remaining)
        router.add_post(f"{prefix}/prompt", self.post_prompt)
        router.add_get(f"{prefix}/queue", self.show_queue)
        router.add_post(f"{prefix}/queue", self.change_queue)
        router.add_get(f"{prefix}/history", self.show_history)
        router.add_post(f"{prefix}/history", self.change_history)
        router.add_get(f"{prefix}/history/{{prompt_id}}", self.show_entry)
        router.add_post(f"{prefix}/interrupt", self.interrupt)
        router.add_post(f"{prefix}/free", self.free)

    async def remaining(self, request: web.Request) -> web.Response:
        """Tell how many prompts remain."""
        return web.json_response({"exec_info": {"queue_remaining": self._queue.remaining_count}})

    async def post_prompt(self, request: web.Request) -> web.Response:
        """Validate and queue a prompt."""
        content = await read_json(request)
        number = self._queue.next_number(_object(content))
        if "prompt" not in content:
            error = {
                "type": "no_prompt",
                "message": "No prompt provided",
                "details": "No prompt provided",
                "extra_info": {},
            }
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        prompt = content["prompt"]
        prompt_id = str(content.get("prompt_id", uuid.uuid4()))
        targets = content.get("partial_execution_targets")
        verdict = validate(prompt, self._catalogue, self._folders.has, targets)
        extra = content.get("extra_data", {})
        if "client_id" in content:
            extra["client_id"] = content["client_id"]
        if verdict.error is not None:
            answer = {"error": verdict.error, "node_errors": verdict.node_errors}
            return web.json_response(answer, status=400)
        outputs = _ordered(verdict.outputs, self._switches.outputs_order)
        self._queue.put((number, prompt_id, prompt, extra, outputs))
        return web.json_response(
            {"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors}
        )

    async def show_queue(self, request: web.Request) -> web.Response:
        """Show running and pending prompts, the latter in heap order."""
        running = [self._queue.running] if self._queue.running is not None else []
        return web.json_response({"queue_running": running, "queue_pending": self._queue.pending})

    async def change_queue(self, request: web.Request) -> web.Response:
        """Delete or clear what is pending."""
        content = await read_json(request)
        if content.get("clear"):
            self._queue.clear()
        for prompt_id in content.get("delete", ()):
            self._queue.delete(prompt_id)
        return web.Response()

    async def show_history(self, request: web.Request) -> web.Response:
        """Show a page of the history."""
        items = request.query.get("max_items")
        page = self._queue.page(
            None if items is None else int(items), int(request.query.get("offset", -1))
        )
        return web.json_response(page)

    async def show_entry(self, request: web.Request) -> web.Response:
        """Show one entry, or nothing."""
        prompt_id = request.match_info["prompt_id"]
        history = self._queue.history
        return web.json_response({prompt_id: history[prompt_id]} if prompt_id in history else {})

    async def change_history(self, request: web.Request) -> web.Response:
        """Delete or clear entries."""
        content = await read_json(request)
        if content.get("clear"):
            self._queue.history.clear()
        for prompt_id in content.get("delete", ()):
            self._queue.history.pop(prompt_id, None)
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        """Interrupt what runs, or only the prompt that is named."""
        try:
            content = await read_json(request)
        except json.JSONDecodeError:
            content = {}
        self._worker.interrupt(content.get("prompt_id") or None)
        return web.Response()

    async def free(self, request: web.Request) -> web.Response:
        """Note what the worker shall forget."""
        self._queue.free(await read_json(request))
        return web.Response()


def _ordered(outputs: list[str], order: str | list[str]) -> list[str]:
    if isinstance(order, str):
        return outputs[::-1] if order == "reversed" else outputs
    return sorted(outputs, key=lambda each: order.index(each) if each in order else len(order))


def _object(content: Any) -> Json:
    """Return the body of POST /prompt for a look at its `number`; a list has none."""
    return content if isinstance(content, dict) else {}


class ServerRoutes:
    """What the server tells about itself, and the socket."""

    def __init__(
        self,
        switches: Switches,
        hub: SocketHub,
        folders: Folders,
        catalogue: Mapping[str, Json],
        models: Mapping[str, Sequence[str]],
    ) -> None:
        """Bind the routes to a server's parts."""
        self._switches = switches
        self._hub = hub
        self._folders = folders
        self._catalogue = catalogue
        self._models = models

    def add_to(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Add the routes below a prefix."""
        router.add_get(f"{prefix}/ws", self._hub.handle)
        router.add_get(f"{prefix}/system_stats", self.system_stats)
        router.add_get(f"{prefix}/features", self.features)
        router.add_get(f"{prefix}/object_info", self.object_info)
        router.add_get(f"{prefix}/object_info/{{class_type}}", self.class_info)
        router.add_get(f"{prefix}/models", self.folders)
        router.add_get(f"{prefix}/models/{{folder}}", self.models)
        router.add_get(f"{prefix}/embeddings", self.embeddings)
        router.add_get(f"{prefix}/view_metadata/{{folder}}", self.metadata)
        router.add_get(f"{prefix}/extensions", self.nothing_in_a_list)
        router.add_get(f"{prefix}/settings", self.nothing)
        router.add_get(f"{prefix}/users", self.users)
        router.add_get(f"{prefix}/internal/logs", self.logs)
        router.add_get(f"{prefix}/internal/files/{{kind}}", self.files)

    async def system_stats(self, request: web.Request) -> web.Response:
        """Tell versions and memory; says nothing about the worker thread."""
        system = {
            "os": "posix",
            **MEMORY,
            "comfyui_version": VERSION,
            "required_frontend_version": "1.27.10",
            "installed_templates_version": "0.1.95",
            "required_templates_version": "0.1.95",
            "python_version": sys.version,
            "pytorch_version": "2.13.0+cpu",
            "embedded_python": False,
            "argv": ["main.py", "--cpu"],
        }
        device = {
            "name": "cpu",
            "type": "cpu",
            "index": None,
            "vram_total": MEMORY["ram_total"],
            "vram_free": MEMORY["ram_free"],
            "torch_vram_total": MEMORY["ram_total"],
            "torch_vram_free": MEMORY["ram_free"],
        }
        return web.json_response({"system": system, "devices": [device]})

    async def features(self, request: web.Request) -> web.Response:
        """Tell what the server can do."""
        return web.json_response(features(self._switches))

    def _entry(self, class_type: str) -> Json:
        name = UPLOAD_INPUTS.get(class_type)
        if name is None:
            return self._catalogue[class_type]
        entry = copy.deepcopy(self._catalogue[class_type])
        files = sorted(path.name for path in (self._folders.base / "input").iterdir())
        specification = entry["input"]["required"][name]
        if isinstance(specification[0], list):
            is_picture = class_type.startswith("LoadImage")
            specification[0] = [
                each for each in files if not is_picture or each.lower().endswith(PICTURE_SUFFIXES)
            ]
        return entry

    async def object_info(self, request: web.Request) -> web.Response:
        """Describe all node classes."""
        return web.json_response({name: self._entry(name) for name in self._catalogue})

    async def class_info(self, request: web.Request) -> web.Response:
        """Describe one node class, or nothing."""
        name = request.match_info["class_type"]
        return web.json_response({name: self._entry(name)} if name in self._catalogue else {})

    async def folders(self, request: web.Request) -> web.Response:
        """List the folders of models."""
        return web.json_response(FOLDERS)

    async def models(self, request: web.Request) -> web.Response:
        """List the models of a folder."""
        folder = request.match_info["folder"]
        if folder not in FOLDERS:
            return web.Response(status=404)
        return web.json_response(list(self._models.get(folder, ())))

    async def embeddings(self, request: web.Request) -> web.Response:
        """List embeddings by name."""
        return web.json_response(
            [name.rpartition(".")[0] for name in self._models.get("embeddings", ())]
        )

    async def metadata(self, request: web.Request) -> web.Response:
        """Return what a model file says about itself."""
        names = self._models.get(request.match_info["folder"], ())
        if request.query.get("filename") not in names:
            return web.Response(status=404)
        return web.json_response({"note": "a model of the stand-in"})

    async def nothing(self, request: web.Request) -> web.Response:
        """Return an empty object."""
        return web.json_response({})

    async def nothing_in_a_list(self, request: web.Request) -> web.Response:
        """Return an empty list."""
        return web.json_response([])

    async def users(self, request: web.Request) -> web.Response:
        """Tell that there are no users."""
        return web.json_response({"storage": "server", "migrated": False})

    async def logs(self, request: web.Request) -> web.Response:
        """Return no log text."""
        return web.json_response("")

    async def files(self, request: web.Request) -> web.Response:
        """List the files of a folder."""
        kind = request.match_info["kind"]
        if kind not in ("input", "output", "temp"):
            return web.json_response({"error": "Invalid directory type"}, status=400)
        paths = (self._folders.base / kind).iterdir()
        return web.json_response(sorted(path.name for path in paths if path.is_file()))
