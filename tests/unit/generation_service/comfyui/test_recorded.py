"""Answers of a real server, as recorded, mean to us what they meant there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generation_service.backends.comfyui.answers import (
    HistoryEntry,
    read_history,
    read_queue,
    read_receipt,
    read_refusal,
    read_stats,
)
from generation_service.backends.comfyui.errors import (
    NodeFailedError,
    NodeFault,
    OutputBlockedError,
    OutputMissingError,
    PromptInterruptedError,
    WorkerAnswerInvalidError,
    WorkerOutOfMemoryError,
)
from generation_service.backends.comfyui.outputs import find_outputs
from generation_service.backends.comfyui.verdict import find_failure
from generation_service.backends.comfyui.workflow import OutputMapping

RECORDINGS = sorted((Path(__file__).parents[2] / "fakes" / "captures").glob("*.json"))


def answers(method: str, start: str, status: int = 200) -> list[Any]:
    """Every recorded JSON answer of one route."""
    return [
        step["answer_json"]
        for recording in RECORDINGS
        for step in json.loads(recording.read_text("utf-8"))["steps"]
        if step.get("do") == "http"
        and step["method"] == method
        and step["path"].startswith(start)
        and step["status"] == status
        and isinstance(step.get("answer_json"), dict)
    ]


def entries() -> list[HistoryEntry]:
    """Every recorded history entry."""
    found = [
        read_history(answer, prompt_id)
        for answer in answers("GET", "/history")
        for prompt_id, raw in answer.items()
        if isinstance(raw, dict) and "status" in raw
    ]
    return [entry for entry in found if entry is not None]


def test_there_is_something_to_read() -> None:
    """The recordings are where this looks for them."""
    assert len(entries()) > 20
    assert len(answers("POST", "/prompt", 400)) > 15


def test_receipts_are_read() -> None:
    """Every accepted prompt has a number; the one with a bad output has a fault."""
    receipts = [read_receipt(answer) for answer in answers("POST", "/prompt")]
    assert all(receipt.number is not None for receipt in receipts)
    assert any(
        fault.node_id == "3" and fault.input_name == "images"
        for receipt in receipts
        for fault in receipt.faults
    )


def test_every_refusal_says_something() -> None:
    """Each 400 becomes at least one fault with a sentence."""
    for answer in answers("POST", "/prompt", 400):
        faults = read_refusal(answer)
        assert faults
        assert all(fault.message for fault in faults)


def test_queues_are_read_in_the_order_of_running() -> None:
    """Waiting prompts come sorted, whatever the heap's order was."""
    for answer in answers("GET", "/queue"):
        view = read_queue(answer)
        numbers = {item[1]: (item[0], item[1]) for item in answer["queue_pending"]}
        assert list(view.pending) == sorted(view.pending, key=lambda each: numbers[each])
        assert len(view.pending) == len(answer["queue_pending"])
        assert all(view.position(each) > 0 for each in view.pending if each not in view.running)


def test_recorded_ends_are_told_apart() -> None:
    """Interrupted, out of memory, failed and well: by the last message, not by `status_str`."""
    seen = set()
    for entry in entries():
        failure = find_failure(entry, {})
        seen.add((entry.ending, entry.status_text, type(failure)))
    assert seen >= {
        ("execution_success", "success", type(None)),
        ("execution_error", "error", NodeFailedError),
        ("execution_error", "success", NodeFailedError),
        ("execution_interrupted", "error", PromptInterruptedError),
    }
    fine = {ending for ending, _, failure in seen if failure is type(None)}
    assert fine <= {"execution_success", ""}  # some recordings leave the messages out


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torch.OutOfMemoryError", "Allocation on device 0 would exceed allowed memory."),
        ("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB"),
        (
            "RuntimeError",
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory",
        ),
    ],
)
def test_too_little_memory_is_the_workers_fault(kind: str, message: str) -> None:
    """Another worker may have more memory, whatever words the device has for it."""
    data = {"exception_type": kind, "exception_message": message, "node_id": "3"}
    failure = find_failure(HistoryEntry(ending="execution_error", data=data), {})
    assert isinstance(failure, WorkerOutOfMemoryError)


