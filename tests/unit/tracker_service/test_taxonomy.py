"""The table of item types, and the items that are refused because of it."""

from __future__ import annotations

import pytest
import structlog

from tests.unit.tracker_service.builders import make_item
from tracker_service.intake import check_item
from tracker_service.items import MediaRef, Refusal
from tracker_service.taxonomy import RULES, Taxonomy


@pytest.mark.parametrize("name", sorted(RULES))
def test_type_is_let_through_exactly_in_its_stages(name: str) -> None:
    """Each type passes in its stages with its iterations, and is refused everywhere else."""
    rule = RULES[name]
    iterations = {"stage_iteration": 1, "loop_iteration": 1}
    for stage in range(6):
        item = make_item("e", 1, name, stage=stage, **iterations)
        if stage in rule.stages:
            check_item(item, Taxonomy())
            continue
        with pytest.raises(Refusal) as raised:
            check_item(item, Taxonomy())
        assert raised.value.reason == "STAGE_MISMATCH"


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("interception_iteration", "stage_iteration"),
        ("optimization_result", "loop_iteration"),
        ("stage3_safety_check", "loop_iteration"),
        ("stage3_blocked", "loop_iteration"),
        ("output_image", "loop_iteration"),
        ("stage4_blocked", "loop_iteration"),
    ],
)
def test_missing_iteration_is_refused(name: str, needed: str) -> None:
    """A type that belongs to an iteration needs its number."""
    fields = {"stage": min(RULES[name].stages)}
    with pytest.raises(Refusal) as raised:
        check_item(make_item("e", 1, name, **fields), Taxonomy())
    assert raised.value.reason == "ITERATION_MISSING"
    check_item(make_item("e", 1, name, **fields, **{needed: 1}), Taxonomy())


def test_unknown_type_is_kept_with_one_warning() -> None:
    """A type from the future passes in any stage and is warned about once."""
    taxonomy = Taxonomy()
    with structlog.testing.capture_logs() as logs:
        for stage in range(6):
            check_item(make_item("e", 1, "output_hologram", stage=stage), taxonomy)
    assert [(one["event"], one["item_type"]) for one in logs] == [
        ("item_type_unknown", "output_hologram")
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"item_id": "1"}, "INVALID_ID"),
        ({"item_id": "0192F0C0-0000-7000-8000-000000000000"}, "INVALID_ID"),
        ({"execution_id": "a/b"}, "INVALID_ID"),
        ({"execution_id": "e\n"}, "INVALID_ID"),
        ({"execution_id": "x" * 65}, "INVALID_ID"),
        ({"epoch": 0}, "EPOCH_INVALID"),
        ({"sequence_number": 0}, "SEQUENCE_INVALID"),
        ({"sequence_number": 2**53 + 1}, "SEQUENCE_INVALID"),
        ({"occur_time_us": 2**62}, "TIME_INVALID"),
        ({"stage": 6}, "STAGE_MISMATCH"),
        ({"stage": -1}, "STAGE_MISMATCH"),
        ({"stage_iteration": 0}, "ITERATION_INVALID"),
        ({"loop_iteration": -1}, "ITERATION_INVALID"),
        ({"item_type": "Output"}, "ITEM_TYPE_INVALID"),
        ({"item_type": ""}, "ITEM_TYPE_INVALID"),
        ({"content": "ä" * (512 * 1024 + 1)}, "CONTENT_TOO_LARGE"),
        ({"model_used": "m" * 257}, "NAME_TOO_LONG"),
        ({"run_duration_us": -1}, "DURATION_INVALID"),
        ({"media": MediaRef("", "", 0, "", "")}, "MEDIA_INVALID"),
        ({"media": MediaRef("media/x", "zz", 0, "", "")}, "MEDIA_INVALID"),
        ({"media": MediaRef("media/x", "", -1, "", "")}, "MEDIA_INVALID"),
    ],
)
def test_faulty_field_is_refused(fields: dict[str, object], reason: str) -> None:
    """Each limit of a field has its reason."""
    values = {"execution_id": "e", "sequence_number": 1, **fields}
    execution_id, number = values.pop("execution_id"), values.pop("sequence_number")
    item = make_item(str(execution_id), number, **values)  # type: ignore[arg-type]
    with pytest.raises(Refusal) as raised:
        check_item(item, Taxonomy())
    assert raised.value.reason == reason


def test_largest_content_is_kept() -> None:
    """A content of exactly 1 MiB passes, whatever its characters."""
    check_item(make_item("e", 1, content="a" * 1024 * 1024), Taxonomy())
    check_item(make_item("e", 1, content="ä" * (512 * 1024)), Taxonomy())
