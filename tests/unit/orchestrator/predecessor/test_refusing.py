"""Faults in folders of the predecessor: each is told with its reason, and the rest is loaded."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.configs.predecessor import Result
from tests.unit.orchestrator.predecessor.folder import FILES, OUTPUT_CHUNK, write
from tests.unit.orchestrator.predecessor.test_loading import read

if TYPE_CHECKING:
    from pathlib import Path


def changed(file: str, **changes: Any) -> dict[str, Any]:
    """One of the planted files with other values; None takes a key away."""
    merged = {**deepcopy(FILES[file]), **changes}
    return {file: {key: value for key, value in merged.items() if value is not None}}


def graph_with(node_id: str, node: dict[str, Any]) -> dict[str, Any]:
    """The planted workflow with another node."""
    return {**OUTPUT_CHUNK["workflow"], node_id: node}


DADA, PAINT = "configs/interception/dadaist.json", "configs/output/paint.json"
CHUNK, WORKFLOW = "chunks/manipulate.json", "chunks/output_image_paint.json"
SERVICE = "chunks/output_image_service.json"
REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no JSON": (DADA, {DADA: '{"pipeline": '}, "Line 1: This is not JSON"),
    "no object": (DADA, {DADA: "[1, 2]"}, "no object"),
    "a key twice": (DADA, {DADA: '{"pipeline": "a", "pipeline": "b"}'}, "twice"),
    "nothing at all": (DADA, {DADA: "{}"}, "no pipeline"),
    "no pipeline": (DADA, changed(DADA, pipeline=None), "names no pipeline"),
    "unknown pipeline": (DADA, changed(DADA, pipeline="text_interceptio"), "Did you mean"),
    "unknown chunk": (DADA, changed(DADA, chunks=["nowhere"]), '"nowhere", which is not there'),
    "refused chunk": (DADA, changed(CHUNK, template=""), "which was refused"),
    "unknown output": (
        DADA,
        changed(DADA, media_preferences={"output_configs": ["oil"]}),
        'output "oil", which is not there',
    ),
    "same id": (
        "configs/zoo/other.json",
        {"configs/zoo/other.json": {"name": "dadaist", "pipeline": "text_interception"}},
        "already that of configs/interception/dadaist.json",
    ),
    "empty template": (CHUNK, changed(CHUNK, template=""), "template is empty"),
    "no chunk": (CHUNK, {CHUNK: {"name": "manipulate"}}, "needs a template"),
    "program in JSON": (CHUNK, changed(CHUNK, type="python_chunk"), "never run"),
    "program": ("chunks/render.py", {"chunks/render.py": "import os"}, "never run"),
    "no workflow": (WORKFLOW, changed(WORKFLOW, workflow={}), "There is no workflow"),
    "editor's format": (
        WORKFLOW,
        changed(WORKFLOW, workflow={"nodes": [], "links": []}),
        "Node nodes of the workflow has no class_type",
    ),
    "node without class": (
        WORKFLOW,
        changed(WORKFLOW, workflow=graph_with("6", {"inputs": {}})),
        "Node 6 of the workflow has no class_type",
    ),
    "foreign node": (
        WORKFLOW,
        changed(WORKFLOW, workflow=graph_with("20", {"class_type": "RunShell", "inputs": {}})),
        "The node class RunShell is not allowed",
    ),
    "dead link": (
        WORKFLOW,
        changed(
            WORKFLOW,
            workflow=graph_with(
                "8", {"class_type": "VAEDecode", "inputs": {"samples": ["99", 0], "vae": ["4", 2]}}
            ),
        ),
        'node "99" that is not there',
    ),
    "mapping to no node": (
        WORKFLOW,
        changed(WORKFLOW, input_mappings={"prompt": {"node_id": "77", "field": "inputs.text"}}),
        "input_mappings.prompt",
    ),
    "no result": (WORKFLOW, changed(WORKFLOW, output_mapping=None), "output_mapping"),
    "no medium": (
        WORKFLOW,
        changed(WORKFLOW, media_type=None, output_mapping={"node_id": "9"}),
        "which medium",
    ),
    "service for films": (
        "configs/output/service.json",
        changed(SERVICE, media_type="video"),
        "only one for pictures",
    ),
    "service without model": (
        "configs/output/service.json",
        changed(SERVICE, api_config={}),
        "names no model",
    ),
    "output without chunk": (PAINT, changed(PAINT, parameters={}), "Nothing in it renders"),
    "output of a proxy": (
        PAINT,
        changed(PAINT, parameters={"OUTPUT_CHUNK": "output_any"}),
        "proxy_chunk, which renders nothing",
    ),
    "LoRA without a name": (PAINT, changed(PAINT, meta={"loras": [{}]}), "each needs a name"),
}
NOTES: dict[str, tuple[str, dict[str, Any], str]] = {
    "model by name": (CHUNK, changed(CHUNK, model="some model"), "is left out; the role"),
    "unknown constant": (CHUNK, changed(CHUNK, model="VISION_X_MODEL"), "role image_analysis"),
    "parameters that were ignored": (CHUNK, {}, "reach the model now"),
    "temperature out of range": (
        CHUNK,
        changed(CHUNK, parameters={"temperature": 9}),
        "temperature is left out. It must be at most 2",
    ),
    "unknown placeholder": (
        DADA,
        changed(CHUNK, template="{{WHAT}} {{INPUT_TEXT}}"),
        "{{WHAT}} has no value",
    ),
    "no English": (DADA, changed(DADA, context={"de": "Nur so."}), "no English text"),
    "no language": (DADA, changed(DADA, context={"en": "So.", "xx": "?"}), 'no language "xx"'),
    "unknown control flow": (
        "pipelines/media.json",
        changed("pipelines/media.json", control_flow="spiral"),
        "spiral is not known here",
    ),
    "unknown medium": (
        DADA,
        changed(DADA, media_preferences={"default_output": "smell"}),
        "nothing here makes smell",
    ),
    "parameter without a place": (
        PAINT,
        changed(PAINT, parameters={"OUTPUT_CHUNK": "output_image_paint", "glow": 3}),
        "no place for it",
    ),
    "config's own chunks": (
        "configs/interception/own_chunks.json",
        {},
        "they run instead of the pipeline's",
    ),
    "instruction type": ("configs/interception/own_chunks.json", {}, "counts now"),
    "fewer pictures": ("pipelines/two_pictures.json", {}, "a run needs 2 pictures"),
    "key without a meaning": (DADA, changed(DADA, sparkle=1), "sparkle: this key is not known"),
    "at most as many iterations": (
        "pipelines/repeated.json",
        changed("pipelines/repeated.json", meta={"max_iterations": 500}),
        "at most 50",
    ),
}


@pytest.mark.parametrize(("file", "files", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_fault_is_refused_with_its_reason_alone(
    tmp_path: Path, file: str, files: dict[str, Any], reason: str
) -> None:
    """The file at fault is refused; files that do not need it are loaded all the same."""
    found = read(write(write(tmp_path), files))
    reports = {report.file: report for report in found.reports}
    assert reports[file].result is Result.REFUSED
    assert reason in reports[file].reason
    assert "telephone" in found.configs.interception or file == CHUNK or CHUNK in files


@pytest.mark.parametrize(("file", "files", "note"), NOTES.values(), ids=NOTES)
def test_change_of_meaning_is_noted(
    tmp_path: Path, file: str, files: dict[str, Any], note: str
) -> None:
    """What was guessed or left out is told, and the file is loaded."""
    found = read(write(write(tmp_path), files))
    report = next(report for report in found.reports if report.file == file)
    assert report.result is not Result.REFUSED
    assert any(note in each for each in report.notes)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = sorted({(file, key) for file, content in FILES.items() for key in content})


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(KEYS), ANY_JSON)
@example((CHUNK, "parameters"), True)
def test_any_value_anywhere_is_a_report_and_no_crash(
    tmp_path: Path, place: tuple[str, str], value: Any
) -> None:
    """Whatever stands at a key, every file gets its report."""
    file, key = place
    found = read(write(write(tmp_path), {file: {**FILES[file], key: value}}))
    assert {report.file for report in found.reports} == set(FILES)
