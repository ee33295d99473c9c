"""Holds the workflows of a folder of configs against what a ComfyUI worker says it has.

A graph that is sound by itself may still name a model, a LoRA or a node that this worker lacks, or
inputs of another version. An operator wants to know before a class is waiting.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.catalogue import NodeCatalogue
from generation_service.backends.comfyui.check import check_workflow
from generation_service.backends.comfyui.errors import NodeFault, WorkflowInvalidError
from generation_service.backends.comfyui.graph import bind
from generation_service.backends.comfyui.workflow import load_workflow
from orchestrator.configs.documents import Document, Kind, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.configs import ConfigSet, Fault
    from orchestrator.configs.model import OutputConfig
    from orchestrator.configs.workflow import Workflow

_TIMEOUT_SECONDS = 30.0
_MAX_BYTES = 64 * 1024 * 1024


class WorkerUnreadableError(Exception):
    """A worker gave no `/object_info`; the text says why."""


@dataclass(frozen=True)
class Report:
    """What holding one output against a worker found.

    Attributes:
        output: Id of the output config; empty: a workflow that no output uses.
        workflow: Its id.
        experimental: Its nodes were never held against a real server before.
        faults: Why the worker cannot make it; none: it can.
        warnings: What is probably not meant so.
        missing_models: Files that the worker lacks, as `folder/file` where the folder is known.
        missing_classes: Node classes that the worker lacks.
    """

    output: str
    workflow: str
    experimental: bool
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    missing_models: tuple[str, ...]
    missing_classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What to call it."""
        return self.output or self.workflow


def read_catalogue(worker_url: str, limit_seconds: float = _TIMEOUT_SECONDS) -> NodeCatalogue:
    """Ask a worker for its node classes. Blocks: a request over the network.

    Args:
        worker_url: Such as `http://127.0.0.1:8188`.
        limit_seconds: How long it may be silent.

    Raises:
        WorkerUnreadableError: There is no proper answer.
    """
    if not worker_url.startswith(("http://", "https://")):
        raise WorkerUnreadableError("The address must begin with http:// or https://.")
    url = worker_url.rstrip("/") + "/object_info"
    try:
        with urllib.request.urlopen(url, timeout=limit_seconds) as response:
            content = response.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise WorkerUnreadableError(f"No answer from {url}: {reason}.") from exc
    try:
        answer = json.loads(content) if len(content) <= _MAX_BYTES else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not answer:
        raise WorkerUnreadableError(f"What {url} answers is no list of node classes.")
    return NodeCatalogue(answer)


def check_outputs(
    folder: Path, configs: ConfigSet, catalogue: NodeCatalogue, wanted: frozenset[str]
) -> Iterator[Report]:
    """Hold every output that has a workflow, and every workflow that no output uses.

    Args:
        folder: Where the configs were read from, for the places of faults.
        configs: What was read from it.
        catalogue: The worker's nodes.
        wanted: Ids of outputs or workflows to look at; empty: all.
    """
    documents = _documents(folder)
    used = {output.workflow for output in configs.output.values() if output.workflow}
    for id_, output in sorted(configs.output.items()):
        workflow = configs.workflow_of(output)
        if workflow is not None and (not wanted or wanted & {id_, workflow.id}):
            yield _report(documents[workflow.id], workflow, output, catalogue)
    for id_, workflow in sorted(configs.workflows.items()):
        if id_ not in used and (not wanted or id_ in wanted):
            yield _report(documents[id_], workflow, None, catalogue)


def _documents(folder: Path) -> dict[str, Document]:
    paths = sorted((folder / Kind.WORKFLOW.value).glob("*.json"))
    found = (read_document(folder, path, Kind.WORKFLOW) for path in paths)
    return {document.id: document for document in found}


def _report(
    document: Document, workflow: Workflow, output: OutputConfig | None, catalogue: NodeCatalogue
) -> Report:
    faults: list[NodeFault] = []
    warnings: list[NodeFault] = []
    models: set[str] = set()
    classes: set[str] = set()
    try:
        bound = bind(load_workflow(_chunk(workflow)), _parameters(output), draw=lambda: 0)
    except WorkflowInvalidError as exc:
        faults = list(exc.faults) or [NodeFault("", "", "", str(exc))]
    else:
        checked = check_workflow(bound, catalogue)
        faults, warnings = checked.faults, checked.warnings
        models, classes = checked.missing_models, checked.missing_classes
    folders = {entry.file: f"{entry.folder}/{entry.file}" for entry in workflow.requires}
    return Report(
        output=output.id if output else "",
        workflow=workflow.id,
        experimental=workflow.experimental,
        faults=tuple(_placed(document, workflow, fault) for fault in faults),
        warnings=tuple(_placed(document, workflow, fault) for fault in warnings),
        missing_models=tuple(sorted(folders.get(file, file) for file in models)),
        missing_classes=tuple(sorted(classes)),
    )


def _chunk(workflow: Workflow) -> dict[str, Any]:
    return {
        "workflow": json.loads(workflow.graph_json),
        "input_mappings": json.loads(workflow.input_mappings_json),
        "output_mapping": json.loads(workflow.output_mapping_json),
        "lora_place": json.loads(workflow.lora_place_json or "null"),
    }


def _parameters(output: OutputConfig | None) -> dict[str, Any]:
    """What a run gives that asks for nothing in particular."""
    if output is None:
        return {}
    given: dict[str, Any] = {name: spec.default for name, spec in output.parameters.items()}
    if output.loras:
        given["loras"] = [lora.model_dump() for lora in output.loras]
    return given


def _placed(document: Document, workflow: Workflow, fault: NodeFault) -> Fault:
    """Say a fault with its place in the author's file, and where a missing file comes from."""
    path = ("graph", fault.node_id) if fault.node_id else ("graph",)
    if fault.input_name:
        path = (*path, "inputs", fault.input_name)
    sources = [
        f"Get it from {entry.source}, put it into models/{entry.folder}."
        for entry in workflow.requires
        if entry.source and repr(entry.file) in fault.message
    ]
    return document.fault(path, fault.message, " ".join([fault.hint, *sources]).strip())
