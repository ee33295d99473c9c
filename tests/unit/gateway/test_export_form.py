"""Data as a form and back: only what a person changed changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pages.export_form import Node, edited, field_count, tree
from servicekit.errors import InvalidArgumentError

SINGLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DATA = st.recursive(
    st.dictionaries(st.text(), SINGLE) | st.lists(SINGLE),
    lambda inner: st.dictionaries(st.text(), inner | SINGLE) | st.lists(inner | SINGLE),
    max_leaves=20,
)
ORDER = {
    "customer": "Käserei",
    "items": [{"name": "Käse", "price": 12.5}, {"name": "Seife", "price": 3}],
    "tags": ["a", "b"],
    "paid": False,
    "note": None,
    "a/b~c": "odd",
}


def leaves(node: Node) -> list[Node]:
    """Return the single values of a form."""
    if node.is_single:
        return [node]
    return [leaf for child in node.children for leaf in leaves(child)]


def sent(text: str) -> str:
    """Return a text as browsers send it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


@given(DATA)
def test_a_form_sent_back_untouched_changes_nothing(data: Any) -> None:
    """Whatever the data are, also with lines that browsers end in two characters."""
    fields = [(f"field:{leaf.pointer}", sent(leaf.text)) for leaf in leaves(tree(data))]
    assert len(fields) == field_count(data)
    assert edited(data, fields) == data


@pytest.mark.parametrize(
    ("fields", "path", "expected"),
    [
        ({"field:/customer": "Seifner"}, ["customer"], "Seifner"),
        ({"field:/items/0/price": "13,75"}, ["items", 0, "price"], 13.75),
        ({"field:/items/1/price": " 4 "}, ["items", 1, "price"], 4),
        ({"field:/paid": "true"}, ["paid"], True),
        ({"field:/note": "later"}, ["note"], "later"),
        ({"field:/a~1b~0c": "even"}, ["a/b~c"], "even"),
        ({"add:/tags": "c"}, ["tags"], ["a", "b", "c"]),
        ({"name:": "total", "value:": "16.25"}, ["total"], 16.25),
        ({"name:/items/0": "code", "value:/items/0": "007"}, ["items", 0, "code"], "007"),
        ({"remove": "/items/0"}, ["items"], [{"name": "Seife", "price": 3}]),
    ],
)
def test_a_change_is_of_the_kind_that_the_field_is(
    fields: dict[str, str], path: list[Any], expected: Any
) -> None:
    """Numbers stay numbers, also as German writes them; what is added is read as it looks."""
    found = edited(ORDER, fields.items())
    for key in path:
        found = found[key]
    assert (found, type(found)) == (expected, type(expected))


def test_much_can_go_at_once() -> None:
    """Items of one list, and fields in items that go too."""
    gone = ["/items/0", "/items/1", "/items/1/price", "/tags/0", "/tags/1", "/note"]
    found = edited(ORDER, [("remove", pointer) for pointer in gone])
    assert (found["items"], found["tags"], "note" in found) == ([], [], False)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"field:/items/0/price": "viel"}, "NUMBER_INVALID"),
        ({"field:/items/0/price": "inf"}, "NUMBER_INVALID"),
        ({"field:/items/9/price": "1"}, "FIELD_UNKNOWN"),
        ({"field:": "1"}, "FIELD_UNKNOWN"),
        ({"field:customer": "1"}, "FIELD_UNKNOWN"),
        ({"add:/customer": "1"}, "FIELD_UNKNOWN"),
        ({"name:/tags": "x", "value:/tags": "1"}, "FIELD_UNKNOWN"),
        ({"name:": "paid", "value:": "1"}, "NAME_TAKEN"),
        ({"remove": "/nothing"}, "FIELD_UNKNOWN"),
        ({"json": "{"}, "DOCUMENT_INVALID"),
        ({"json": "[" * 100_000}, "DOCUMENT_INVALID"),
    ],
)
def test_a_faulty_form_names_its_field(fields: dict[str, str], reason: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidArgumentError) as caught:
        edited(ORDER, fields.items())
    assert caught.value.reason == reason


def test_large_data_come_as_text() -> None:
    """A text of JSON stands for all of it."""
    assert edited(ORDER, [("json", '{"only": [1]}')]) == {"only": [1]}
