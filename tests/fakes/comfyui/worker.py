"""The one worker of the server: takes a prompt, runs it, does what `/free` asked for, goes on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from tests.fakes.comfyui.catalogue import UPLOAD_INPUTS
from tests.fakes.comfyui.graph import NodeCache, cache_keys
from tests.fakes.comfyui.model_nodes import MODEL_NODES, any_node
from tests.fakes.comfyui.node import InterruptedRunError, WorkerDeathError
from tests.fakes.comfyui.picture_nodes import PICTURE_NODES
from tests.fakes.comfyui.probe_nodes import PROBE_NODES
from tests.fakes.comfyui.run import Execution
from tests.fakes.comfyui.sockets import PREVIEW_IMAGE_WITH_METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakes.comfyui.folders import Folders
    from tests.fakes.comfyui.node import Node
    from tests.fakes.comfyui.prompt_queue import Item, PromptQueue
    from tests.fakes.comfyui.run import Run
    from tests.fakes.comfyui.sockets import SocketHub
    from tests.fakes.comfyui.switches import RunFault, Switches

    Json = dict[str, Any]

NODES: dict[str, Node] = PICTURE_NODES | MODEL_NODES | PROBE_NODES
PAUSE_POLL_SECONDS = 0.005
ALWAYS_RUN = ("SaveImageWebsocket",)


class Worker:
    """Runs prompts, one at a time, until it is cancelled or dies."""

    def __init__(
        self,
        switches: Switches,
        queue: PromptQueue,
        hub: SocketHub,
        folders: Folders,
        catalogue: Mapping[str, Json],
        next_faults: deque[RunFault | None],
        on_run: Callable[[Run], None],
        on_exit: Callable[[], None],
    ) -> None:
        """Make a worker with nothing in memory.

        Args:
            switches: Of the stand-in.
            queue: Where prompts come from.
            hub: Where messages go.
            folders: Where files go.
            catalogue: `/object_info`.
            next_faults: One for each of the next runs.
            on_run: Called when a run starts and when it ends.
            on_exit: Ends the process.
        """
        self.switches = switches
        self.hub = hub
        self.folders = folders
        self.catalogue = catalogue
        self.exit = on_exit
        self.cache = NodeCache()
        self.models: OrderedDict[str, None] = OrderedDict()
        self.is_alive = True
        self.interrupted = False
        self.last_fault: RunFault | None = None
        self._queue = queue
        self._next_faults = next_faults
        self._on_run = on_run
        self._frozen_at = float("-inf")

    async def run(self) -> None:
        """Work until death."""
        try:
            while True:
                while self.switches.pause:  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE_POLL_SECONDS)
                item = self._queue.take()
                if item is not None:
                    await self._run(item)
                    await self._freeze()
                self._free()
                if item is None:
                    await self._queue.wait()
        except (WorkerDeathError, TypeError):  # TypeError: two equal (number, id) in the heap
            self.is_alive = False

    async def _run(self, item: Item) -> None:
        fault = self._next_faults.popleft() if self._next_faults else self.switches.run_fault
        self.last_fault = fault
        execution = Execution(self, item, fault)
        self._on_run(execution.record)
        if not self.switches.interrupt_hits_next:
            self.interrupted = False
        entry = await execution.run()
        self._queue.finish(entry)
        self._on_run(execution.record)
        client = self.hub.running_client
        if client is not None:
            data = {"node": None, "prompt_id": execution.prompt_id}
            self.hub.send("executing", data, client)
        await asyncio.sleep(0)

    async def _freeze(self) -> None:
        """Stand still as the garbage collection of the real server makes all of it do."""
        loop = asyncio.get_running_loop()
        is_due = loop.time() - self._frozen_at >= self.switches.freeze_every_seconds
        if self.switches.freeze_ms and is_due:
            self._frozen_at = loop.time()
            self.hub.frozen_until = loop.time() + self.switches.freeze_ms / 1000
            await asyncio.sleep(self.switches.freeze_ms / 1000)

    def _free(self) -> None:
        request = self._queue.take_free_request()
        if request.get("unload_models", request.get("free_memory")):
            self.models.clear()
        if request.get("free_memory"):
            self.cache.clear()

    def prepare(self, prompt: Json) -> dict[str, str]:
        """Return the cache keys of a prompt, and forget what it does not use.

        Raises:
            Exception: The graph is such that the real worker dies.
        """
        keys = cache_keys(prompt, self._changes)
        self.cache.keep(keys, self.switches.cache, self.switches.cache_entries)
        return keys

    def _changes(self, class_type: str, inputs: Json) -> str:
        """Return what else a node's result depends on."""
        if class_type in ALWAYS_RUN:
            return uuid.uuid4().hex
        if class_type in UPLOAD_INPUTS:
            path = self.folders.file_of(str(inputs.get(UPLOAD_INPUTS[class_type])))
            content = path.read_bytes() if path.is_file() else b""
            return hashlib.sha256(content).hexdigest()
        return ""

    def is_output(self, class_type: str) -> bool:
        """Say whether a class is an output node."""
        return bool(self.catalogue[class_type]["output_node"])

    def function(self, class_type: str) -> Node:
        """Return what runs a class."""
        return NODES.get(class_type, any_node)

    def interrupt(self, prompt_id: str | None) -> None:
        """Do what POST /interrupt does.

        Args:
            prompt_id: Only if this one runs; None: whatever runs.
        """
        running = self._queue.running
        if self.switches.interrupt_lost:
            return
        if prompt_id is None or (running is not None and running[1] == prompt_id):
            self.interrupted = True

    def check_interrupt(self) -> None:
        """Stop the run if it has been interrupted.

        Raises:
            InterruptedRunError: It has.
        """
        if self.interrupted:
            self.interrupted = False
            raise InterruptedRunError

    def send_preview(
        self, prompt_id: str, node_id: str, preview: tuple[str, bytes], client: Any
    ) -> None:
        """Send a preview with metadata."""
        metadata = {
            "node_id": node_id,
            "prompt_id": prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
            "image_type": f"image/{preview[0]}",
        }
        text = json.dumps(metadata).encode()
        content = len(text).to_bytes(4, "big") + text + preview[1]
        self.hub.send_bytes(PREVIEW_IMAGE_WITH_METADATA, content, client)
