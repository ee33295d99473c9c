"""Summaries: by a model that is held against the data, or extracted and marked as such."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker_service.deliverables.made import KeptMedia, make_data
from tracker_service.export_workflow.summary.condensing import MAX_CHARS, condensed, in_brief
from tracker_service.export_workflow.summary.extractive import extracted
from tracker_service.export_workflow.summary.facts import FactBook
from tracker_service.export_workflow.summary.machine import (
    MachineSummarizer,
    NoTextError,
    WrittenText,
)
from tracker_service.export_workflow.summary.model import Language, Method, Summary, SummaryTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.export_workflow.documents import JsonValue

DATA: JsonValue = {"visitors": 128, "groups": 6, "favourite": "Der Wal"}
GOOD = "Es kamen 128 Gäste in 6 Gruppen. Am liebsten mochten sie „Der Wal“."
BAD = "Es kamen 500 Gäste."


class Scripted:
    """A model that gives these answers in turn; None: it fails."""

    def __init__(self, answers: Sequence[str | None]) -> None:
        """Take the answers."""
        self._answers = list(answers)
        self.requests: list[tuple[str, str, str]] = []

    async def write(self, rules: str, request: str, safety_level: str) -> WrittenText:
        """See `TextWriter`."""
        self.requests.append((rules, request, safety_level))
        answer = self._answers.pop(0)
        if answer is None:
            raise NoTextError("MODEL_UNAVAILABLE")
        return WrittenText(answer, "ollama/gemma3:4b", 100)


async def summarised(*answers: str | None, data: JsonValue = DATA) -> tuple[Summary, Scripted]:
    """Summarise with a model that gives these answers."""
    model = Scripted(answers)
    task = SummaryTask(data, Language.GERMAN, "Kurz, für Eltern.", "kids")
    return await MachineSummarizer(model).summarise(task), model


async def test_a_good_answer_is_taken() -> None:
    """Its model, tokens and share of facts that occur in the data are told."""
    summary, model = await summarised(f"```\n**{GOOD}**\n```")
    assert summary.text == GOOD
    metadata = summary.metadata
    assert metadata.extraction_method is Method.GENERATIVE
    assert metadata.ai_model == "ollama/gemma3:4b"
    assert (metadata.tokens_used, metadata.confidence_score) == (100, 1.0)
    assert metadata.fallback_reason == ""
    ((rules, request, level),) = model.requests
    assert "Deutsch" in rules
    assert "visitors: 128" in request
    assert "Kurz, für Eltern." in request
    assert level == "kids"


async def test_made_up_numbers_are_asked_for_once_more() -> None:
    """The second request names them; tokens of both attempts count."""
    summary, model = await summarised(BAD, GOOD)
    assert summary.text == GOOD
    assert summary.metadata.tokens_used == 200
    assert "500" not in model.requests[0][1]
    assert "500" in model.requests[1][1]


@pytest.mark.parametrize(
    ("answers", "reason", "tokens"),
    [
        ((BAD, BAD), "NUMBERS_NOT_IN_DATA", 200),
        (("", "Kein Satzende"), "ANSWER_UNUSABLE", 200),
        ((None,), "MODEL_UNAVAILABLE", None),
        ((BAD, None), "MODEL_UNAVAILABLE", 100),
    ],
)
async def test_without_a_good_answer_the_summary_is_extracted(
    answers: tuple[str | None, ...], reason: str, tokens: int | None
) -> None:
    """It says that no model wrote it and why, and its score is measured like any other."""
    summary, _ = await summarised(*answers)
    metadata = summary.metadata
    assert metadata.extraction_method is Method.EXTRACTIVE
    assert metadata.fallback_reason == reason
    assert metadata.ai_model == ""
    assert metadata.tokens_used == tokens
    assert metadata.confidence_score == 1.0
    assert "128" in summary.text


async def test_a_made_up_quotation_lowers_the_score() -> None:
    """It does not forbid the summary, but it shows."""
    summary, _ = await summarised("Es kamen 128 Gäste zu „Die Amsel“.")
    assert summary.metadata.extraction_method is Method.GENERATIVE
    assert summary.metadata.confidence_score == 0.5


async def test_a_model_that_hangs_is_left() -> None:
    """After its time the summary is extracted."""

    class Hanging:
        async def write(self, rules: str, request: str, safety_level: str) -> WrittenText:
            await asyncio.Event().wait()
            raise AssertionError

    task = SummaryTask(DATA, Language.ENGLISH)
    summary = await MachineSummarizer(Hanging(), seconds=0.01).summarise(task)
    assert summary.metadata.fallback_reason == "MODEL_TIMEOUT"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "data",
    [
        make_data(KeptMedia()),
        DATA,
        [{"price": 3.5}, {"price": -1}],
        {},
        [],
        {"executions": [7, None, {"steps": "none"}], "totals": []},
        {"text": "Ein Satz mit „Zitat“ darin. Und noch ein Satz mit 7 Zwergen!\n" * 300},
    ],
)
def test_an_extract_states_only_what_is_in_the_data(language: Language, data: JsonValue) -> None:
    """All its numbers and quotations occur there, whatever the data are; it is never empty."""
    text = extracted(data, language)
    assert text.strip()
    assert FactBook(data).check(text).share_found in (None, 1.0)


def test_an_extract_of_a_sitting_tells_its_figures() -> None:
    """Executions, results, recipes, outputs and edits are told, and what the texts turn around."""
    text = extracted(make_data(KeptMedia()), Language.ENGLISH)
    assert text.startswith(
        "The data describe 10 executions. They began on 2025-10-09. Results: completed: 10. "
        "Recipes: dada: 10. Finished outputs: 10. Edits by hand: 10."
    )
    assert "“Blüte brüllt die Biene leise an und tanzt.”" in text


def test_an_extract_of_nested_data_names_their_fields() -> None:
    """Simple values come first, then those inside of objects; lists by their length."""
    data = {"room": {"name": "Blau", "seats": 12, "guests": [1, 2]}, "year": 2026, "on": True}
    assert extracted(data, Language.ENGLISH) == (
        "year: 2026. room.name: Blau. room.seats: 12. room.guests: 2 entries."
    )


def test_large_data_are_condensed_for_the_model() -> None:
    """A request stays within a small model's window and still shows every kind of thing."""
    data = {"items": [{"name": f"Ding {n}", "about": "x" * 500} for n in range(5_000)], "end": 1}
    text = condensed(data)
    assert len(text) <= MAX_CHARS
    assert "items: (5000)" in text
    assert "end: 1" in text


def test_executions_are_told_to_the_model_by_their_first_and_last_text() -> None:
    """Steps in between are left out, since a small model would see little else."""
    text = condensed(in_brief(make_data(KeptMedia())))
    assert "Eine Blume auf der Wiese" in text
    assert "Biene leise" in text
    assert "A flower" not in text
