"""Where everything came from, as a graph: from any output back to the idea.

A layered drawing: what comes later stands further right, outputs get rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.pages.look_view import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

WIDTH, HEIGHT = 176, 62
GAP_X, GAP_Y = 44, 18
MOST_NODES = 200
_HIDDEN = frozenset({"verdict", "fault"})


@dataclass(frozen=True)
class Node:
    """An item in the drawing.

    Attributes:
        item: The item.
        x: Left edge.
        y: Upper edge.
        words: The beginning of its text.
    """

    item: Json
    x: int
    y: int
    words: str


@dataclass(frozen=True)
class Graph:
    """The drawing.

    Attributes:
        nodes: The items.
        edges: Paths from an item to the one that was made of it.
        width: Of the whole.
        height: Of the whole.
    """

    nodes: list[Node]
    edges: list[str]
    width: int
    height: int


def graph(items: Sequence[Json]) -> Graph:
    """Draw items that something was made of, or that were made."""
    shown = [item for item in items if kind_of(item["item_type"]) not in (None, *_HIDDEN)]
    shown = shown[:MOST_NODES]
    parents = _parents(shown)
    columns: dict[str, int] = {}
    for item in shown:
        of = parents[item["item_id"]]
        columns[item["item_id"]] = max((columns[parent] + 1 for parent in of), default=0)
    nodes = _placed(shown, columns)
    by_id = {node.item["item_id"]: node for node in nodes}
    edges = [
        _edge(by_id[parent], by_id[child]) for child, found in parents.items() for parent in found
    ]
    width = max((node.x for node in nodes), default=0) + WIDTH
    height = max((node.y for node in nodes), default=0) + HEIGHT
    return Graph(nodes, edges, width, height)


def _parents(items: Sequence[Json]) -> dict[str, list[str]]:
    """What each was made of: what it names, else the newest text of its output or the whole."""
    found: dict[str, list[str]] = {}
    inputs: list[str] = []
    newest: dict[int, str] = {}
    for item in items:
        item_id, number = item["item_id"], item.get("loop_iteration", 0)
        kind = kind_of(item["item_type"])
        named = item.get("metadata", {}).get("of_item")
        if kind == "input":
            found[item_id] = []
            inputs.append(item_id)
            continue
        if named in found:
            found[item_id] = [named]
        else:
            before = newest.get(number) or newest.get(0)
            found[item_id] = [before] if before else list(inputs)
        if kind in ("edit", "pass", "text"):
            newest[number] = item_id
    return found


def _placed(items: Sequence[Json], columns: dict[str, int]) -> list[Node]:
    taken: set[tuple[int, int]] = set()
    nodes = []
    for item in items:
        column = columns[item["item_id"]]
        row = max(0, item.get("loop_iteration", 1) - 1)
        while (column, row) in taken:
            row += 1
        taken.add((column, row))
        words = " ".join(item.get("content", "").split())
        nodes.append(Node(item, column * (WIDTH + GAP_X), row * (HEIGHT + GAP_Y), words[:60]))
    return nodes


def _edge(older: Node, newer: Node) -> str:
    x, y = older.x + WIDTH, older.y + HEIGHT // 2
    to_x, to_y = newer.x, newer.y + HEIGHT // 2
    bend = max(12, (to_x - x) // 2)
    return f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
