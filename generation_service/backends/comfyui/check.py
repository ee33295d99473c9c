"""Holding a workflow against a worker's nodes before anybody waits for it.

The server checks less and later than an author needs: unreached nodes never, choices of the newer
form only when the node runs, and of several faults often one. Here all of them come at once.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.catalogue import ANY, COMBO
from generation_service.backends.comfyui.errors import NodeFault
from generation_service.backends.comfyui.workflow import graph_faults, is_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from generation_service.backends.comfyui.catalogue import InputSpec, NodeCatalogue, NodeClass
    from generation_service.backends.comfyui.graph import BoundWorkflow
    from generation_service.backends.comfyui.workflow import Graph

_SHOWN_CHOICES = 8
_MODEL_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft")


@dataclass
class CheckReport:
    """What a check found.

    Attributes:
        faults: The worker cannot run it.
        warnings: It can, and something is probably not meant so.
        missing_classes: Node classes that the worker lacks.
        missing_models: Model and LoRA files that the worker lacks.
    """

    faults: list[NodeFault] = field(default_factory=list)
    warnings: list[NodeFault] = field(default_factory=list)
    missing_classes: set[str] = field(default_factory=set)
    missing_models: set[str] = field(default_factory=set)

    @property
    def is_fine(self) -> bool:
        """Whether the worker can run it."""
        return not self.faults


def check_workflow(
    workflow: BoundWorkflow,
    catalogue: NodeCatalogue,
    *,
    allowed_classes: Iterable[str] | None = None,
) -> CheckReport:
    """Hold a workflow against a worker.

    Args:
        workflow: With the parameters to check, such as the defaults.
        catalogue: The worker's nodes.
        allowed_classes: Node classes that a workflow may use; None: all.

    Returns:
        Every fault at once.
    """
    report = CheckReport(faults=list(graph_faults(workflow.graph)))
    if report.faults:
        return report
    checker = _Checker(workflow.graph, catalogue, report)
    checker.classes(None if allowed_classes is None else frozenset(allowed_classes))
    checker.outputs([mapping.node_id for mapping in workflow.outputs])
    for node_id in checker.reached():
        checker.node(node_id)
    return report


class _Checker:
    def __init__(self, graph: Graph, catalogue: NodeCatalogue, report: CheckReport) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._report = report

    def classes(self, allowed: frozenset[str] | None) -> None:
        """Also of nodes that nothing reaches: the server refuses the graph because of them."""
        for node_id, node in self._graph.items():
            name = node["class_type"]
            if allowed is not None and name not in allowed:
                self._fault(node_id, "", f"The node class {name!r} is not allowed here.")
            elif name not in self._catalogue.names:
                self._report.missing_classes.add(name)
                close = _close(name, self._catalogue.names)
                hint = close or "Install its custom node on the worker, or update ComfyUI."
                self._fault(node_id, "", f"The worker has no node class {name!r}.", hint)

    def outputs(self, declared: Iterable[str]) -> None:
        starters = set(self._starters())
        if not starters:
            fault = NodeFault("", "", "", "No node saves anything.", "Add one such as SaveImage.")
            self._report.faults.append(fault)
        for node_id in declared:
            if self._class(node_id) is not None and node_id not in starters:
                hint = "Name the node that saves the result."
                self._fault(node_id, "", "It is no output node and gives no result.", hint)

    def reached(self) -> list[str]:
        """The nodes that will run: back from the output nodes. Cycles are faults."""
        order: list[str] = []
        state: dict[str, bool] = {}  # False: being looked at, True: done
        for start in self._starters():
            stack = [(start, False)]
            while stack:
                node_id, is_back = stack.pop()
                if is_back:
                    state[node_id] = True
                    order.append(node_id)
                elif node_id not in state:
                    state[node_id] = False
                    stack.append((node_id, True))
                    stack += [(before, False) for before in self._sources(node_id)]
                elif not state[node_id]:  # it is on the way to itself
                    self._fault(node_id, "", "It depends on its own result (a cycle).")
        return order

    def node(self, node_id: str) -> None:
        node_class = self._class(node_id)
        if node_class is None:
            return
        inputs = self._graph[node_id]["inputs"]
        for spec in node_class.inputs.values():
            if spec.name in inputs:
                self._value(node_id, spec, inputs[spec.name])
            elif spec.required and not spec.is_open:
                self._fault(node_id, spec.name, "It is required and missing.")
        for name in inputs:
            if name not in node_class.inputs and not node_class.is_dynamic and "." not in name:
                hint = _close(name, node_class.inputs)
                text = "The node class has no such input; the worker ignores it."
                self._report.warnings.append(self._at(node_id, name, text, hint))

    def _value(self, node_id: str, spec: InputSpec, value: Any) -> None:
        if is_link(value):
            self._link(node_id, spec, value)
            return
        if isinstance(value, dict) and set(value) == {"__value__"}:
            value = value["__value__"]
        if self._needs_link(spec):
            text = f"It needs a link to a node that gives {spec.kind}, not a value."
            self._fault(node_id, spec.name, text)
        elif spec.is_number:
            self._number(node_id, spec, value)
        elif spec.choices is not None and value not in spec.choices:
            self._choice(node_id, spec, value)

    def _needs_link(self, spec: InputSpec) -> bool:
        """Whether a value would pass the server's validation and fail when the node runs."""
        known = spec.kinds <= self._catalogue.linked_kinds
        return known and not spec.is_literal and not spec.is_open

    def _link(self, node_id: str, spec: InputSpec, link: list[Any]) -> None:
        source = self._class(link[0])
        if source is None:
            return
        if link[1] >= len(source.outputs):
            text = (
                f"Node {link[0]} ({source.name}) has {len(source.outputs)} outputs, no {link[1]}."
            )
            self._fault(node_id, spec.name, text)
            return
        given = source.outputs[link[1]]
        if not _fits(given, spec):
            text = f"It needs {spec.kind}, and node {link[0]} ({source.name}) gives {given}."
            self._fault(node_id, spec.name, text)

    def _number(self, node_id: str, spec: InputSpec, value: Any) -> None:
        try:
            number = int(value) if spec.kind == "INT" else float(value)
        except (TypeError, ValueError, OverflowError):
            self._fault(node_id, spec.name, f"{value!r} is no {spec.kind}.")
            return
        least, most = _limit(spec, "min"), _limit(spec, "max")
        if least is not None and number < least:
            self._fault(node_id, spec.name, f"{value} is smaller than {least}.")
        elif most is not None and number > most:
            self._fault(node_id, spec.name, f"{value} is greater than {most}.")
        elif isinstance(number, float) and math.isnan(number):
            self._fault(node_id, spec.name, "NaN is no number.")

    def _choice(self, node_id: str, spec: InputSpec, value: Any) -> None:
        choices = [str(choice) for choice in spec.choices or ()]
        is_model = str(value).lower().endswith(_MODEL_SUFFIXES) or spec.name.endswith("_name")
        is_model = is_model and spec.name not in ("sampler_name", "scheduler_name")
        what = "file" if is_model else "choice"
        if is_model:
            self._report.missing_models.add(str(value))
        if not choices:
            hint = "It has none of that kind."
        else:
            shown = ", ".join(choices[:_SHOWN_CHOICES])
            more = f" and {len(choices) - _SHOWN_CHOICES} more" * (len(choices) > _SHOWN_CHOICES)
            hint = _close(str(value), choices) or f"It has {shown}{more}."
        self._fault(node_id, spec.name, f"The worker has no {what} {value!r}.", hint)

    def _starters(self) -> list[str]:
        known = {node_id: self._class(node_id) for node_id in self._graph}
        return [node_id for node_id, found in known.items() if found and found.is_output]

    def _sources(self, node_id: str) -> list[str]:
        return [v[0] for v in self._graph[node_id]["inputs"].values() if is_link(v)]

    def _class(self, node_id: str) -> NodeClass | None:
        return self._catalogue.get(self._graph[node_id]["class_type"])

    def _fault(self, node_id: str, name: str, text: str, hint: str = "") -> None:
        self._report.faults.append(self._at(node_id, name, text, hint))

    def _at(self, node_id: str, name: str, text: str, hint: str) -> NodeFault:
        return NodeFault(node_id, self._graph[node_id]["class_type"], name, text, hint)


def _fits(given: str | None, spec: InputSpec) -> bool:
    """Whether an output may go into an input; types may be unions, as in "IMAGE,MASK"."""
    if given is None or spec.kind == COMBO or spec.is_open or ANY in (given, spec.kind):
        return True
    return bool(set(given.split(",")) & spec.kinds)


def _limit(spec: InputSpec, name: str) -> float | None:
    limit = spec.options.get(name)
    is_number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
    return limit if is_number else None


def _close(name: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, list(known), n=2, cutoff=0.75)
    return f"Did you mean {' or '.join(close)}?" if close else ""
