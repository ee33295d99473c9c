"""Which figures and quotations of a text count as taken from data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker_service.export_workflow.summary.facts import FactBook

if TYPE_CHECKING:
    from tracker_service.export_workflow.documents import JsonValue

DATA: JsonValue = {
    "executions": [{"id": "e1"}, {"id": "e2"}, {"id": "e3"}],
    "visitors": 12_345,
    "share": 0.875,
    "rate": 0.87,
    "seconds": 17.256,
    "loss": -40,
    "started": "2026-11-20T09:05:00Z",
    "idea": "Sieben „kleine“ Zwerge\nsuchen ihren Berg.",
    "seed": 2**64 + 1,
    "room 101": True,
}
BOOK = FactBook(DATA)


@pytest.mark.parametrize(
    "text",
    [
        "Es gab 3 Läufe.",  # the length of a list
        "There were three executions.",
        "12345, 12.345, 12,345 and 12 345 visitors",
        "12’345 Gäste",
        "Ein Anteil von 0,875 oder 0.88, also 87.5 % oder 88 %.",
        "17,256 s, rund 17,3 s oder 17 s",
        "minus 40",
        "am 20.11.2026 um 9:05 Uhr",
        "7 Zwerge, seven dwarfs",
        "vierzig, und siebenundachtzig Prozent",
        "١٢٣٤٥ زائر",
        f"seed {2**64 + 1}",
        "room 101",
        "ein Haus, one house",  # articles are no numbers
    ],
)
def test_numbers_of_the_data_are_known(text: str) -> None:
    """A number counts however it is written, rounded, or told as a share."""
    assert BOOK.check(text).unknown_numbers == ()


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("4 Läufe", ("4",)),
        ("four executions", ("four",)),
        ("zwölf Gäste und 3 Läufe", ("zwölf",)),
        (
            "dreiunddreißig oder Twenty-three, sechs-mal",
            ("dreiunddreißig", "Twenty-three", "sechs"),
        ),
        ("THIRTY und DREISSIG", ("THIRTY", "DREISSIG")),
        ("12346 visitors", ("12346",)),
        ("17,4 s", ("17,4",)),
        ("86 %", ("86",)),
        ("am 21.11.2026", ("21.11.2026",)),
        (f"seed {2**64}", (str(2**64),)),
        ("⅞ der Gäste und ⁴", ("8", "4")),
    ],
)
def test_numbers_that_were_made_up_are_found(text: str, unknown: tuple[str, ...]) -> None:
    """Every number that the data do not have is named as it was written."""
    assert BOOK.check(text).unknown_numbers == unknown


def test_quotations_are_looked_up() -> None:
    """A quotation counts whatever its marks, spaces, capitals and omissions are."""
    text = '„Sieben ‚kleine‘ Zwerge suchen …“, “suchen ihren Berg” and "ein Tal" von «Zwergen»'
    findings = BOOK.check(text)
    assert findings.unknown_quotations == ("ein Tal", "Zwergen")
    assert findings.checked == 4
    assert findings.share_found == 0.5


def test_a_text_without_facts_has_no_score() -> None:
    """Nothing checked is not the same as everything found."""
    findings = BOOK.check("Ein schöner Tag.")
    assert (findings.checked, findings.share_found) == (0, None)


VALUES = st.integers() | st.floats(min_value=1e-4, max_value=1e15) | st.text()


@given(st.lists(VALUES, min_size=1))
def test_any_data_know_their_own_numbers_and_texts(data: list[int | float | str]) -> None:
    """Whatever stands in the data may be said of them."""
    said = " ; ".join(map(str, data))
    assert FactBook(data).check(said).unknown_numbers == ()
