"""Workflows are held against what a worker says its nodes are; every fault comes at once."""

from __future__ import annotations

from typing import Any

import pytest

from generation_service.backends.comfyui.catalogue import NodeCatalogue
from generation_service.backends.comfyui.check import CheckReport, check_workflow
from generation_service.backends.comfyui.graph import bind
from generation_service.backends.comfyui.workflow import load_workflow
from tests.fakes.comfyui.catalogue import load_catalogue
from tests.integration.comfyui import chunk, node, picture_graph, sampler_graph

MODELS = {"checkpoints": ["sd15_tiny.safetensors"], "loras": ["pencil.safetensors"]}


@pytest.fixture(scope="module")
def catalogue() -> NodeCatalogue:
    """The nodes of a real server, with a checkpoint and a LoRA."""
    return NodeCatalogue(load_catalogue(MODELS))


def check(
    catalogue: NodeCatalogue,
    graph: dict[str, Any],
    *outputs: str,
    parameters: dict[str, Any] | None = None,
    allowed: set[str] | None = None,
    **rest: Any,
) -> CheckReport:
    """Load, bind and check a graph."""
    workflow = load_workflow(chunk(graph, *outputs, **rest))
    return check_workflow(bind(workflow, parameters or {}), catalogue, allowed_classes=allowed)


def test_good_workflows_pass(catalogue: NodeCatalogue) -> None:
    """What the real server ran has neither faults nor warnings."""
    for graph, output in ((sampler_graph(), "9"), (picture_graph(), "2")):
        report = check(catalogue, graph, output)
        assert report.is_fine, report.faults
        assert not report.warnings


def test_every_fault_is_told_at_once_with_its_place(catalogue: NodeCatalogue) -> None:
    """Node, class, input and a hint, for each of them."""
    graph = sampler_graph()
    graph["4"]["inputs"]["ckpt_name"] = "sd15_tyni.safetensors"
    graph["5"]["inputs"] |= {"width": 8, "height": "high"}
    graph["3"]["inputs"] |= {"sampler_name": "eulr", "model": "hello", "steps": 0}
    graph["8"]["inputs"]["vae"] = ["4", 7]
    graph["7"]["inputs"]["clip"] = ["4", 2]
    del graph["6"]["inputs"]["text"]
    graph["11"] = node("SaveImagge", images=["8", 0])
    report = check(catalogue, graph, "9")
    places = {(fault.node_id, fault.input_name) for fault in report.faults}
    assert places == {
        ("4", "ckpt_name"),
        ("5", "width"),
        ("5", "height"),
        ("3", "sampler_name"),
        ("3", "model"),
        ("3", "steps"),
        ("7", "clip"),
        ("8", "vae"),
        ("6", "text"),
        ("11", ""),
    }
    hints = " ".join(fault.hint for fault in report.faults)
    for name in ("sd15_tiny.safetensors", "euler", "SaveImage"):
        assert f"Did you mean {name}" in hints
    assert report.missing_models == {"sd15_tyni.safetensors"}
    assert report.missing_classes == {"SaveImagge"}
    assert all(fault.class_type for fault in report.faults)


def test_choices_of_the_newer_form_are_checked(catalogue: NodeCatalogue) -> None:
    """The server lets a wrong codec pass until the node runs; we do not."""
    graph = picture_graph()
    graph["2"] = node("SaveWEBM", images=["1", 0], filename_prefix="x", codec="bogus", fps=8, crf=1)
    (fault,) = check(catalogue, graph, "2").faults
    assert (fault.node_id, fault.input_name) == ("2", "codec")
    assert "vp9" in fault.hint


@pytest.mark.parametrize(
    ("name", "fine"), [("pencil.safetensors", True), ("ink.safetensors", False)]
)
def test_loras_that_the_worker_lacks_are_named(
    catalogue: NodeCatalogue, name: str, fine: bool
) -> None:
    """A LoRA is checked like any model, at the place where it was chained in."""
    place = {"model": {"node_id": "4"}, "clip": {"node_id": "4", "slot": 1}}
    report = check(catalogue, sampler_graph(), "9", parameters={"loras": [name]}, lora_place=place)
    assert report.is_fine is fine
    assert report.missing_models == (set() if fine else {name})


def test_worker_without_any_model_says_so() -> None:
    """An empty list of choices is told as such."""
    empty = NodeCatalogue(load_catalogue({"checkpoints": []}))
    (fault,) = check(empty, sampler_graph(), "9").faults
    assert fault.hint == "It has none of that kind."


