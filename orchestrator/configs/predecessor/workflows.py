"""Output chunks: ComfyUI graphs with the places of prompt, seed and size, in our form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.configs import graphs
from orchestrator.configs.documents import Kind
from orchestrator.configs.model import MediaType, ParameterSpec
from orchestrator.configs.predecessor.reports import RefusedError
from orchestrator.configs.predecessor.values import section, texts
from orchestrator.configs.workflow import INPUT_IMAGE, Workflow

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from orchestrator.configs.predecessor.files import Source
    from orchestrator.configs.predecessor.reports import Notes
    from orchestrator.configs.values import Scalar

_MEDIA = {
    "image": (MediaType.IMAGE, "image"),
    "audio": (MediaType.AUDIO, "audio"),
    "sound": (MediaType.AUDIO, "audio"),
    "music": (MediaType.MUSIC, "audio"),
    "video": (MediaType.VIDEO, "video"),
    "3d": (MediaType.THREE_D, "3d"),
    "model": (MediaType.THREE_D, "3d"),
    "text": (MediaType.TEXT, "text"),
}
_PROMPT_NAMES = {"prompt", "text", "positive_prompt", "positive", "input_text", "previous_output"}
_OWN = {"prompt", "seed"}
_RANGES: dict[str, tuple[float, float]] = {
    "width": (16, 4096),
    "height": (16, 4096),
    "steps": (1, 200),
    "cfg": (0, 100),
    "denoise": (0, 1),
}
_CHECKPOINT = "CheckpointLoaderSimple"
_UNET = "UNETLoader"


@dataclass(frozen=True)
class OutputChunk:
    """A workflow with what an output config needs to know of it.

    Attributes:
        specs: Its parameters with their defaults; prompt, seed and pictures are not among them.
        instruction: How to fit a text to the model, by language; None: nothing is said.
    """

    workflow: Workflow
    media_type: MediaType
    specs: Mapping[str, ParameterSpec]
    instruction: Mapping[str, str] | None


def medium_of(word: Any) -> tuple[MediaType, str] | None:
    """Return our medium and the type of file behind a word for a medium, or None."""
    return _MEDIA.get(str(word).lower()) if word is not None else None


def output_chunk(source: Source, allowed: Collection[str]) -> OutputChunk:
    """Read a chunk that runs a workflow.

    Args:
        source: The file.
        allowed: Node classes that may be used.

    Raises:
        RefusedError: The graph, a mapping or the medium is missing or wrong.
    """
    data = source.data
    graph = data.get("workflow")
    if not isinstance(graph, dict) or not graph:
        raise RefusedError("There is no workflow: it must be a graph in ComfyUI's API format.")
    medium = _medium(data)
    ours: dict[str, Any] = {
        "graph": {str(id_): _node(id_, node) for id_, node in graph.items()},
        "input_mappings": _input_mappings(data.get("input_mappings"), source.notes),
        "output_mapping": _output_mappings(data.get("output_mapping"), medium[1]),
    }
    if place := _lora_place(ours["graph"]):
        ours["lora_place"] = place
    document = replace(source.document, kind=Kind.WORKFLOW, id=source.id, data=ours)
    if isinstance(graph.get("nodes"), list):
        raise RefusedError(
            "The workflow is in the editor's own format. In ComfyUI choose Workflow, Export (API)."
        )
    faults = [*graphs.graph_faults(document, allowed), *graphs.mapping_faults(document)]
    if faults:
        told = (f"{each.field}: {each.message} {each.hint}".rstrip() for each in faults[:10])
        raise RefusedError(" ".join(told))
    try:
        workflow = Workflow.model_validate(
            {**ours, "id": f"chunks/{source.id}", "experimental": True}
        )
    except ValidationError as exc:
        raise RefusedError(f"The workflow cannot be read: {exc.errors()[0]['msg']}.") from exc
    return OutputChunk(workflow, medium[0], _specs(ours), instruction_of(data, source.notes))


def instruction_of(data: Mapping[str, Any], notes: Notes) -> Mapping[str, str] | None:
    """Return how to fit a text to the model, by language, or None."""
    found = section(dict(data), "meta").get("optimization_instruction")
    return texts(found, notes, "meta.optimization_instruction")


def _medium(data: Mapping[str, Any]) -> tuple[MediaType, str]:
    mapping = data.get("output_mapping")
    first = mapping[0] if isinstance(mapping, list) and mapping else mapping
    told = first.get("output_type") if isinstance(first, dict) else None
    for word in (data.get("media_type"), told):
        if found := medium_of(word):
            return found
    raise RefusedError("It does not say which medium comes out: set output_mapping.output_type.")


def _node(node_id: Any, node: Any) -> dict[str, Any]:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        raise RefusedError(f"Node {node_id} of the workflow has no class_type.")
    inputs = node.get("inputs", {})
    if not isinstance(inputs, dict):
        raise RefusedError(f"The inputs of node {node_id} of the workflow are no object.")
    meta = {"_meta": node["_meta"]} if isinstance(node.get("_meta"), dict) else {}
    return {"class_type": node["class_type"], "inputs": inputs, **meta}


def _input_mappings(value: Any, notes: Notes) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for key, places in (value if isinstance(value, dict) else {}).items():
        for place in places if isinstance(places, list) else [places]:
            if not isinstance(place, dict) or "node_id" not in place:
                notes.add(f"input_mappings.{key}: it names no node_id, and was left out.")
                continue
            name, mapping = _input_mapping(key, place)
            found.setdefault(name, []).append(mapping)
    if "prompt" not in found:
        notes.add("input_mappings: the prompt has no place in this workflow.")
    return found


def _input_mapping(key: str, place: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read one place; the name under which its value comes is the key's or the source's."""
    name = key.lower()
    source = str(place.get("source") or "").strip("{} ").lower()
    if name in _PROMPT_NAMES or source in _PROMPT_NAMES:
        name = "prompt"
    field = str(place.get("field", key))
    field = field if field.startswith("inputs.") else f"inputs.{field}"
    mapping: dict[str, Any] = {"node_id": str(place["node_id"]), "field": field}
    default = place.get("default")
    is_value = isinstance(default, bool | int | float) or (
        isinstance(default, str) and "{{" not in default
    )
    if is_value and name not in _OWN:
        mapping["default"] = default
    return name, mapping