@pytest.mark.parametrize(
    ("output", "wanted", "extensions"),
    [
        ({"images": [{"filename": "a.png"}, {"filename": "b.png"}]}, "", ["png", "png"]),
        ({"images": [{"filename": "v.mp4"}], "animated": [True]}, "video", ["mp4"]),
        ({"3d": [{"filename": "m.glb", "type": "output"}]}, "3d", ["glb"]),
        ({"result": [None], "gltf": [{"filename": "m.GLB"}]}, "model3d", ["glb"]),
        (
            {"images": [{"filename": "thumb.png"}], "audio": [{"filename": "a.flac"}]},
            "audio",
            ["flac"],
        ),
        ({"images": [{"filename": "a.png"}, {"filename": "a.png"}]}, "image", ["png"]),
        ({"odd": [{"filename": "noextension"}]}, "", [""]),
        ({"odd": [{"filename": "evil.p/n g"}]}, "", [""]),
    ],
)
def test_files_are_found_whatever_their_key(
    output: dict[str, Any], wanted: str, extensions: list[str]
) -> None:
    """Nodes name their files as they like; the declared medium chooses, doubles count once."""
    entry = HistoryEntry(outputs={"9": output}, ending="execution_success")
    found = find_outputs(entry, [OutputMapping("9", wanted)], {}, max_files=10)
    assert [each.file.extension for each in found.files] == extensions


def test_numbers_are_texts_and_nan_is_none() -> None:
    """A text output may be a number; what is no number is left out."""
    entry = HistoryEntry(outputs={"9": {"values": ["a", 1, float("nan"), {"x": 1}, None]}})
    found = find_outputs(entry, [OutputMapping("9", "text")], {}, max_files=10)
    assert [text.text for text in found.texts] == ["a", "1"]


def test_missing_output_names_what_was_there() -> None:
    """An author reads which node gave what instead; outputs of other nodes do not count."""
    entry = HistoryEntry(outputs={"8": {"images": [{"filename": "a.png"}]}, "9": {"latents": []}})
    with pytest.raises(OutputMissingError) as caught:
        find_outputs(entry, [OutputMapping("9")], {"9": {"class_type": "Save"}}, max_files=10)
    assert caught.value.faults[0] == NodeFault("9", "Save", "", "It gave no file. It gave latents.")


def test_blocked_output_says_why() -> None:
    """An error that did not end the run explains a missing output."""
    blocked = [{"node_id": "2", "node_type": "SaveImage", "exception_message": "not today"}]
    with pytest.raises(OutputBlockedError, match="not today"):
        find_outputs(HistoryEntry(), [OutputMapping("2")], {}, blocked=blocked, max_files=10)


def test_author_reads_the_beginning_of_a_long_error() -> None:
    """Errors quote whole tensors; what is kept is one line of bounded length."""
    data = {"exception_message": "tensor([0.0,\n 1.0])" * 5000, "node_id": "3.0.0.1"}
    graph = {"3": {"class_type": "Expand", "inputs": {}, "_meta": {"title": "Big"}}}
    failure = find_failure(HistoryEntry(ending="execution_error", data=data), graph)
    assert failure is not None
    assert len(failure.detail) < 1000
    assert "\n" not in failure.detail
    assert failure.faults[0].class_type == "Expand"


@pytest.mark.parametrize("answer", [None, [], "text", 5, {}, {"queue_running": 5}])
def test_other_shapes_are_no_answers(answer: Any) -> None:
    """What is no queue, receipt or system_stats is the worker's fault, not a crash."""
    for read in (read_queue, read_receipt, read_stats):
        with pytest.raises(WorkerAnswerInvalidError):
            read(answer)


def test_history_of_other_shapes_is_read_liberally() -> None:
    """Older and newer servers leave things out or add some."""
    raw = {"outputs": {"9": {"text": "hello"}}, "status": None, "new": 1}
    entry = read_history({"p": raw}, "p")
    assert entry is not None
    assert find_failure(entry, {}) is None
    assert (
        find_outputs(entry, [OutputMapping("9", "text")], {}, max_files=1).texts[0].text == "hello"
    )
    odd = {
        "status": {"messages": ["execution_start", ["x"], [5, {}], None, ["execution_cached", 7]]}
    }
    assert read_history({"p": odd}, "p") == HistoryEntry()
    assert read_history({}, "p") is None
