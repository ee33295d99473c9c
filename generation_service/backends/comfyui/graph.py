"""Writing parameters into a workflow's graph, so that nothing asked for is lost in silence.

What is applied comes back with the graph, and so does what was not. Values of people never become
structure: a list from a parameter is wrapped as a literal and can be no link.
"""

from __future__ import annotations

import copy
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.errors import (
    LoraNotApplicableError,
    NodeFault,
    WorkflowInvalidError,
)
from generation_service.backends.comfyui.workflow import (
    UNSET,
    Graph,
    InputMapping,
    LoraPlace,
    OutputMapping,
    Workflow,
    graph_sha256,
    is_link,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LORAS = "loras"
RANDOM = "random"
"""A default that stands for a number drawn anew."""
FILENAME_PREFIX = "filename_prefix"
_MAX_EXACT_FLOAT = 2**53


@dataclass(frozen=True)
class BoundWorkflow:
    """A graph with its parameters, ready for any worker.

    Attributes:
        graph: To be sent, apart from unique file names.
        outputs: Where the results come from.
        applied: Every mapped parameter with the value that holds; can be written as JSON.
        warnings: What was asked for and is not used, one sentence each.
        sha256: Of `graph`.
    """

    graph: Graph
    outputs: tuple[OutputMapping, ...]
    applied: Mapping[str, Any]
    warnings: tuple[str, ...]
    sha256: str

    def graph_for(self, prompt_id: str) -> Graph:
        """The graph with file names that belong to one prompt alone.

        A name of its own makes the worker run the saving node although everything before it may
        come from its cache, and no other prompt can ever write or reuse that name.
        """
        named = dict(self.graph)
        for number, (node_id, node) in enumerate(self.graph.items(), start=1):
            if FILENAME_PREFIX in node["inputs"]:
                prefix = f"stellwerk/{prompt_id[:2]}/{prompt_id}_{number}"
                named[node_id] = {**node, "inputs": {**node["inputs"], FILENAME_PREFIX: prefix}}
        return named


def bind(
    workflow: Workflow,
    parameters: Mapping[str, Any],
    *,
    draw: Callable[[], int] = lambda: secrets.randbits(32),
) -> BoundWorkflow:
    """Write parameters into a workflow.

    Args:
        workflow: Where to.
        parameters: By name; None stands for "not given". `loras` is a list of names or of
            objects {name, strength or strength_model and strength_clip}.
        draw: Makes a number for a default of "random".

    Raises:
        LoraNotApplicableError: LoRAs were given and there is no place for them.
        WorkflowInvalidError: A LoRA is not described properly.
    """
    given = {key: value for key, value in parameters.items() if value is not None}
    graph = copy.deepcopy({node_id: dict(node) for node_id, node in workflow.graph.items()})
    applied = _write(graph, workflow.inputs, given, draw)
    if _add_loras(graph, workflow, given):
        applied[LORAS] = given[LORAS]
    return BoundWorkflow(
        graph=graph,
        outputs=workflow.outputs,
        applied=applied,
        warnings=_unused(workflow, given),
        sha256=graph_sha256(graph),
    )


def _write(
    graph: dict[str, Any],
    mappings: Sequence[InputMapping],
    given: Mapping[str, Any],
    draw: Callable[[], int],
) -> dict[str, Any]:
    """Write values where the mappings say; return those that hold, by parameter."""
    applied: dict[str, Any] = {}
    drawn: dict[str, int] = {}
    for mapping in mappings:
        inputs = graph[mapping.node_id]["inputs"]
        value = _value(mapping, given)
        if value is UNSET:
            if not is_link(inputs[mapping.input_name]):
                applied.setdefault(mapping.key, inputs[mapping.input_name])
            continue
        if value == RANDOM and value == mapping.default:
            if mapping.key not in drawn:
                drawn[mapping.key] = draw()
            value = drawn[mapping.key]
        value = _fitting(value, inputs[mapping.input_name])
        applied[mapping.key] = value
        inputs[mapping.input_name] = {"__value__": value} if isinstance(value, list) else value
    return applied


def models_of(graph: Graph) -> frozenset[str]:
    """Names of the model files that a graph loads, to find a worker that has them warm."""
    return frozenset(
        value
        for node in graph.values()
        if "Loader" in node["class_type"]
        for name, value in node["inputs"].items()
        if isinstance(value, str) and name.rstrip("0123456789").endswith("_name")
    )


def _value(mapping: InputMapping, given: Mapping[str, Any]) -> Any:
    if mapping.key in given:
        return given[mapping.key]
    if mapping.source and mapping.source in given:
        return given[mapping.source]
    return mapping.default if mapping.default is not None else UNSET


def _fitting(value: Any, before: Any) -> Any:
    """Undo what transports of JSON do to whole numbers: 64 became 64.0."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT_FLOAT
    expects_whole = isinstance(before, int) and not isinstance(before, bool)
    return int(value) if is_whole and expects_whole else value


def _unused(workflow: Workflow, given: Mapping[str, Any]) -> tuple[str, ...]:
    used = {mapping.key for mapping in workflow.inputs}
    used |= {mapping.source for mapping in workflow.inputs}
    return tuple(
        f"The parameter {key!r} is not used by this output."
        for key in sorted(given)
        if key not in used and key != LORAS
    )


def _add_loras(graph: dict[str, Any], workflow: Workflow, given: Mapping[str, Any]) -> bool:
    """Chain LoRAs in where the workflow says; True: there were some."""
    loras = given.get(LORAS)
    if not loras or any(mapping.key == LORAS for mapping in workflow.inputs):
        return False
    if workflow.lora_place is None:
        raise LoraNotApplicableError("the workflow declares no lora_place")
    if not isinstance(loras, list):
        raise WorkflowInvalidError("loras must be a list")
    chain = _LoraChain(graph, workflow.lora_place)
    for lora in loras:
        chain.add(lora)
    chain.connect()
    return True


class _LoraChain:
    """LoRA loaders one behind the other, and at last everybody who used the model."""

    def __init__(self, graph: dict[str, Any], place: LoraPlace) -> None:
        self._graph = graph
        self._place = place
        self._model = place.model
        self._clip = place.clip
        self._own: dict[str, Any] = {}

    def add(self, lora: object) -> None:
        described = {"name": lora} if isinstance(lora, str) else lora
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            raise WorkflowInvalidError("each of loras must have a name")
        strength = described.get("strength", 1.0)
        inputs: dict[str, Any] = {
            "model": list(self._model),
            "lora_name": described["name"],
            "strength_model": _strength(described.get("strength_model", strength)),
        }
        class_type = "LoraLoaderModelOnly"
        if self._clip is not None:
            class_type = "LoraLoader"
            inputs["clip"] = list(self._clip)
            inputs["strength_clip"] = _strength(described.get("strength_clip", strength))
        node_id = self._new_id()
        self._own[node_id] = {"class_type": class_type, "inputs": inputs}
        self._model = (node_id, 0)
        self._clip = None if self._clip is None else (node_id, 1)

    def connect(self) -> None:
        moved = {self._place.model: self._model}
        if self._place.clip is not None and self._clip is not None:
            moved[self._place.clip] = self._clip
        users = 0
        for node in self._graph.values():
            for name, value in node["inputs"].items():
                if is_link(value) and (value[0], value[1]) in moved:
                    node["inputs"][name] = list(moved[value[0], value[1]])
                    users += 1
        if not users:
            fault = NodeFault(self._place.model[0], "", "", "Nothing uses this model.")
            raise LoraNotApplicableError(faults=[fault])
        self._graph.update(self._own)

    def _new_id(self) -> str:
        number = len(self._own) + 1
        while (node_id := f"lora_{number}") in self._graph or node_id in self._own:
            number += 1
        return node_id


def _strength(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WorkflowInvalidError("the strength of a LoRA must be a number")
    return float(value)
