"""A workflow chunk: a graph, which parameters go where, and which nodes make the result.

Everything that can be known without a worker is checked here, when the chunk is loaded. Some of
it is not pedantry: a node without `inputs` kills the worker's thread for good.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from generation_service.backends.comfyui.errors import NodeFault, WorkflowInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Graph: TypeAlias = "Mapping[str, Mapping[str, Any]]"
"""Nodes by id, in the server's API format."""

_FIELD_PREFIX = "inputs."
_CLOSE_NAMES = 3


class Unset:
    """Tells an absent default from None."""


UNSET = Unset()


@dataclass(frozen=True)
class InputMapping:
    """One place that a parameter is written to.

    Attributes:
        key: Name of the parameter.
        node_id: The node.
        input_name: Its input.
        default: Used when the parameter is not given; UNSET: the graph's own value stays.
        source: Another name under which the value may be given; empty: none.
    """

    key: str
    node_id: str
    input_name: str
    default: Any = UNSET
    source: str = ""


@dataclass(frozen=True)
class OutputMapping:
    """One node whose output is a result.

    Attributes:
        node_id: The node.
        output_type: `image`, `audio`, `video`, `model3d` or `text`; empty: any files.
        format: File extension that is wanted; empty: any.
    """

    node_id: str
    output_type: str = ""
    format: str = ""


@dataclass(frozen=True)
class LoraPlace:
    """Where LoRAs are chained in: behind the outputs of a loader, before all who use them.

    Attributes:
        model: Node id and output slot of the model.
        clip: The same of the text encoder; None: LoRAs change the model only.
    """

    model: tuple[str, int]
    clip: tuple[str, int] | None = None


@dataclass(frozen=True)
class Workflow:
    """A chunk that has passed every check which needs no worker.

    Attributes:
        graph: As the chunk holds it.
        inputs: Where parameters go.
        outputs: Where results come from, at least one.
        lora_place: None: it takes no LoRAs.
    """

    graph: Graph
    inputs: tuple[InputMapping, ...]
    outputs: tuple[OutputMapping, ...]
    lora_place: LoraPlace | None = None

    @property
    def sha256(self) -> str:
        """Of the graph without any parameters."""
        return graph_sha256(self.graph)


