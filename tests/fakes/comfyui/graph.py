"""What a prompt's graph means for the worker: cache keys of nodes, and the order they run in."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = dict[str, Any]


def is_link(value: Any) -> bool:
    """Say whether an input is a link to another node's output."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
    )


def cache_keys(prompt: Mapping[str, Json], changes: Callable[[str, Json], str]) -> dict[str, str]:
    """Return the cache key of every node: class, inputs, ancestors, files; not the node's id.

    Args:
        prompt: The graph.
        changes: Returns what else a node depends on, such as the bytes of a file.

    Raises:
        Exception: A node has no `inputs` object; the real worker dies of it.
    """
    keys: dict[str, str] = {}
    for node_id, node in prompt.items():
        node["inputs"].items()  # a missing or wrong one ends the worker, connected or not
        _key(prompt, node_id, changes, keys, set())
    return keys


def _key(
    prompt: Mapping[str, Json],
    node_id: str,
    changes: Callable[[str, Json], str],
    keys: dict[str, str],
    open_nodes: set[str],
) -> str:
    if node_id in keys:
        return keys[node_id]
    if node_id not in prompt or node_id in open_nodes:
        return uuid.uuid4().hex  # equal to nothing
    node = prompt[node_id]
    inputs: list[Any] = []
    for name, value in sorted(node["inputs"].items()):
        if is_link(value):
            parent = _key(prompt, value[0], changes, keys, open_nodes | {node_id})
            inputs.append([name, "link", parent, value[1]])
        else:
            inputs.append([name, value])
    text = json.dumps([node["class_type"], changes(node["class_type"], node["inputs"]), inputs])
    keys[node_id] = hashlib.sha256(text.encode()).hexdigest()
    return keys[node_id]


@dataclass
class CachedNode:
    """What a node gave when it last ran.

    Attributes:
        outputs: The values on its slots.
        ui: What it showed; None if nothing.
        meta: Which node that was, possibly one of an earlier prompt.
    """

    outputs: tuple[Any, ...]
    ui: Json | None
    meta: Json


class NodeCache:
    """The results that the worker still has, by cache key; one for all clients."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: OrderedDict[str, CachedNode] = OrderedDict()

    def keep(self, keys: Mapping[str, str], kind: str, entry_count: int) -> None:
        """Forget what the coming prompt does not use.

        Args:
            keys: Of the coming prompt.
            kind: "classic", "lru" or "none".
            entry_count: How many of others "lru" keeps.
        """
        wanted = set(keys.values()) if kind != "none" else set()
        for key in [each for each in self._entries if each in wanted]:
            self._entries.move_to_end(key)
        others = [each for each in self._entries if each not in wanted]
        for key in others[: max(0, len(others) - entry_count)] if kind == "lru" else others:
            del self._entries[key]

    def get(self, key: str) -> CachedNode | None:
        """Return a result, or None."""
        return self._entries.get(key)

    def put(self, key: str, node: CachedNode) -> None:
        """Keep a result."""
        self._entries[key] = node

    def clear(self) -> None:
        """Forget all, as `/free` with `free_memory` does."""
        self._entries.clear()


class Schedule:
    """The nodes of a run that still have to run, and which one is next.

    The next one is an output node if any is ready; else one that an output waits for, directly or
    at one remove; else the first.
    """

    def __init__(
        self,
        prompt: Mapping[str, Json],
        outputs: list[str],
        is_output: Callable[[str], bool],
        is_cached: Callable[[str], bool],
    ) -> None:
        """Plan a run.

        Args:
            prompt: The graph.
            outputs: The output nodes to run.
            is_output: Says whether a class is an output node.
            is_cached: Says whether a node need not run.
        """
        self._prompt = prompt
        self._is_output = is_output
        self._waits_for: dict[str, set[str]] = {}
        self._blocks: dict[str, list[str]] = {}
        for output in outputs:
            self._add(output, is_cached)

    def _add(self, output: str, is_cached: Callable[[str], bool]) -> None:
        stack = [output]
        while stack:
            node_id = stack.pop()
            if node_id in self._waits_for:
                continue
            waits = self._waits_for[node_id] = set()
            for value in self._prompt[node_id]["inputs"].values():
                if is_link(value) and not is_cached(value[0]):
                    stack.append(value[0])
                    waits.add(value[0])
                    self._blocks.setdefault(value[0], []).append(node_id)

    @property
    def is_empty(self) -> bool:
        """Whether all have run."""
        return not self._waits_for

    def next(self) -> str | None:
        """Return the node to run now; None if those left wait for each other."""
        ready = [node_id for node_id, waits in self._waits_for.items() if not waits]
        if not ready:
            return None
        for distance in range(3):
            for node_id in ready:
                if self._leads_to_output(node_id, distance):
                    return node_id
        return ready[0]

    def _leads_to_output(self, node_id: str, distance: int) -> bool:
        if distance == 0:
            return self._is_output(self._prompt[node_id]["class_type"])
        waiting = [each for each in self._blocks.get(node_id, ()) if each in self._waits_for]
        return any(self._leads_to_output(each, distance - 1) for each in waiting)

    def done(self, node_id: str) -> None:
        """Take a node off the list."""
        del self._waits_for[node_id]
        for waiting in self._blocks.get(node_id, ()):
            self._waits_for.get(waiting, set()).discard(node_id)
