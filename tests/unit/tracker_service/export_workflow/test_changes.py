"""What a person changed, and how much of the machine's data that leaves."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_service.export_workflow.changes import changes_between, unchanged_share
from tracker_service.export_workflow.documents import count_fields
from tracker_service.export_workflow.model import ChangeType
from tracker_service.export_workflow.paths import general_text, path_text

if TYPE_CHECKING:
    from tracker_service.export_workflow.model import FieldChange

MODIFICATION, ADDITION, DELETION = ChangeType


def told(before: Any, after: Any) -> list[tuple[Any, ...]]:
    """Return the changes as (field, type, old, new), and where moved items came from."""
    return [
        (one.field, one.change_type, one.old, one.new)
        if one.moved_from is None
        else (one.field, "moved", path_text(one.moved_from))
        for one in changes_between(before, after)
    ]


def test_every_kind_of_edit_is_found_exactly() -> None:
    """Modification, addition, deletion, nested, type and Unicode: each once, by its path."""
    before = {
        "titel": "Blume",
        "count": 3,
        "größe": {"höhe": "5 m", "farbe": "rot"},
        "gone": {"a": 1},
        "flag": True,
        "__private": 1,
    }
    after = {
        "titel": "Blüte 🌼",
        "count": "3",
        "größe": {"höhe": "6 m", "farbe": "rot", "duft": None},
        "flag": 1,
        "__private": 2,
    }
    assert told(before, after) == [
        ("titel", MODIFICATION, "Blume", "Blüte 🌼"),
        ("count", MODIFICATION, 3, "3"),
        ("größe.höhe", MODIFICATION, "5 m", "6 m"),
        ("größe.duft", ADDITION, None, None),
        ("flag", MODIFICATION, True, 1),
        ("__private", MODIFICATION, 1, 2),
        ("gone", DELETION, {"a": 1}, None),
    ]


def test_keys_with_dots_and_quotes_have_paths_of_their_own() -> None:
    """A key that is no plain word is quoted, so that two places never share a path."""
    before = {"a": {"b": 1}, "a.b": 1, 'say "hi"': 1, "": 1, "x[0]": 1, "root['a']": 1, "1": 1}
    after = dict.fromkeys(before, 2)
    assert [field for field, *_ in told(before, after)] == [
        "a",
        '["a.b"]',
        '["say \\"hi\\""]',
        '[""]',
        '["x[0]"]',
        "[\"root['a']\"]",
        '["1"]',
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["a", "b", "c"], ["a", "x", "b", "c"], [("[1]", ADDITION, None, "x")]),
        (["a", "b", "c"], ["b", "c"], [("[0]", DELETION, "a", None)]),
        (["a", "b", "c"], ["a", "B", "c"], [("[1]", MODIFICATION, "b", "B")]),
        (["a", "b", "c"], ["c", "a", "b"], [("[0]", "moved", "[2]")]),
        (["a", "a", "b"], ["x", "a", "a", "b"], [("[0]", ADDITION, None, "x")]),
        (["a", "b", "a"], ["b", "a"], [("[0]", DELETION, "a", None)]),
        (
            ["a", "b", "c"],
            ["x", "a", "b", "C"],
            [("[0]", ADDITION, None, "x"), ("[3]", MODIFICATION, "c", "C")],
        ),
    ],
)
def test_lists_are_matched_as_a_person_would(before: Any, after: Any, expected: Any) -> None:
    """An item that is put in, taken out, edited or moved is one change, whatever its neighbours."""
    assert told(before, after) == expected


def test_items_with_ids_are_followed_wherever_they_go() -> None:
    """A moved and edited item is told as moved, and each edit inside of it by its new place."""
    before: Any = {"items": [{"id": n, "price": n, "tags": ["x", "y"]} for n in range(4)]}
    after = copy.deepcopy(before)
    after["items"].insert(0, after["items"].pop(2))
    after["items"][0]["price"] = 20
    after["items"][0]["tags"].append("z")
    del after["items"][3]
    assert told(before, after) == [
        ("items[0]", "moved", "items[2]"),
        ("items[0].price", MODIFICATION, 2, 20),
        ("items[0].tags[2]", ADDITION, None, "z"),
        ("items[3]", DELETION, before["items"][3], None),
    ]


def test_items_without_ids_are_matched_by_likeness() -> None:
    """Of objects that nothing names, those that share half of their entries are the same."""
    before = [{"who": "anna", "idea": "Blume", "n": 1}, {"who": "ben", "idea": "Haus", "n": 2}]
    after = [{"new": True}, {"who": "anna", "idea": "Baum", "n": 1}, before[1]]
    assert told(before, after) == [
        ("[0]", ADDITION, None, {"new": True}),
        ("[1].idea", MODIFICATION, "Blume", "Baum"),
    ]


def test_references_by_id_are_not_followed() -> None:
    """Objects that name each other in a circle are compared like any others."""
    before = [{"id": 1, "next": 2}, {"id": 2, "next": 1}]
    after = [{"id": 1, "next": 2}, {"id": 2, "next": 2}]
    assert told(before, after) == [("[1].next", MODIFICATION, 1, 2)]


def test_spelling_of_numbers_and_order_of_keys_are_no_changes() -> None:
    """What a browser makes of untouched data is untouched."""
    assert told({"a": 1.0, "b": [2.0, 1e3]}, {"b": [2, 1000], "a": 1}) == []


def test_the_whole_can_be_replaced() -> None:
    """An object that becomes a list is one change of everything."""
    before, after = {"a": 1, "b": 2}, [1, 2]
    assert told(before, after) == [("$", MODIFICATION, before, after)]
    assert unchanged_share(before, changes_between(before, after)) == 0.0


def test_accuracy_is_what_one_counts_by_hand() -> None:
    """Fields that were modified or deleted count against the machine; added and moved ones not."""
    before = {
        "title": "a",  # modified
        "people": [{"name": "x", "age": 1}, {"name": "y", "age": 2}],  # one age modified; moved
        "gone": {"one": 1, "two": [1, 2]},  # three fields
        "kept": [1, {}, None],  # three fields
    }
    assert count_fields(before) == 11
    after = {
        "title": "b",
        "people": [{"name": "y", "age": 3}, {"name": "x", "age": 1}],
        "kept": [1, {}, None],
        "added": [1, 2, 3],
    }
    assert unchanged_share(before, changes_between(before, after)) == 6 / 11
    assert unchanged_share(before, ()) == 1.0
    assert unchanged_share({}, changes_between({}, {"a": 1})) is None


def test_fields_are_counted_without_their_indexes() -> None:
    """The same field of all items of a list has one name in figures."""
    (change,) = changes_between({"a": [{"b.c": 1}]}, {"a": [{"b.c": 2}]})
    assert (change.field, change.general_field) == ('a[0]["b.c"]', 'a[]["b.c"]')
    assert general_text(()) == "$"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.floats(-2, 2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
DOCUMENTS = st.lists(VALUES, max_size=5) | st.dictionaries(st.text(max_size=3), VALUES)


@settings(max_examples=150, deadline=None)
@given(before=DOCUMENTS, after=DOCUMENTS)
def test_changes_say_what_stands_where(before: Any, after: Any) -> None:
    """Every change names a place that has its value, and nothing changes where none is told."""
    changes = changes_between(before, after)
    for change in changes:
        if change.change_type is not DELETION:
            assert same(at(after, change.path), change.new)
        if change.change_type is not ADDITION and change.moved_from is None:
            assert change.old is None or contains(before, change.old)
    assert bool(changes) == (not same(before, after))
    share = unchanged_share(before, changes)
    assert share is None or 0.0 <= share <= 1.0
    assert_all_deletions_exist(before, changes)


def assert_all_deletions_exist(before: Any, changes: tuple[FieldChange, ...]) -> None:
    """Check that what is told as deleted was there."""
    for change in changes:
        if change.change_type is DELETION:
            assert same(at(before, change.path), change.old)


def at(value: Any, path: Any) -> Any:
    """Return what stands at a path."""
    for step in path:
        value = value[step]
    return value


def contains(value: Any, part: Any) -> bool:
    """Tell whether a value is or holds another."""
    children = value.values() if isinstance(value, dict) else value
    return same(value, part) or (
        isinstance(value, (dict, list)) and any(contains(child, part) for child in children)
    )


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON, numbers by value."""
    return canonical(one) == canonical(other)


def canonical(value: Any) -> str:
    """Return JSON in one spelling."""

    def plain(part: Any) -> Any:
        if isinstance(part, float) and part.is_integer():
            return int(part)
        if isinstance(part, dict):
            return {key: plain(child) for key, child in part.items()}
        return [plain(child) for child in part] if isinstance(part, list) else part

    return json.dumps(plain(value), sort_keys=True)