def graph_sha256(graph: Graph) -> str:
    """Hash a graph so that order and spacing do not matter."""
    text = json.dumps(graph, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def load_workflow(chunk: Mapping[str, Any]) -> Workflow:
    """Read the `workflow`, `input_mappings`, `output_mapping` and `lora_place` of a chunk.

    Raises:
        WorkflowInvalidError: With every fault at once.
    """
    graph = chunk.get("workflow")
    faults = list(graph_faults(graph))
    if faults or not isinstance(graph, dict):
        raise WorkflowInvalidError(faults=faults)
    reader = _ChunkReader(graph)
    inputs = tuple(reader.inputs(chunk.get("input_mappings") or {}))
    outputs = tuple(reader.outputs(chunk.get("output_mapping")))
    place = reader.lora_place(chunk.get("lora_place"))
    if reader.faults:
        raise WorkflowInvalidError(faults=reader.faults)
    return Workflow(graph=graph, inputs=inputs, outputs=outputs, lora_place=place)


def graph_faults(graph: object) -> Iterator[NodeFault]:
    """Find what is wrong with the form of a graph, whatever the worker knows."""
    if not isinstance(graph, dict) or not graph:
        yield NodeFault("", "", "", "There is no graph.")
        return
    if isinstance(graph.get("nodes"), list):
        hint = "Export it again with 'Export (API)'."
        yield NodeFault("", "", "", "This is the editor's own save format.", hint)
        return
    for node_id, node in graph.items():
        yield from _node_faults(graph, str(node_id), node)


def _node_faults(graph: Mapping[str, Any], node_id: str, node: object) -> Iterator[NodeFault]:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        yield NodeFault(node_id, "", "", "A node must have a class_type.")
        return
    class_type = node["class_type"]
    if not isinstance(node.get("inputs"), dict):
        yield NodeFault(node_id, class_type, "", "A node must have inputs, even if empty: {}.")
        return
    for name, value in node["inputs"].items():
        if not isinstance(value, list):
            continue
        if not is_link(value):
            hint = 'Write a literal list as {"__value__": […]}, a link as ["node id", slot].'
            yield NodeFault(node_id, class_type, str(name), "A list that is no link.", hint)
        elif value[0] not in graph:
            text = f"It is linked to node {value[0]!r}, which does not exist."
            yield NodeFault(node_id, class_type, str(name), text)


def is_link(value: object) -> bool:
    """Whether a value is `[node id, output slot]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
        and value[1] >= 0
    )


class _ChunkReader:
    """Reads the mappings of a chunk and collects their faults."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.faults: list[NodeFault] = []

    def inputs(self, mappings: object) -> Iterator[InputMapping]:
        if not isinstance(mappings, dict):
            self._fault("input_mappings must be an object.")
            return
        for key, places in mappings.items():
            for place in places if isinstance(places, list) else [places]:
                mapping = self._input(str(key), place)
                if mapping is not None:
                    yield mapping

    def _input(self, key: str, place: object) -> InputMapping | None:
        node_id = self._find(f"Input mapping {key!r}", place)
        if node_id is None or not isinstance(place, dict):
            return None
        field = str(place.get("field") or "")
        name = field.removeprefix(_FIELD_PREFIX)
        inputs = self._graph[node_id]["inputs"]
        if not field.startswith(_FIELD_PREFIX) or name not in inputs:
            self._fault(
                f"Input mapping {key!r} names the field {field!r}, which the node does not have.",
                node_id=node_id,
                hint=_did_you_mean(name, [_FIELD_PREFIX + known for known in inputs]),
            )
            return None
        return InputMapping(
            key=key,
            node_id=node_id,
            input_name=name,
            default=place.get("default", UNSET),
            source=_source(place.get("source")),
        )

    def outputs(self, mappings: object) -> Iterator[OutputMapping]:
        listed = mappings if isinstance(mappings, list) else [mappings]
        if not mappings:
            self._fault("output_mapping must name the node that makes the result.")
            return
        for place in listed:
            node_id = self._find("The output mapping", place)
            if node_id is not None and isinstance(place, dict):
                yield OutputMapping(
                    node_id=node_id,
                    output_type=str(place.get("output_type") or ""),
                    format=str(place.get("format") or "").lower().removeprefix("."),
                )

    def lora_place(self, place: object) -> LoraPlace | None:
        if place is None:
            return None
        if not isinstance(place, dict) or "model" not in place:
            self._fault("lora_place must say where the model comes from.")
            return None
        model = self._slot("model", place["model"])
        clip = self._slot("clip", place["clip"]) if place.get("clip") is not None else None
        return LoraPlace(model, clip) if model is not None else None

    def _slot(self, what: str, place: object) -> tuple[str, int] | None:
        node_id = self._find(f"lora_place.{what}", place)
        if node_id is None or not isinstance(place, dict):
            return None
        slot = place.get("slot", 0)
        if not isinstance(slot, int) or slot < 0:
            self._fault(f"lora_place.{what} needs an output slot.", node_id=node_id)
            return None
        return node_id, slot

    def _find(self, what: str, place: object) -> str | None:
        """Find the one node that is meant by id, title or class."""
        if not isinstance(place, dict):
            self._fault(f"{what} must be an object.")
            return None
        if place.get("node_id") is not None:
            node_id = str(place["node_id"])
            if node_id in self._graph:
                return node_id
            self._fault(f"{what} names node {node_id!r}, which does not exist.")
            return None
        return self._search(what, place)

    def _search(self, what: str, place: Mapping[str, Any]) -> str | None:
        title, class_type = place.get("title"), place.get("class_type")
        found = [
            node_id
            for node_id, node in self._graph.items()
            if (title is None or title_of(node) == title)
            and (class_type is None or node["class_type"] == class_type)
        ]
        wanted = repr(title if title is not None else class_type)
        if title is None and class_type is None:
            self._fault(f"{what} must name a node by node_id, title or class_type.")
        elif not found:
            self._fault(f"{what} names {wanted}, and no node is called so.")
        elif len(found) > 1:
            self._fault(f"{what} names {wanted}, which fits the nodes {', '.join(found)}.")
        else:
            return found[0]
        return None

    def _fault(self, message: str, *, node_id: str = "", hint: str = "") -> None:
        class_type = self._graph[node_id]["class_type"] if node_id else ""
        self.faults.append(NodeFault(node_id, class_type, "", message, hint))


def title_of(node: Mapping[str, Any]) -> str:
    """The title that the author gave a node; empty: none."""
    meta = node.get("_meta")
    return str(meta.get("title") or "") if isinstance(meta, dict) else ""


def _source(value: object) -> str:
    """The parameter that `source` means: a plain name, or a placeholder of older files."""
    name = str(value or "").strip().removeprefix("{{").removesuffix("}}").strip()
    if name in ("PREVIOUS_OUTPUT", "INPUT_TEXT"):
        return "prompt"
    return name.lower() if name.isupper() else name


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(_FIELD_PREFIX + name, known, n=_CLOSE_NAMES, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else ""
