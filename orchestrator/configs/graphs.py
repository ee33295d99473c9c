"""What is wrong with a workflow as far as it shows without a worker.

ComfyUI finds some of this only when the graph runs, and some of it never: a node without `inputs`
stops its worker for good. So an author hears it when the file is loaded, with the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.configs.hints import did_you_mean, one_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator

    from orchestrator.configs.documents import Document
    from orchestrator.configs.faults import Fault
    from orchestrator.configs.positions import Path

    Graph = dict[str, dict[str, Any]]

_GRAPH = "graph"
_NAMES = ("node_id", "title", "class_type")
MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".gguf", ".pt", ".pth", ".bin")
_ALLOW_HINT = "An admin may add it to node_classes.json or COMFYUI_NODE_CLASSES."
_WRAP_HINT = 'Write a link as ["<node id>", 0], and a literal list as {"__value__": […]}.'


def editor_format_fault(document: Document) -> Fault | None:
    """Find a graph saved in the editor's own format, before the schema finds a hundred faults."""
    graph = document.data.get(_GRAPH) if isinstance(document.data, dict) else None
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        message = "This graph is in the editor's own format."
        hint = "In ComfyUI choose Workflow, Export (API), and put that file's content here."
        return document.fault((_GRAPH,), message, hint)
    return None


def graph_faults(document: Document, allowed: Collection[str]) -> Iterator[Fault]:
    """Find faults of the graph itself in a document that fits its schema.

    Args:
        document: A workflow's.
        allowed: Node classes that may be used; empty: not known, since their file is faulty.
    """
    graph: Graph = document.data[_GRAPH]
    for node_id, node in graph.items():
        at: Path = (_GRAPH, node_id)
        class_type = node["class_type"]
        if allowed and class_type not in allowed:
            hint = did_you_mean(class_type, allowed) or _ALLOW_HINT
            message = f"The node class {class_type} is not allowed."
            yield document.fault((*at, "class_type"), message, hint)
        for name, value in node["inputs"].items():
            yield from _input_faults(document, (*at, "inputs", name), value, graph)
    if (node_in_circle := _node_in_circle(graph)) is not None:
        message = "The links of this node lead in a circle."
        yield document.fault((_GRAPH, node_in_circle), message, at_key=True)


def _input_faults(document: Document, at: Path, value: Any, graph: Graph) -> Iterator[Fault]:
    if value is None:
        yield document.fault(at, "null is no value for an input.", "Leave the input out.")
    if not isinstance(value, list):
        return
    if not is_link(value):
        if len(value) == 2 and isinstance(value[0], int):
            message = "The id of a node is a text."
            yield document.fault(at, message, f'Write ["{value[0]}", {value[1]}].')
        else:
            yield document.fault(at, "This list is no link.", _WRAP_HINT)
    elif value[0] not in graph:
        hint = did_you_mean(value[0], graph) or one_of(graph)
        yield document.fault(at, f'The link leads to a node "{value[0]}" that is not there.', hint)


