"""What a worker's answers mean: read liberally, since versions and custom nodes differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.errors import NodeFault, WorkerAnswerInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

SUCCESS = "execution_success"
ERROR = "execution_error"
INTERRUPTED = "execution_interrupted"
TERMINAL = frozenset({SUCCESS, ERROR, INTERRUPTED})
CACHED = "execution_cached"


@dataclass(frozen=True)
class Receipt:
    """A prompt was taken.

    Attributes:
        number: Its place in the worker's count; None: not told.
        faults: Outputs that will be left out, and why.
    """

    number: float | None
    faults: tuple[NodeFault, ...] = ()


@dataclass(frozen=True)
class QueueView:
    """Which prompts a worker runs and will run.

    Attributes:
        running: Ids; one at most in the versions that we know.
        pending: Ids in the order in which they will run.
    """

    running: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()

    def __contains__(self, prompt_id: object) -> bool:
        """Whether it runs or waits."""
        return prompt_id in self.running or prompt_id in self.pending

    def position(self, prompt_id: str) -> int:
        """How many run before it; 0: it runs."""
        if prompt_id in self.running:
            return 0
        return len(self.running) + self.pending.index(prompt_id)


@dataclass(frozen=True)
class HistoryEntry:
    """How a run ended: the only place that may be believed.

    Attributes:
        outputs: What each node gave, by node id.
        ending: The last terminal message; empty: there is none.
        data: What came with that message.
        status_text: `success` or `error`, which can be stale; empty: not told.
        cached_nodes: Nodes whose results came from an earlier prompt.
    """

    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ending: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    status_text: str = ""
    cached_nodes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WorkerStats:
    """A worker's word about itself.

    Attributes:
        version: Of ComfyUI; empty: not told.
        device: Name of its first device.
        vram_total_bytes: Of all its devices.
        vram_free_bytes: Of all its devices.
        writes_metadata: Files hold the whole graph and prompt, unless it was started with
            `--disable-metadata`.
    """

    version: str = ""
    device: str = ""
    vram_total_bytes: int = 0
    vram_free_bytes: int = 0
    writes_metadata: bool = True


def read_receipt(answer: Any) -> Receipt:
    """Read the reply to a prompt.

    Raises:
        WorkerAnswerInvalidError: It is none.
    """
    if not isinstance(answer, dict) or "prompt_id" not in answer:
        raise WorkerAnswerInvalidError("a reply to a prompt without prompt_id")
    return Receipt(
        number=_number(answer.get("number")),
        faults=tuple(read_node_errors(answer.get("node_errors"))),
    )


def read_queue(answer: Any) -> QueueView:
    """Read the queue; pending comes as a heap and is put into the order of running.

    Raises:
        WorkerAnswerInvalidError: It is no queue.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("queue_running"), list):
        raise WorkerAnswerInvalidError("an answer that is no queue")
    pending = [item for item in answer.get("queue_pending") or () if _is_item(item)]
    pending.sort(key=lambda item: (float(item[0]), item[1]))
    return QueueView(
        running=tuple(item[1] for item in answer["queue_running"] if _is_item(item)),
        pending=tuple(item[1] for item in pending),
    )


def _is_item(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) >= 2
        and _number(item[0]) is not None
        and isinstance(item[1], str)
    )


def read_history(answer: Any, prompt_id: str) -> HistoryEntry | None:
    """Read a history; None: the prompt is not in it.

    Raises:
        WorkerAnswerInvalidError: It is no history.
    """
    if not isinstance(answer, dict):
        raise WorkerAnswerInvalidError("an answer that is no history")
    entry = answer.get(prompt_id)
    if not isinstance(entry, dict):
        return None
    ending, data, cached = "", {}, []
    status = mapping(entry.get("status"))
    for kind, content in _messages(status):
        if kind in TERMINAL:
            ending, data = kind, content
        elif kind == CACHED and isinstance(content.get("nodes"), list):
            cached = content["nodes"]
    outputs = mapping(entry.get("outputs"))
    return HistoryEntry(
        outputs={str(node): mapping(output) for node, output in outputs.items()},
        ending=ending,
        data=data,
        status_text=str(status.get("status_str") or ""),
        cached_nodes=frozenset(map(str, cached)),
    )


def _messages(status: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    messages = status.get("messages")
    for message in messages if isinstance(messages, list) else ():
        kind, *rest = message if isinstance(message, list) and message else [message]
        if isinstance(kind, str):
            found.append((kind, mapping(rest[0] if rest else None)))
    return found


def read_stats(answer: Any) -> WorkerStats:
    """Read `/system_stats`.

    Raises:
        WorkerAnswerInvalidError: It is none.
    """
    if not isinstance(answer, dict) or "system" not in answer:
        raise WorkerAnswerInvalidError("an answer that is no system_stats")
    system = mapping(answer["system"])
    found = answer.get("devices")
    devices = [mapping(each) for each in found] if isinstance(found, list) else []
    argv = system.get("argv")
    return WorkerStats(
        version=str(system.get("comfyui_version") or ""),
        device=str(devices[0].get("name") or "") if devices else "",
        vram_total_bytes=sum(_whole(each.get("vram_total")) for each in devices),
        vram_free_bytes=sum(_whole(each.get("vram_free")) for each in devices),
        writes_metadata=not (isinstance(argv, list) and "--disable-metadata" in argv),
    )


def read_refusal(answer: Any) -> tuple[NodeFault, ...]:
    """Read what a 400 says: every fault that it names, at least one."""
    refusal = mapping(answer)
    faults = read_node_errors(refusal.get("node_errors"))
    if faults:
        return tuple(faults)
    error = mapping(refusal.get("error"))
    details = str(error.get("details") or "")
    node_id = details.split("'#", 1)[1].split("'", 1)[0] if "'#" in details else ""
    message = str(error.get("message") or "The worker refused the workflow.")
    if details and not node_id:
        message = f"{message} ({details})"
    return (NodeFault(node_id, "", "", message),)


def read_node_errors(answer: Any) -> list[NodeFault]:
    """Read `node_errors` of a refusal or receipt."""
    faults = []
    for node_id, node in mapping(answer).items():
        about = mapping(node)
        errors = about.get("errors")
        for each in errors if isinstance(errors, list) and errors else [{}]:
            error = mapping(each)
            extra = mapping(error.get("extra_info"))
            text = str(error.get("message") or "It is not valid.")
            details = str(error.get("details") or "")
            faults.append(
                NodeFault(
                    node_id=str(node_id),
                    class_type=str(about.get("class_type") or ""),
                    input_name=str(extra.get("input_name") or ""),
                    message=f"{text} ({details})" if details else text,
                )
            )
    return faults


def mapping(value: Any) -> dict[str, Any]:
    """Take a JSON object, and anything else for an empty one."""
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _whole(value: Any) -> int:
    return int(_number(value) or 0)
