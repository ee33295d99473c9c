"""One run of a prompt: which messages its client gets, in which order, and what history keeps."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.comfyui.graph import CachedNode, Schedule, is_link
from tests.fakes.comfyui.node import (
    Blocked,
    Context,
    DependencyCycleError,
    InterruptedRunError,
    NodeError,
    Pictures,
    Result,
    WorkerDeathError,
    pause,
)
from tests.fakes.comfyui.probe_nodes import out_of_memory
from tests.fakes.comfyui.sockets import PREVIEW_IMAGE, TEXT
from tests.fakes.comfyui.switches import RunFault

if TYPE_CHECKING:
    from tests.fakes.comfyui.prompt_queue import Item
    from tests.fakes.comfyui.worker import Worker

    Json = dict[str, Any]

HANG_POLL_SECONDS = 0.005
MEMORY_TIPS = (
    "This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before "
    "you might have accidentally set the batch_size to a large number."
)
TRACEBACK = ['  File "/comfyui/execution.py", line 496, in execute\n']


@dataclass
class Run:
    """What really happened to a prompt; kept over restarts, to prove "never twice".

    Attributes:
        prompt_id: Its id.
        number: Its place in the queue.
        client_id: Whose it was.
        outcome: "running", "execution_success", "execution_error" or "execution_interrupted";
            "running" for ever if the worker or the process died.
        executed: The nodes that ran.
        cached: The nodes that did not need to.
        files: What it wrote, as clients name it.
        loads: The models it loaded, such as "cold sd.safetensors".
    """

    prompt_id: str
    number: float
    client_id: Any
    outcome: str = "running"
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)


class Execution:
    """Runs one prompt on a worker."""

    def __init__(self, worker: Worker, item: Item, fault: RunFault | None) -> None:
        """Prepare a run.

        Args:
            worker: Whose cache, folders and sockets are used.
            item: From the queue.
            fault: What shall go wrong.
        """
        self._worker = worker
        self._hub = worker.hub
        self._fault = fault
        self.prompt_id, self._prompt, extra, self._outputs = item[1], item[2], item[3], item[4]
        self._client = extra.get("client_id")
        self._pnginfo = extra.get("extra_pnginfo")
        self._keys: dict[str, str] = {}
        self._progress: dict[str, Json] = {}
        self._messages: list[list[Any]] = []
        self._success = True
        self.record = Run(item[1], item[0], self._client)

    async def run(self) -> Json | None:
        """Run to the end.

        Returns:
            The history entry, None if there shall be no trace.

        Raises:
            WorkerDeathError: The worker dies of it.
        """
        self._hub.running_client = self._client
        self._tell("execution_start", {})
        if self._worker.switches.dead_worker:
            raise WorkerDeathError("switched off")
        try:
            self._keys = self._worker.prepare(self._prompt)
        except Exception as exc:
            raise WorkerDeathError("a node without inputs") from exc
        self.record.cached = [each for each in self._prompt if self._cached(each) is not None]
        self._tell("execution_cached", {"nodes": list(self.record.cached)})
        await self._nodes()
        await asyncio.sleep(self._worker.switches.history_delay_ms / 1000)
        self._hub.running_node = None
        if self._fault is RunFault.FILE_GONE:
            self._remove_files()
        return None if self._fault is RunFault.VANISH else self._entry()

    async def _nodes(self) -> None:
        schedule = Schedule(
            self._prompt,
            self._outputs,
            self._worker.is_output,
            lambda node_id: self._cached(node_id) is not None,
        )
        while not schedule.is_empty:
            node_id = schedule.next()
            assert node_id is not None, "validation refuses cycles"
            try:
                await self._node(node_id)
            except InterruptedRunError:
                self._success = False
                self._end("execution_interrupted", self._blame(node_id), to_all=True)
                return
            except DependencyCycleError as exc:  # found while staging: the flag stays as it was
                error = self._error(exc, "graph.DependencyCycleError", str(exc), [])
                self._end("execution_error", self._blame(node_id) | error)
                return
            except Exception as exc:
                self._success = False
                self._end("execution_error", self._blame(node_id) | self._raised(node_id, exc))
                return
            schedule.done(node_id)
            await asyncio.sleep(0)
        self._end("execution_success", {})

    async def _node(self, node_id: str) -> None:
        cached = self._cached(node_id)
        if cached is not None:
            self._tell_executed(node_id, cached.ui)
            self._set_progress(node_id, None, None)
            return
        self._set_progress(node_id, 0.0, 1.0)
        self._hub.running_node = node_id
        self._to_owner("executing", {"node": node_id, "display_node": node_id})
        result = await self._work(node_id)
        if result.ui is not None and self._fault is not RunFault.NO_OUTPUTS:
            self._tell_executed(node_id, result.ui)
        self._worker.cache.put(self._keys[node_id], self._to_cache(node_id, result))
        self._set_progress(node_id, None, None)
        self.record.executed.append(node_id)

    def _to_cache(self, node_id: str, result: Result) -> CachedNode:
        meta = {
            "node_id": node_id,
            "display_node": node_id,
            "parent_node": None,
            "real_node_id": node_id,
        }
        ui = None if self._fault is RunFault.NO_OUTPUTS else result.ui
        for value in (ui or {}).values():
            for entry in value if isinstance(value, list) else ():
                if isinstance(entry, dict) and "filename" in entry:
                    self.record.files.append(entry)
        return CachedNode(result.outputs, ui, meta)

    async def _work(self, node_id: str) -> Result:
        class_type = self._prompt[node_id]["class_type"]
        entry = self._worker.catalogue[class_type]
        inputs = self._inputs(node_id, entry)
        if any(isinstance(value, Blocked) for value in inputs.values()):
            return self._blocked(node_id, inputs, entry)
        self._worker.check_interrupt()
        switches = self._worker.switches
        await pause(switches.node_seconds.get(class_type, switches.default_node_seconds))
        if entry["output_node"] and self._fault is not None:
            await self._misbehave()
        result = await self._worker.function(class_type)(self._context(node_id, entry), inputs)
        if self._fault is RunFault.BLOCKED and entry["output_node"]:
            return self._blocked(node_id, {"any": Blocked("not today")}, entry)
        if self._fault is RunFault.NAN and result.ui is not None:
            result.ui["values"] = [float("nan"), float("inf")]
        return result

    async def _misbehave(self) -> None:
        fault = self._fault
        if fault is RunFault.FAIL:
            raise NodeError("RuntimeError", "the stand-in was asked to fail")
        if fault is RunFault.OUT_OF_MEMORY:
            raise out_of_memory()
        if fault is RunFault.STALE_SUCCESS:
            raise DependencyCycleError("Dependency cycle detected")
        if fault is RunFault.DIE:
            raise WorkerDeathError("asked to")
        if fault is RunFault.INTERRUPTED:
            raise InterruptedRunError
        if fault is RunFault.EXIT:
            self._worker.exit()
        while fault in (RunFault.DEAF, RunFault.HANG, RunFault.EXIT):
            await asyncio.sleep(HANG_POLL_SECONDS)
            if fault is RunFault.HANG:
                self._worker.check_interrupt()

    def _inputs(self, node_id: str, entry: Json) -> Json:
        known = entry["input"].get("required", {}) | entry["input"].get("optional", {})
        values: Json = {}
        for name, value in self._prompt[node_id]["inputs"].items():
            if name not in known:
                continue
            if is_link(value):
                source = self._cached(value[0])
                values[name] = source.outputs[value[1]] if source else None
            else:
                values[name] = value
        return values

    def _blocked(self, node_id: str, inputs: Json, entry: Json) -> Result:
        messages = (value.message for value in inputs.values() if isinstance(value, Blocked))
        message = next((each for each in messages if each), "")
        if message:
            data = self._blame(node_id)
            data |= {
                "exception_message": f"Execution Blocked: {message}",
                "exception_type": "ExecutionBlocked",
                "traceback": [],
                "current_inputs": [],
                "current_outputs": [],
            }
            self._to_owner("execution_error", data)
        return Result(tuple(Blocked("") for _ in entry["output"]))

    def _context(self, node_id: str, entry: Json) -> Context:
        async def progress(value: int, maximum: int, preview: tuple[str, bytes] | None) -> None:
            await self._report(node_id, value, maximum, preview)

        def send_text(text: str) -> None:
            name = node_id.encode()
            content = len(name).to_bytes(4, "big") + name + text.encode()
            self._hub.send_bytes(TEXT, content, self._client)

        worker = self._worker
        return Context(
            self.prompt_id,
            node_id,
            self._prompt[node_id]["class_type"],
            entry,
            self._prompt,
            self._pnginfo,
            worker.folders,
            worker.switches,
            progress,
            send_text,
            worker.models,
            self.record.loads,
        )

    async def _report(
        self, node_id: str, value: int, maximum: int, preview: tuple[str, bytes] | None
    ) -> None:
        if not self._worker.switches.interrupt_late:
            self._worker.check_interrupt()
        self._set_progress(node_id, value, maximum)
        with_metadata = self._hub.wants_metadata(self._client)
        if preview and with_metadata:
            self._worker.send_preview(self.prompt_id, node_id, preview, self._client)
        data = {"value": value, "max": maximum, "prompt_id": self.prompt_id, "node": node_id}
        self._hub.send("progress", data, self._client)
        if preview and not with_metadata:
            kind = (1 if preview[0] == "jpeg" else 2).to_bytes(4, "big")
            self._hub.send_bytes(PREVIEW_IMAGE, kind + preview[1], self._client)
        await asyncio.sleep(0)

    def _set_progress(self, node_id: str, value: float | None, maximum: float | None) -> None:
        """Note and send a node's progress; no value: it has finished."""
        if value is None or maximum is None:
            maximum = self._progress.get(node_id, {}).get("max", 1.0)
            value = maximum
            state = "finished"
        else:
            state = "running"
        self._progress[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self.prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        data = {"prompt_id": self.prompt_id, "nodes": dict(self._progress)}
        self._hub.send("progress_state", data, self._client)

    def _cached(self, node_id: str) -> CachedNode | None:
        return self._worker.cache.get(self._keys.get(node_id, ""))

    def _to_owner(self, kind: str, data: Json) -> None:
        if self._client is not None:
            self._hub.send(kind, data | {"prompt_id": self.prompt_id}, self._client)

    def _tell_executed(self, node_id: str, output: Json | None) -> None:
        self._to_owner("executed", {"node": node_id, "display_node": node_id, "output": output})

    def _tell(self, kind: str, data: Json, *, to_all: bool = False) -> None:
        data = {"prompt_id": self.prompt_id} | data | {"timestamp": int(time.time() * 1000)}
        self._messages.append([kind, data])
        if self._client is not None or to_all:
            self._hub.send(kind, data, self._client)

    def _end(self, kind: str, data: Json, *, to_all: bool = False) -> None:
        self.record.outcome = kind
        self._tell(kind, data, to_all=to_all)

    def _blame(self, node_id: str) -> Json:
        return {
            "prompt_id": self.prompt_id,
            "node_id": node_id,
            "node_type": self._prompt[node_id]["class_type"],
            "executed": list(self.record.executed),
        }

    def _error(self, exc: Exception, kind: str, message: str, inputs: Any) -> Json:
        return {
            "exception_message": message,
            "exception_type": kind,
            "traceback": [] if isinstance(exc, DependencyCycleError) else TRACEBACK,
            "current_inputs": inputs,
            "current_outputs": list(self._prompt),
        }

    def _raised(self, node_id: str, exc: Exception) -> Json:
        kind = exc.kind if isinstance(exc, NodeError) else type(exc).__name__
        tips = MEMORY_TIPS if "OutOfMemory" in kind else ""
        entry = self._worker.catalogue[self._prompt[node_id]["class_type"]]
        inputs: Json = {
            name: [_as_text(value)] for name, value in self._inputs(node_id, entry).items()
        }
        if entry["input"].get("hidden", {}).get("prompt") == "PROMPT":  # not the newer ["PROMPT"]
            inputs |= {"prompt": [str(self._prompt)], "extra_pnginfo": [self._pnginfo]}
        return self._error(exc, kind, f"{exc}\n{tips}", inputs)

    def _entry(self) -> Json:
        outputs: Json = {}
        meta: Json = {}
        for node_id in self._prompt:
            cached = self._cached(node_id)
            if cached is not None and cached.ui is not None:
                outputs[node_id] = cached.ui
                meta[node_id] = cached.meta
        is_good = self._success
        status = {
            "status_str": "success" if is_good else "error",
            "completed": is_good,
            "messages": self._messages,
        }
        return {"outputs": outputs, "status": status, "meta": meta}

    def _remove_files(self) -> None:
        for file in self.record.files:
            folder = self._worker.folders.base / file["type"] / file["subfolder"]
            Path(folder / file["filename"]).unlink(missing_ok=True)


def _as_text(value: Any) -> str:
    """Return an input as an error shows it: whole tensors, shortened."""
    if not isinstance(value, Pictures):
        return str(value)
    row = "[{:.4f}, {:.4f}, {:.4f}]".format(*(value.frames[0][0, 0] / 255))
    rows = ",\n          ".join([row] * 3 + ["..."] + [row] * 3)
    return f"tensor([[[{rows}]]])"
