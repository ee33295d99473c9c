"""Reading run folders, of which we know a description only, however they are laid out."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker_service.importing.model import ForeignRecord, Unreadable
from tracker_service.importing.run_files import guess_of, natural_key
from tracker_service.importing.sources import records_in
from tracker_service.intake import check_item
from tracker_service.records import ExecutionState
from tracker_service.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 9
FACTS: dict[str, Any] = {
    "config": "dada",
    "user_id": "p-17",
    "session": "s-1",
    "timestamp": "2025-11-03T22:55:22",
    "status": "completed",
    "colour of the sky": {"deep": [1, 2.5, None, "grün"]},
}
STEPS: dict[str, bytes] = {
    "prompting_process/01_input.txt": b"Eine Blume auf der Wiese",
    "prompting_process/02_translation.txt": b"A flower in the meadow",
    "prompting_process/03_stage1_safety.json": b'{"safe": true}',
    "prompting_process/04_interception_iteration_2.txt": b"A flower, torn",
    "prompting_process/10_interception.txt": b"Flower! Meadow! Umbrella!",
    "final/output_image.png": PNG,
}
TYPES = [
    *("pipeline_start", "warning", "user_input_text", "translation_result"),
    *("stage1_safety_check", "interception_iteration", "interception_final", "output_image"),
    "pipeline_complete",
]
"""The `warning` is `metadata.json`, kept word for word."""
FIRST = "prompting_process/01_input.txt"
HOMES = ["run_1", "runs/2025-11-03/run_1", "runs/dada/run_1", "runs/p-17/s-1/run_1"]


def packed(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Pack files as an archive."""
    path = folder / "runs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def a_run(
    home: str, facts: Mapping[str, Any] = FACTS, others: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return the files of a run; `others` come on top, or in the place of usual ones."""
    metadata = {f"{home}/metadata.json": json.dumps(facts, ensure_ascii=False).encode()}
    return metadata | {f"{home}/{name}": data for name, data in {**STEPS, **(others or {})}.items()}


def only(path: Path) -> ForeignRecord:
    """Return the one record in an archive, all of whose items a tracker would take."""
    (record,) = records_in(path, "runs.zip")
    assert isinstance(record, ForeignRecord), record
    for item in record.items:
        check_item(item, Taxonomy())
    assert [item.sequence_number for item in record.items] == list(range(1, len(record.items) + 1))
    return record


@pytest.mark.parametrize("home", HOMES)
def test_run_is_read_wherever_it_lies(tmp_path: Path, home: str) -> None:
    """Facts, texts in the order of the steps, media and end: the same from every layout."""
    record = only(packed(tmp_path, a_run(home)))
    assert [item.item_type for item in record.items] == TYPES
    summary = record.summary
    assert (summary.config_name, summary.user_id, summary.session_id) == ("dada", "p-17", "s-1")
    assert (summary.state, summary.user_input) == (
        ExecutionState.COMPLETED,
        "Eine Blume auf der Wiese",
    )
    picture = record.items[7]
    assert picture.media is not None
    assert (picture.media.mime_type, picture.loop_iteration) == ("image/png", 1)
    assert record.media == {picture.item_id: f"{home}/final/output_image.png"}
    assert record.items[5].stage_iteration == 2
    kept = json.loads(record.items[1].content or "")
    assert kept == FACTS


def test_flat_folder_is_read_too(tmp_path: Path) -> None:
    """Files directly beside `metadata.json`, and one level deeper, belong to the run."""
    files = {
        "r/metadata.json": b"{}",
        "r/input.txt": b"Ein Baum",
        "r/step/translated.txt": b"A tree",
        "r/picture.bin": PNG,
    }
    record = only(packed(tmp_path, files))
    assert [item.item_type for item in record.items][2:-1] == [
        *("user_input_text", "output_image", "translation_result"),
    ]
    assert {reason for reason, _ in record.warnings} >= {
        *("ITEM_TYPE_GUESSED", "START_TIME_UNKNOWN", "EXECUTION_ID_GUESSED", "STATE_GUESSED"),
    }


def test_metadata_that_list_files_say_order_time_and_type(tmp_path: Path) -> None:
    """Where the metadata name files, these come in that order, at these times, as these types."""
    listed = [
        {"filename": "b.txt", "type": "user_input_text", "timestamp": "2025-11-03T22:55:23"},
        {"filename": "a.txt", "type": "interception_final", "timestamp": "2025-11-03T22:55:29"},
    ]
    files = {
        "r/metadata.json": json.dumps({"run_id": "old-1", "entities": listed}).encode(),
        "r/final/a.txt": b"last",
        "r/final/b.txt": b"first",
    }
    record = only(packed(tmp_path, files))
    assert record.summary.execution_id == "old-1"
    texts = [item for item in record.items if item.item_type in TYPES and item.content]
    assert [item.content for item in texts if item.stage] == ["first", "last"]
    first, last = (item for item in texts if item.stage)
    assert last.occur_time_us - first.occur_time_us == 6_000_000


def test_metadata_that_are_an_older_record_are_read_as_one(tmp_path: Path) -> None:
    """A record of taxonomy 1.0 gets the files that it names; what it does not name is added."""
    items = [
        {"stage": 1, "item_type": "user_input_text", "content": "Ein Haus"},
        {"stage": 4, "item_type": "output_image", "file_path": "exports/x/output_image.png"},
        {"stage": 5, "item_type": "pipeline_complete"},
    ]
    facts = FACTS | {"execution_id": "exec_1", "items": items}
    record = only(packed(tmp_path, a_run("r", facts)))
    types = [item.item_type for item in record.items]
    assert types[:3] == ["pipeline_start", "user_input_text", "output_image"]
    assert types[-1] == "pipeline_complete"
    assert "translation_result" in types
    assert list(record.media.values()) == ["r/final/output_image.png"]


def test_import_of_a_run_is_repeatable(tmp_path: Path) -> None:
    """The same files give the same ids, wherever the folder lies; another text gives another."""
    first = only(packed(tmp_path, a_run("a/run_1")))
    again = only(packed(tmp_path, a_run("elsewhere/deep/run_1")))
    assert [one.item_id for one in first.items] == [one.item_id for one in again.items]
    changed = only(packed(tmp_path, a_run("a/run_1", others={FIRST: b"x"})))
    assert sum(a.item_id != b.item_id for a, b in zip(first.items, changed.items, strict=True)) == 1


def test_nothing_is_lost(tmp_path: Path) -> None:
    """Files that fit nothing are kept as warnings; what is no text and no medium is named."""
    odd = {"notes/dream.xyz": b"a dream", "final/model.bin": b"\0\1\2", "long.txt": b"y" * 600_000}
    record = only(packed(tmp_path, a_run("r", others=odd)))
    by_file: dict[str, list[Any]] = {}
    for item in record.items:
        note = json.loads(item.metadata_json or "{}").get("imported", {})
        by_file.setdefault(str(note.get("file")), []).append(item)
    assert [one.content for one in by_file["notes/dream.xyz"]] == ["a dream"]
    assert "".join(one.content for one in by_file["long.txt"]) == "y" * 600_000
    assert [(one.item_type, one.content) for one in by_file["final/model.bin"]] == [
        ("warning", None)
    ]
    assert ("FILE_NOT_KEPT", "final/model.bin") in record.warnings


def test_runs_and_records_lie_side_by_side(tmp_path: Path) -> None:
    """Each `metadata.json` is one run, also below another; other JSON stays what it was."""
    record = {"execution_id": "x", "items": [{"stage": 1, "item_type": "user_input_text"}]}
    files = {**a_run("a"), **a_run("a/nested"), "old.json": json.dumps(record).encode()}
    found = list(records_in(packed(tmp_path, files), "runs.zip"))
    assert [one.source for one in found] == ["a", "a/nested", "old.json"]
    assert all(isinstance(one, ForeignRecord) for one in found)


def test_harmful_names_and_links_are_refused(tmp_path: Path) -> None:
    """Names that lead out, and links, are not read, and the report says so."""
    path = packed(tmp_path, {"../evil/metadata.json": b"{}", "/abs/metadata.json": b"{}"})
    link = zipfile.ZipInfo("r/metadata.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    found = [one for one in records_in(path, "x") if isinstance(one, Unreadable)]
    assert [one.reason for one in found] == ["PATH_REFUSED", "PATH_REFUSED", "LINK_REFUSED"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"{", "NO_JSON"), (b"[1]", "NO_RECORD"), (b" " * (16 * 2**20 + 1), "FILE_TOO_LARGE")],
)
def test_broken_metadata_are_named(tmp_path: Path, data: bytes, reason: str) -> None:
    """A run whose metadata cannot be read is skipped with the reason."""
    (found,) = records_in(packed(tmp_path, {"r/metadata.json": data, "r/final/a.txt": b"a"}), "x")
    assert isinstance(found, Unreadable)
    assert found.reason == reason


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
_KEYS = st.sampled_from([*FACTS, "items", "execution_id", "files", "start_time"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(facts=st.dictionaries(_KEYS, _JSON))
def test_any_metadata_are_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, facts: dict[str, Any]
) -> None:
    """Whatever stands under the keys that we look for, a run is read or skipped, never more."""
    path = packed(tmp_path_factory.mktemp("runs"), a_run("r", facts))
    (found,) = records_in(path, "x")
    assert isinstance(found, ForeignRecord | Unreadable)


def test_numbers_in_names_count_as_numbers() -> None:
    """Step 10 comes behind step 2."""
    assert sorted(["step10", "step2", "a"], key=natural_key) == ["a", "step2", "step10"]


@pytest.mark.parametrize(
    ("path", "mime_type", "item_type"),
    [
        ("final/song.mp3", "audio/mpeg", "output_music"),
        ("final/voice.wav", "audio/wav", "output_audio"),
        ("input_photo.jpg", "image/jpeg", "user_input_image"),
        ("prompting_process/sketch.png", "image/png", "interception_image_transformation"),
        ("final/loop.gif", "image/gif", "output_animation"),
        ("final/thing.glb", "model/gltf-binary", "output_3d"),
        ("prompting_process/stage3_safety.txt", "", "stage3_safety_check"),
        ("final/text_output.md", "", "output_text_alternative"),
        ("prompting_process/optimized.txt", "", "optimization_result"),
        ("README", "", "warning"),
    ],
)
def test_files_are_known_by_kind_and_words(path: str, mime_type: str, item_type: str) -> None:
    """Bytes say what a file is, words in its name what it was for."""
    assert guess_of(path, (), mime_type).item_type == item_type
