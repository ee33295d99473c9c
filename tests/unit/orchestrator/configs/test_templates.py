"""Rendering: one pass, so that a learner's text stays what it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.configs import render
from orchestrator.configs.templates import PLACEHOLDERS, is_known_placeholder

TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="{}ABCINPUT_TEX \n\\\"'$%"),
    st.sampled_from(
        [
            "{{CONTEXT}}", "{{INPUT_TEXT}}", "{{{{INPUT_TEXT}}}}", "{0} %s ${x} \\1 \\g<0>",
            "«Wörter» “quotes” 'and' \"more\"", "שלום עולם", "مرحبا {{CONTEXT}}", "👩‍👩‍👧 🌸",
            "}}{{", "{{", "x" * 20_000, "{{X}}" * 4_000, "\u202eRTL\u202c", "\x00",
        ]
    ),
)  # fmt: skip


@given(text=TEXTS)
def test_text_arrives_unchanged(text: str) -> None:
    """Whatever a learner writes arrives letter by letter."""
    assert render("{{INPUT_TEXT}}", {"INPUT_TEXT": text, "CONTEXT": "no"}) == text


@given(text=TEXTS, context=TEXTS)
def test_values_never_meet(text: str, context: str) -> None:
    """Placeholders inside one value are not filled with another."""
    rendered = render(
        "a{{CONTEXT}}b{{ INPUT_TEXT }}c{{CONTEXT}}", {"INPUT_TEXT": text, "CONTEXT": context}
    )
    assert rendered == f"a{context}b{text}c{context}"


@given(template=st.text(alphabet="{}AB \n"), text=TEXTS)
def test_what_is_no_placeholder_stays(template: str, text: str) -> None:
    """Braces that name nothing known stay as they are."""
    assert render(template, {"INPUT_TEXT": text}) == template


def test_known_name_without_value_is_empty() -> None:
    """A name that has no value in this run leaves nothing behind."""
    assert render("[{{CONTEXT}}][{{INPUT_TEXT_9}}]", {}) == "[][]"


@pytest.mark.parametrize("name", [*sorted(PLACEHOLDERS), "INPUT_TEXT_2", "INPUT_TEXT_9"])
def test_known_names(name: str) -> None:
    """The names of the guide are known."""
    assert is_known_placeholder(name)


@pytest.mark.parametrize("name", ["", "X", "input_text", "INPUT_TEXT_1", "INPUT_TEXT_10"])
def test_unknown_names(name: str) -> None:
    """Other names are not."""
    assert not is_known_placeholder(name)