def is_link(value: object) -> bool:
    """Return whether an input's value is a link: `["<node id>", <number of the output>]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
        and value[1] >= 0
    )


def _node_in_circle(graph: Graph) -> str | None:
    """Return a node whose inputs come from itself in the end, or None."""
    waiting = {id_: _sources(node) & graph.keys() for id_, node in graph.items()}
    while ready := [id_ for id_, sources in waiting.items() if not sources]:
        for id_ in ready:
            del waiting[id_]
        for sources in waiting.values():
            sources.difference_update(ready)
    # What is left is in a circle or behind one; going back from it ends up inside.
    seen: set[str] = set()
    node_id = next(iter(waiting), None)
    while node_id is not None and node_id not in seen:
        seen.add(node_id)
        node_id = min(waiting[node_id])
    return node_id


def _sources(node: dict[str, Any]) -> set[str]:
    return {value[0] for value in node["inputs"].values() if is_link(value)}


def mapping_faults(document: Document) -> Iterator[Fault]:
    """Find mappings and places that name what the graph does not have."""
    graph: Graph = document.data[_GRAPH]
    taken: dict[tuple[str, str], str] = {}
    for key, places in document.data["input_mappings"].items():
        for path, place in _places(("input_mappings", key), places):
            node_id = yield from _found(document, path, place, graph)
            if node_id is None:
                continue
            yield from _field_faults(document, path, place["field"], graph[node_id])
            first = taken.setdefault((node_id, place["field"]), key)
            if first != key:
                yield document.fault(
                    (*path, "field"), f"{first} is written here already.", "Keep one of them."
                )
    for path, place in _places(("output_mapping",), document.data["output_mapping"]):
        yield from _found(document, path, place, graph)
    for name, place in document.data.get("lora_place", {}).items():
        yield from _lora_place_faults(document, ("lora_place", name), place, graph)


def _places(path: Path, places: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(places, list):
        yield from (((*path, index), place) for index, place in enumerate(places))
    else:
        yield path, places


def _found(
    document: Document, path: Path, place: dict[str, Any], graph: Graph
) -> Generator[Fault, None, str | None]:
    """Return the id of the one node that a place names, or None after a fault."""
    named = [name for name in _NAMES if name in place]
    if len(named) != 1:
        yield document.fault(path, "Name the node by one of node_id, title and class_type.")
        return None
    (name,) = named
    wanted = place[name]
    names = {node_id: _name_of(node_id, node, name) for node_id, node in graph.items()}
    found = [node_id for node_id, its in names.items() if its == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        message = f'{len(found)} nodes have the {name} "{wanted}": {", ".join(found)}.'
        yield document.fault((*path, name), message, "Name one by its node_id.")
    else:
        known = {its for its in names.values() if its}
        hint = did_you_mean(wanted, known) or one_of(known)
        yield document.fault((*path, name), f'No node has the {name} "{wanted}".', hint)
    return None


def _name_of(node_id: str, node: dict[str, Any], name: str) -> str:
    if name == "node_id":
        return node_id
    value = node["class_type"] if name == "class_type" else node.get("_meta", {}).get("title")
    return value if isinstance(value, str) else ""


def _lora_place_faults(
    document: Document, path: Path, place: dict[str, Any], graph: Graph
) -> Iterator[Fault]:
    node_id = yield from _found(document, path, place, graph)
    if node_id is None:
        return
    link = [node_id, place.get("slot", 0)]
    if not any(link in list(node["inputs"].values()) for node in graph.values()):
        message = f"Nothing is linked to output {link[1]} of node {node_id}."
        yield document.fault(path, message, "LoRAs put in there would change nothing.")


def _field_faults(
    document: Document, path: Path, field: str, node: dict[str, Any]
) -> Iterator[Fault]:
    name, inputs = field.removeprefix("inputs."), node["inputs"]
    at = (*path, "field")
    if name not in inputs:
        guess = did_you_mean(name, inputs) or one_of(inputs)
        hint = guess or "Write the input into the graph with some value first."
        yield document.fault(at, f'{node["class_type"]} has no input "{name}" here.', hint)
    elif isinstance(inputs[name], list):
        yield document.fault(at, "This input is linked to another node.", "Map that node's input.")


def required_model_faults(document: Document) -> Iterator[Fault]:
    """Find files that the graph loads and `requires` does not name, and the other way round."""
    listed = [entry["file"] for entry in document.data.get("requires", [])]
    loaded = {
        value: (_GRAPH, node_id, "inputs", name)
        for node_id, node in document.data[_GRAPH].items()
        for name, value in node["inputs"].items()
        if isinstance(value, str) and value.endswith(MODEL_SUFFIXES)
    }
    for file, path in loaded.items():
        if file not in listed:
            hint = "Add its folder and file, so that people know what to install."
            yield document.fault(path, f"{file} is missing in requires.", hint)
    for index, file in enumerate(listed):
        if file not in loaded:
            yield document.fault(
                ("requires", index, "file"), "The graph does not load it.", one_of(loaded)
            )
