"""Reading records from elsewhere: older forms, run folders, files of all kinds."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.tracker_service.export_records import all_three
from tracker_service.export.facts import rows_of
from tracker_service.export.json_form import dump, dump_line
from tracker_service.importing.ids import derived_id, execution_id_of, is_item_id
from tracker_service.importing.json_records import read_record
from tracker_service.importing.model import ForeignRecord, Unreadable, UnreadableError
from tracker_service.importing.sources import records_in
from tracker_service.intake import check_item
from tracker_service.records import ExecutionRecord, ExecutionState
from tracker_service.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pathlib import Path

ONE_ZERO: dict[str, Any] = {
    "execution_id": "exec_20251103_225522_abc123",
    "config_name": "dada",
    "execution_mode": "eco",
    "safety_level": "kids",
    "user_id": "",
    "session_id": "s-1",
    "start_time": "2025-11-03T22:55:22",
    "items": [
        {
            "sequence_number": 1,
            "timestamp": "2025-11-03T22:55:22.5",
            "stage": 1,
            "item_type": "user_input_text",
            "media_type": "text",
            "content": "Eine Blume",
        },
        {
            "sequence_number": 2,
            "timestamp": "2025-11-03T22:55:24",
            "stage": 2,
            "stage_iteration": 1,
            "item_type": "interception_iteration",
            "media_type": "text",
            "content": "A flower",
            "model_used": "gemma",
            "execution_time": 1.5,
            "metadata": {"seed": 2**63},
        },
        {
            "sequence_number": 3,
            "timestamp": "2025-11-03T22:55:30",
            "stage": 4,
            "item_type": "output_image",
            "media_type": "image",
            "file_path": "exports/x.png",
            "prompt_id": "p-1",
        },
    ],
    "end_time": "2025-11-03T22:55:31",
}
DRAFT: dict[str, Any] = {
    "execution_id": "old one/1",
    "config_name": "dada",
    "safety_level": "off",
    "status": "completed",
    "start_time": "2025-10-01T10:00:00Z",
    "items": [
        {"stage": "stage1_translation", "item_type": "pipeline_input_text", "content": "Blume"},
        {"stage": "stage1_translation", "item_type": "translation_result", "content": "flower"},
        {"stage": "stage1_safety", "item_type": "safety_check_result", "metadata": {"safe": True}},
        {
            "stage": "stage2_interception",
            "stage_step": 2,
            "item_type": "interception_result",
            "content": "A flower",
        },
        {"stage": "stage3_safety", "item_type": "pre_output_safety_check"},
        {"stage": "stage4_generation", "item_type": "generation_result", "media_type": "music"},
    ],
}


def stored_as(record: ForeignRecord) -> list[str]:
    """Return the item types of a record, each of which a tracker would take, by number."""
    for item in record.items:
        check_item(item, Taxonomy())
    numbers = [item.sequence_number for item in record.items]
    assert numbers == list(range(1, len(numbers) + 1))
    return [item.item_type for item in record.items]


# --- JSON ----------------------------------------------------------------------------------------


def test_own_form_comes_back_equal() -> None:
    """What we exported reads back as it was, field by field, late and erased ones too."""
    for record in all_three():
        read = read_record(json.loads(dump(record)), "file")
        again = ExecutionRecord(read.summary, read.items)
        assert list(rows_of(again)) == list(rows_of(record))
        assert read.summary == record.summary


def test_record_of_taxonomy_1_0_is_whole() -> None:
    """A start and an end are added and marked; ids, times, seeds and modes are kept."""
    read = read_record(ONE_ZERO, "file")
    assert stored_as(read) == [
        *("pipeline_start", "user_input_text", "interception_iteration", "output_image"),
        "pipeline_complete",
    ]
    assert read.summary.state is ExecutionState.COMPLETED
    assert (read.summary.session_id, read.summary.user_id) == ("s-1", "")
    assert json.loads(read.items[0].metadata_json)["imported"] == {
        "added": True,
        "execution_mode": "eco",
    }
    assert json.loads(read.items[2].metadata_json)["seed"] == 2**63
    assert read.items[2].run_duration_us == 1_500_000
    assert read.items[3].loop_iteration == 1
    assert read.items[3].backend_job_id == "p-1"


def test_draft_form_is_translated() -> None:
    """Stages that were words and types of their own become ours; what they were is noted."""
    read = read_record(DRAFT, "file")
    assert stored_as(read) == [
        *("pipeline_start", "user_input_text", "translation_result", "stage1_safety_check"),
        *("interception_final", "stage3_safety_check", "output_music", "pipeline_complete"),
    ]
    assert read.summary.safety_level == "off"
    assert read.summary.execution_id.startswith("old_one_1-")
    assert json.loads(read.items[4].metadata_json)["imported"] == {
        "stage": "stage2_interception",
        "item_type": "interception_result",
        "stage_step": 2,
    }


def test_ids_are_the_same_at_every_import() -> None:
    """An item without an id gets the same one again, and it looks like any other."""
    first, again = (read_record(DRAFT, "file").items for _ in range(2))
    assert [item.item_id for item in first] == [item.item_id for item in again]
    assert all(is_item_id(item.item_id) for item in first)
    assert derived_id(1, "a") != derived_id(1, "b")
    assert execution_id_of("0190-abc") == "0190-abc"
    assert len(execution_id_of("ü" * 100)) <= 64


def test_unknown_types_are_kept() -> None:
    """A type that nobody knows is read as it is."""
    odd = ONE_ZERO | {"items": [*ONE_ZERO["items"], {"stage": 2, "item_type": "Brand-New Thing"}]}
    read = read_record(odd, "file")
    assert "brand_new_thing" in {item.item_type for item in read.items}


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ([], "NO_RECORD"),
        ({"a": 1}, "NO_RECORD"),
        ({"execution_id": "x", "items": []}, "NO_ITEMS"),
        ({"items": [{}]}, "RECORD_INVALID"),
        ({"execution_id": "x", "items": [1]}, "RECORD_INVALID"),
        ({"execution_id": "x", "items": [{"stage": [1]}]}, "RECORD_INVALID"),
    ],
)
def test_what_is_no_record_is_named(form: Any, reason: str) -> None:
    """A damaged record is refused with a reason, never with an accident."""
    with pytest.raises(UnreadableError) as raised:
        read_record(form, "file")
    assert raised.value.reason == reason


# --- files ---------------------------------------------------------------------------------------


def test_every_kind_of_json_file(tmp_path: Path) -> None:
    """An array, lines and a single record hold the same; a bad line is named and the rest read."""
    records = all_three()
    path = tmp_path / "file"
    path.write_text("[" + ",\n".join(map(dump, records)) + "]")
    assert _ids(path) == [record.summary.execution_id for record in records]
    lines = [dump_line(record) for record in records]
    path.write_text("\n".join([lines[0], "{broken", *lines[1:]]))
    assert _ids(path) == [records[0].summary.execution_id, "NO_JSON", *_ids_of(records[1:])]
    path.write_text(dump(records[0]))
    assert _ids(path) == _ids_of(records[:1])
    path.write_text("no record at all")
    assert _ids(path) == ["NO_JSON"]


def test_long_arrays_are_read_piece_by_piece(tmp_path: Path) -> None:
    """Records larger than a piece, and many of them, come one by one."""
    long = json.loads(dump(all_three()[0]))
    long["items"][1]["content"] = "ü" * 3_000_000
    path = tmp_path / "file"
    path.write_text(json.dumps([long, long, *[json.loads(dump(all_three()[2]))] * 50]))
    assert len(_ids(path)) == 52


def test_broken_archive_is_named(tmp_path: Path) -> None:
    """An archive that was cut off says so."""
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records/a.json", dump(all_three()[0]))
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)
    path.write_bytes(data)
    (found,) = records_in(path, "file.zip")
    assert isinstance(found, Unreadable)
    assert found.reason in ("ARCHIVE_BROKEN", "NO_JSON")


def _ids(path: Path) -> list[str]:
    return [
        one.reason if isinstance(one, Unreadable) else one.summary.execution_id
        for one in records_in(path, "file")
    ]


def _ids_of(records: list[ExecutionRecord]) -> list[str]:
    return [record.summary.execution_id for record in records]
