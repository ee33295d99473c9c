"""The media backend `comfyui`: settles what a worker will be sent, before anybody waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.errors import JobFaultError, NodeFault
from generation_service.backends.comfyui.graph import LORAS, RANDOM, bind, models_of
from generation_service.backends.comfyui.workflow import UNSET, load_workflow
from generation_service.backends.interface import MediaPlan
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from generation_service.backends.comfyui.graph import BoundWorkflow
    from generation_service.backends.comfyui.workflow import Graph, Workflow
    from generation_service.backends.interface import (
        InputMedia,
        MediaParameters,
        MediaRequest,
        WorkflowOrder,
    )

_MAX_SEED = 2**64 - 1
_SEED = "seed"
_MAX_INPUTS = 8
_MAX_LORAS = 16


def input_token(sha256: str) -> str:
    """What stands in a graph for an input file, until the worker has named it."""
    return f"stellwerk-input-{sha256}"


class ComfyUIBackend:
    """Plans jobs for ComfyUI workers; a `MediaBackend` whose work the workers do."""

    name = "comfyui"
    photographic = True
    leaves_site = False

    def __init__(self, *, make_seed: Callable[[], int], allowed_classes: frozenset[str]) -> None:
        """Build the backend.

        Args:
            make_seed: Gives a seed where a workflow takes one and the request has none.
            allowed_classes: Node classes that a graph may use; no others.
        """
        self._make_seed = make_seed
        self._allowed = allowed_classes

    def plan(self, request: MediaRequest) -> MediaPlan:
        """See `MediaBackend.plan`.

        Raises:
            InvalidArgumentError: WORKFLOW_MISSING, WORKFLOW_INVALID, LORA_NOT_APPLICABLE or
                PARAMETER_OUT_OF_RANGE, with the place of every fault.
        """
        order = request.workflow
        if order is None:
            raise InvalidArgumentError(
                "WORKFLOW_MISSING", "This backend needs a workflow.", field="workflow"
            )
        _check(request.parameters)
        try:
            workflow = load_workflow(_chunk(order))
            self._check_classes(workflow.graph)
            bound = bind(workflow, self._parameters(request, workflow), draw=self._make_seed)
        except JobFaultError as exc:
            raise _refusal(exc) from exc
        return self._plan(request, order, bound)

    def _plan(self, request: MediaRequest, order: WorkflowOrder, bound: BoundWorkflow) -> MediaPlan:
        inputs = request.parameters.input_media
        models = models_of(bound.graph)
        applied = {key: _readable(value, inputs) for key, value in bound.applied.items()}
        applied.pop("prompt", None)  # what was sent is in the record already
        if inputs:
            applied["input_media"] = [each.sha256 for each in inputs]
        return MediaPlan(
            backend=self.name,
            model=f"{self.name}/{request.model or order.name or 'workflow'}",
            prompt=request.prompt,
            applied=applied,
            warnings=bound.warnings,
            work={
                "graph": bound.graph,
                "outputs": [asdict(output) for output in bound.outputs],
                "sha256": bound.sha256,
                "inputs": [asdict(each) for each in inputs],
            },
            models_key="|".join(sorted(models)),
            load_seconds=order.load_seconds,
            run_seconds=order.run_seconds,
            photographic=_may_look_real(bound.graph),
            vram_bytes=order.vram_bytes,
        )

    def _parameters(self, request: MediaRequest, workflow: Workflow) -> dict[str, Any]:
        asked = request.parameters
        given: dict[str, Any] = {
            **(asked.extra or {}),
            **asked.others,
            "prompt": request.prompt,
            "width": asked.width,
            "height": asked.height,
            _SEED: asked.seed,
        }
        for number, each in enumerate(asked.input_media, start=1):
            name = "input_image" if number == 1 else f"input_image_{number}"
            given[name] = input_token(each.sha256)
        if given[_SEED] is None and _wants_a_seed(workflow):
            given[_SEED] = self._make_seed()
        return given

    def _check_classes(self, graph: Graph) -> None:
        faults = [
            NodeFault(node_id, node["class_type"], "", NOT_ALLOWED)
            for node_id, node in graph.items()
            if node["class_type"] not in self._allowed
        ]
        if faults:
            raise NodeClassForbiddenError(faults=faults)


NOT_ALLOWED = (
    "This node class is not allowed. Whoever runs the service may add it to node_classes.json or "
    "COMFYUI_NODE_CLASSES."
)


class NodeClassForbiddenError(JobFaultError):
    """The graph uses a node class that is not allowed here."""

    REASON = "WORKFLOW_INVALID"
    MESSAGE = "The recipe for this output uses a step that is not allowed here."


def _chunk(order: WorkflowOrder) -> Mapping[str, Any]:
    return {
        "workflow": order.graph,
        "input_mappings": order.input_mappings,
        "output_mapping": order.output_mapping,
        "lora_place": order.lora_place,
    }


def _wants_a_seed(workflow: Workflow) -> bool:
    """Whether the workflow takes a seed and its author has not fixed one."""
    return any(
        mapping.key == _SEED and (mapping.default is UNSET or mapping.default == RANDOM)
        for mapping in workflow.inputs
    )


def _readable(value: object, inputs: Iterable[InputMedia]) -> object:
    """A value as the record shall show it: an input file by its hash."""
    tokens = {input_token(each.sha256): each.sha256 for each in inputs}
    return tokens.get(value, value) if isinstance(value, str) else value


def _may_look_real(graph: Graph) -> bool:
    """Whether a model or an uploaded picture is behind the result, not only plain colours."""
    classes = [str(node["class_type"]) for node in graph.values()]
    return any("Loader" in name or name.startswith("Load") for name in classes)


def _check(asked: MediaParameters) -> None:
    violations = []
    if asked.seed is not None and not 0 <= asked.seed <= _MAX_SEED:
        violations.append(("parameters.seed", "Must fit into 64 bits, unsigned."))
    if asked.extra is None:
        violations.append(("parameters.extra_json", "Must be a JSON object."))
    if len(asked.input_media) > _MAX_INPUTS:
        violations.append(("parameters.input_media", f"At most {_MAX_INPUTS}."))
    loras = asked.others.get(LORAS)
    if isinstance(loras, list) and len(loras) > _MAX_LORAS:
        violations.append(("parameters.loras", f"At most {_MAX_LORAS}."))
    if violations:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "A parameter is out of range.", violations=violations
        )


def _refusal(fault: JobFaultError) -> InvalidArgumentError:
    """One sentence for people; node, class and input for the author."""
    places = [("workflow", str(each)) for each in fault.faults[:20]]
    return InvalidArgumentError(
        fault.reason, fault.message, violations=places or [("workflow", fault.detail)]
    )
