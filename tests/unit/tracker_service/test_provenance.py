"""What was made from what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.tracker_service.builders import make_item
from tests.unit.tracker_service.export_records import multi_output
from tracker_service.export.provenance import is_output, is_verdict, sources_of

if TYPE_CHECKING:
    from tracker_service.items import ExecutionItem

Told = tuple[str, int, dict[str, Any]]


def chain(*told: Told) -> dict[str, list[str]]:
    """Return the types of the sources of each item, by its type and output."""
    items = [
        make_item("e", number, item_type, stage=stage, content="x", **fields)
        for number, (item_type, stage, fields) in enumerate(told, 1)
    ]
    return {
        _name(item): [_name(source) for source in sources_of(items).get(item.item_id, ())]
        for item in items
    }


def _name(item: ExecutionItem) -> str:
    return f"{item.item_type}{item.loop_iteration or ''}"


def test_every_output_leads_back_to_the_input() -> None:
    """From each picture of a whole run one reaches the person's text."""
    record = multi_output()
    sources = sources_of(record.items)
    for item in filter(is_output, record.items):
        while item.item_id in sources:
            (item,) = sources[item.item_id]
        assert item.item_type == "user_input_text"


def test_outputs_have_ways_of_their_own() -> None:
    """What was translated for one output is no source of the other one."""
    found = chain(
        ("user_input_text", 1, {}),
        ("interception_final", 2, {}),
        ("optimization_result", 2, {"loop_iteration": 1}),
        ("translation_result", 3, {"loop_iteration": 1}),
        ("optimization_result", 2, {"loop_iteration": 2}),
        ("output_image", 4, {"loop_iteration": 1}),
        ("output_music", 4, {"loop_iteration": 2}),
    )
    assert found["optimization_result1"] == ["interception_final"]
    assert found["translation_result1"] == ["optimization_result1"]
    assert found["optimization_result2"] == ["interception_final"]
    assert found["output_image1"] == ["translation_result1"]
    assert found["output_music2"] == ["optimization_result2"]


def test_all_inputs_are_sources() -> None:
    """A text and a picture together are what the first work is made from."""
    found = chain(
        ("user_input_text", 1, {}),
        ("user_input_image", 1, {}),
        ("interception_final", 2, {}),
    )
    assert found["interception_final"] == ["user_input_text", "user_input_image"]


def test_verdicts_judge_and_make_nothing() -> None:
    """A verdict points at what it judged, and the work goes on from that."""
    found = chain(
        ("user_input_text", 1, {}),
        ("stage1_safety_check", 1, {}),
        ("interception_final", 2, {}),
    )
    assert found["stage1_safety_check"] == ["user_input_text"]
    assert found["interception_final"] == ["user_input_text"]
    assert is_verdict(make_item("e", 1, "stage4_blocked"))


def test_edit_names_what_it_changed() -> None:
    """An edit's source is the item that it says, wherever the work stands."""
    first = make_item("e", 1, "user_input_text", stage=1, content="x")
    second = make_item("e", 2, "interception_iteration", stage=2, stage_iteration=1, content="x")
    third = make_item("e", 3, "interception_final", stage=2, content="x")
    edit = make_item(
        "e", 4, "user_edit", stage=2, content="y", metadata={"of_item": second.item_id}
    )
    assert sources_of([first, second, third, edit])[edit.item_id] == (second,)


def test_notes_have_no_sources() -> None:
    """Starts, ends, transitions and warnings are no works."""
    found = chain(("pipeline_start", 0, {}), ("stage_transition", 1, {}), ("warning", 1, {}))
    assert found == {"pipeline_start": [], "stage_transition": [], "warning": []}