def _output_mappings(value: Any, file_type: str) -> list[dict[str, Any]]:
    found = []
    for place in value if isinstance(value, list) else [value]:
        if not isinstance(place, dict) or "node_id" not in place:
            raise RefusedError("output_mapping must name the node_id whose files are the result.")
        medium = medium_of(place.get("output_type"))
        mapping = {
            "node_id": str(place["node_id"]),
            "output_type": medium[1] if medium else file_type,
        }
        if isinstance(place.get("format"), str) and place["format"].isalnum():
            mapping["format"] = place["format"].lower()
        found.append(mapping)
    return found


def _lora_place(graph: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the one node that gives the model: LoRAs go behind it."""
    for class_type, with_clip in ((_CHECKPOINT, True), (_UNET, False)):
        nodes = [id_ for id_, node in graph.items() if node["class_type"] == class_type]
        if len(nodes) == 1:
            clip = {"clip": {"node_id": nodes[0], "slot": 1}} if with_clip else {}
            return {"model": {"node_id": nodes[0], "slot": 0}, **clip}
    return None


def _specs(ours: Mapping[str, Any]) -> dict[str, ParameterSpec]:
    """Declare what callers may set, by the values that are there."""
    found = {}
    for name, places in ours["input_mappings"].items():
        if name in _OWN or INPUT_IMAGE.fullmatch(name):
            continue
        node = ours["graph"].get(places[0]["node_id"], {"inputs": {}})
        value = places[0].get("default", node["inputs"].get(places[0]["field"][len("inputs.") :]))
        if (spec := spec_for(name, value)) is not None:
            found[name] = spec
    return found


def spec_for(name: str, value: Any) -> ParameterSpec | None:
    """Declare a parameter by its value; None: a link or nothing, so nobody can set it."""
    kinds: dict[type, Any] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    if type(value) not in kinds:
        return None
    kind = "number" if name in {"cfg", "denoise"} and type(value) is int else kinds[type(value)]
    low, high = _RANGES.get(name, (None, None)) if kind in {"integer", "number"} else (None, None)
    default: Scalar = value
    return ParameterSpec(type=kind, default=default, minimum=low, maximum=high)
