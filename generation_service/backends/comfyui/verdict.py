"""How a run ended, by its history entry, and whose fault a bad end is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.answers import ERROR, INTERRUPTED, SUCCESS
from generation_service.backends.comfyui.errors import (
    ComfyUIError,
    NodeFailedError,
    NodeFault,
    PromptInterruptedError,
    WorkerOutOfMemoryError,
)
from generation_service.backends.comfyui.workflow import is_link, title_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.backends.comfyui.answers import HistoryEntry
    from generation_service.backends.comfyui.workflow import Graph

_NO_MEMORY = (
    "outofmemory",
    "out of memory",
    "allocation on device",
    "can't allocate memory",
    "cannot allocate memory",
)
_SHORTEST_QUOTED_VALUE = 2


def find_failure(entry: HistoryEntry, graph: Graph) -> ComfyUIError | None:
    """Tell what went wrong; None: the run itself ended well, its outputs are another question.

    The last terminal message decides. `status_str` can be stale: a run that failed while its
    nodes were being ordered says "success".
    """
    if entry.ending == INTERRUPTED:
        return PromptInterruptedError("interrupted by somebody else")
    if entry.ending == ERROR:
        return _node_failure(entry.data, graph)
    if entry.ending == SUCCESS or entry.status_text in ("success", ""):
        return None
    return NodeFailedError(f"ended with status {entry.status_text!r} and no message")


def _node_failure(data: Mapping[str, Any], graph: Graph) -> ComfyUIError:
    kind = str(data.get("exception_type") or "")
    message = str(data.get("exception_message") or "").strip()
    node_id = str(data.get("node_id") or "")
    # Nodes of an expanded one are named after it: "3.0.0.1" is part of "3".
    node = graph.get(node_id) or graph.get(node_id.split(".", 1)[0]) or {}
    title = title_of(node)
    text = f"{kind}: {message}" if kind else message or "It raised an exception."
    fault = NodeFault(
        node_id=node_id,
        class_type=str(data.get("node_type") or node.get("class_type") or ""),
        input_name=_guilty_input(node, message),
        message=f"{text} (titled {title!r})" if title else text,
    )
    lowered = f"{kind} {message}".lower()
    if any(sign in lowered for sign in _NO_MEMORY):
        return WorkerOutOfMemoryError(faults=[fault])
    return NodeFailedError(faults=[fault])


def _guilty_input(node: Mapping[str, Any], message: str) -> str:
    """The input whose value the exception names; empty: it names none, or several."""
    inputs = node.get("inputs")
    if not isinstance(inputs, dict) or not message:
        return ""
    named = [
        name for name, value in inputs.items() if not is_link(value) and _is_named(value, message)
    ]
    named += [name for name in inputs if f"'{name}'" in message and name not in named]
    return named[0] if len(named) == 1 else ""


def _is_named(value: object, message: str) -> bool:
    return isinstance(value, str) and len(value) >= _SHORTEST_QUOTED_VALUE and value in message