def test_class_outside_the_allow_list_is_a_fault(catalogue: NodeCatalogue) -> None:
    """Even a class that the worker has may be unwanted, reached or not."""
    allowed = {"EmptyImage", "SaveImage"}
    assert check(catalogue, picture_graph(), "2", allowed=allowed).is_fine
    (fault,) = check(catalogue, picture_graph(), "2", allowed={"SaveImage"}).faults
    assert (fault.node_id, fault.class_type) == ("1", "EmptyImage")


def test_graph_must_save_something(catalogue: NodeCatalogue) -> None:
    """A graph without output node does nothing; an output mapping must name one."""
    graph = picture_graph()
    del graph["2"]
    texts = [str(fault) for fault in check(catalogue, graph, "1").faults]
    assert any("No node saves" in text for text in texts)
    assert any("no output node" in text for text in texts)


def test_cycle_is_a_fault(catalogue: NodeCatalogue) -> None:
    """The server answers a cycle with a 400 that names nothing; here it has a place."""
    graph = {
        "1": node("ImageInvert", image=["3", 0]),
        "3": node("ImageInvert", image=["1", 0]),
        "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
    }
    texts = [str(fault) for fault in check(catalogue, graph, "2").faults]
    assert any("cycle" in text for text in texts)


def test_unreached_nodes_are_not_judged(catalogue: NodeCatalogue) -> None:
    """What no output needs is never run, so its values do not matter."""
    graph = picture_graph() | {"7": node("EmptyImage", width=0)}
    assert check(catalogue, graph, "2").is_fine


def test_unknown_input_is_a_warning(catalogue: NodeCatalogue) -> None:
    """The worker ignores it, and exports of the editor hold such; a slip is hinted at."""
    graph = picture_graph()
    graph["1"]["inputs"]["colour"] = 5
    report = check(catalogue, graph, "2")
    assert report.is_fine
    assert "color" in report.warnings[0].hint


@pytest.mark.parametrize("value", ["64", 64.9, True, {"__value__": 7}])
def test_what_the_server_converts_is_accepted(catalogue: NodeCatalogue, value: Any) -> None:
    """A text of digits, a fraction, a truth value and a wrapped number are fine for INT."""
    graph = picture_graph()
    graph["1"]["inputs"]["width"] = value
    assert check(catalogue, graph, "2").is_fine


def test_uploaded_files_are_not_known_beforehand(catalogue: NodeCatalogue) -> None:
    """An input that takes uploads is no fault for a name that is not there yet."""
    graph = {
        "1": node("LoadImage", image="not-there-yet.png"),
        "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
    }
    assert check(catalogue, graph, "2").is_fine


@pytest.mark.parametrize("value", [0.5, 1, {"camera": 1}])
def test_widgets_of_other_kinds_take_values(value: Any) -> None:
    """A union with a number takes one, and a type that no node gives must be a widget."""
    inputs = {"a": ["FLOAT,INT", {}], "b": ["LOAD_3D", {}], "c": ["IMAGE", {}]}
    info = {
        "Uses": {"input": {"required": inputs}, "output": [], "output_node": True},
        "Gives": {"input": {"required": {"n": ["INT", {}]}}, "output": ["IMAGE"]},
    }
    graph = {"1": node("Uses", a=1, b=value, c=value), "2": node("Gives", n=1)}
    (fault,) = check(NodeCatalogue(info), graph, "1").faults
    assert fault.input_name == "c"


def test_strange_descriptions_are_read_liberally() -> None:
    """Custom nodes put anything into object_info; what cannot be read is not held against them."""
    info = {
        "Odd": {
            "input": {"required": {"a": [], "b": "INT", "c": ["X"]}, "optional": None},
            "output": None,
            "output_node": True,
        },
        "Grows": {
            "input": {"required": {"g": ["COMFY_AUTOGROW_V3", {}]}},
            "output": [["a", "b"], "X"],
        },
        "Broken": None,
    }
    graph = {
        "1": node("Odd", a=1, b=5, c=["2", 1]),
        "2": node("Grows", **{"g.1": 5, "other": 7}),
        "3": node("Broken", x=1),
    }
    report = check(NodeCatalogue(info), graph, "1")
    assert report.is_fine, report.faults
    assert not report.warnings
