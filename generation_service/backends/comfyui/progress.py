"""How far a prompt is, as one number, and in which phase.

The server tells about the node that runs. A sampler takes most of the time and a loader much of
it, so nodes weigh by what their class does; a node that reports steps counts by its steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.backends.comfyui.mailbox import Mailbox

_WEIGHTS = (
    ("Sampler", 20.0),
    ("Loader", 4.0),
    ("Decode", 3.0),
    ("Encode", 2.0),
    ("Save", 1.0),
)
_OTHER_WEIGHT = 1.0
_FINISHED = "finished"


class ProgressMeter:
    """Turns what a mailbox holds into percent; never goes back."""

    def __init__(self, graph: Mapping[str, Mapping[str, Any]]) -> None:
        """Weigh the nodes of a graph."""
        self._graph = graph
        self._weights = {
            node_id: _weight(str(node.get("class_type"))) for node_id, node in graph.items()
        }
        self._loaders = frozenset(
            node_id for node_id, node in graph.items() if is_loader(str(node.get("class_type")))
        )
        self._percent = 0.0

    def percent(self, box: Mailbox) -> float:
        """From 0 to 100; 100 only when nothing is left to run."""
        skipped = box.cached_nodes
        total = sum(w for node_id, w in self._weights.items() if node_id not in skipped)
        if total <= 0:
            return self._percent
        done = sum(
            weight * _share(box, node_id)
            for node_id, weight in self._weights.items()
            if node_id not in skipped
        )
        self._percent = max(self._percent, min(100.0, 100.0 * done / total))
        return self._percent

    def is_loading(self, box: Mailbox) -> bool:
        """Whether models are still being loaded: no step was made, and a loader is not done."""
        if box.steps is not None:
            return False
        waiting = self._loaders - box.cached_nodes
        return any(_share(box, node_id) < 1.0 for node_id in waiting)

    def node_name(self, node_id: str) -> str:
        """The node's title, else its class, else what the server calls it."""
        # Nodes of an expanded one are named after it: "3.0.0.1" is part of "3".
        node = self._graph.get(node_id) or self._graph.get(node_id.split(".", 1)[0])
        if node is None:
            return node_id
        meta = node.get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        return str(title or node.get("class_type") or node_id)


def is_loader(class_type: str) -> bool:
    """Whether nodes of this class read models from a disk."""
    return "Loader" in class_type


def _weight(class_type: str) -> float:
    return next((weight for word, weight in _WEIGHTS if word in class_type), _OTHER_WEIGHT)


def _share(box: Mailbox, node_id: str) -> float:
    """How much of a node is done, from 0 to 1."""
    state = box.node_states.get(node_id)
    share = 0.0
    if isinstance(state, dict):
        if state.get("state") == _FINISHED:
            return 1.0
        share = _ratio(state.get("value"), state.get("max"))
    if box.steps is not None and box.steps[0] == node_id:
        share = max(share, _ratio(box.steps[1], box.steps[2]))
    return share


def _ratio(value: Any, most: Any) -> float:
    numbers = isinstance(value, (int, float)) and isinstance(most, (int, float))
    return min(1.0, max(0.0, value / most)) if numbers and most > 0 else 0.0
