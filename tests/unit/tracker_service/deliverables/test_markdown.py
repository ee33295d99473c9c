"""Text in Markdown reads as itself, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracker_service.deliverables.reading import compact, markdown_tokens
from tracker_service.export_workflow.deliverables.cleaning import clean
from tracker_service.export_workflow.deliverables.writers.markdown_file import escaped, in_line

PLAIN = {"text", "inline", "paragraph_open", "paragraph_close", "softbreak", "hardbreak"}
MARKUP = st.text(alphabet=st.sampled_from("a1 .)-+*_`~#>=|:[]()<>&!\\\n\t$\"'/@;"), max_size=40)


@given(st.text(max_size=60) | MARKUP)
def test_any_text_is_text(text: str) -> None:
    """It becomes paragraphs that say the same, and nothing else."""
    text = clean(text, "")
    tokens = list(markdown_tokens(escaped(text)))
    assert {token.type for token in tokens} <= PLAIN
    shown = "".join(token.content for token in tokens if token.type == "text")
    assert compact(shown) == compact(text)


@given(st.text(max_size=60) | MARKUP)
def test_any_text_fits_into_a_cell(text: str) -> None:
    """A table stays a table of one row, with line breaks as its only HTML."""
    text = clean(text, "")
    table = f"| a |\n| --- |\n| {in_line(text)} |"
    tokens = list(markdown_tokens(table))
    assert sum(token.type == "td_open" for token in tokens) == 1
    assert {token.content for token in tokens if token.type.startswith("html")} <= {"<br>"}
    shown = "".join(token.content for token in tokens if token.type == "text")
    assert compact(shown) == compact(f"a{text}")


@pytest.mark.parametrize("text", ["a\nb", "1. x", "# x", "- x", "a\n---", "2) x", "    code"])
def test_lines_stay_lines(text: str) -> None:
    """Lines of a text are kept as lines, not taken for lists, headings or code."""
    tokens = [token.type for token in markdown_tokens(escaped(text))]
    assert tokens.count("hardbreak") == text.count("\n")
    assert tokens.count("paragraph_open") == 1
