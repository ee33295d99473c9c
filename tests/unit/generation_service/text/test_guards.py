"""Guards: the faults of a small model are seen, and good answers pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generation_service.text.embedded.guards import (
    find_fault,
    first_repetition,
    lost_words,
    shorten,
    tidy,
)
from generation_service.text.embedded.library import Library
from generation_service.text.embedded.prompts import PromptWriter
from generation_service.text.interface import TextTask

if TYPE_CHECKING:
    from generation_service.text.embedded.steps import Prompt

WRITER = PromptWriter(Library.load())


def prompt_of(role: str, task: TextTask) -> Prompt:
    """The prompt of a task with one step."""
    [step] = WRITER.steps(role, task, 1)
    assert step.prompt is not None
    return step.prompt


REWRITE = prompt_of("interception", TextTask("Eine Blume", "", "de", config_id="bauhaus"))
TO_ENGLISH = prompt_of("translation", TextTask("Der Hase isst eine Suppe", "", "de", "en"))
TO_JAPANESE = prompt_of("translation", TextTask("Der Hase", "", "de", "ja"))


@pytest.mark.parametrize(
    ("prompt", "answer", "fault"),
    [
        (REWRITE, " ein Kreis auf drei roten Linien.", ""),
        (REWRITE, "", "empty"),
        (REWRITE, " ...", "empty"),
        (REWRITE, "nkohl auf dem Feld", "glued"),
        (REWRITE, " gebaut aus drei schwarzen Rechtecken und mehr", "echo"),
        (REWRITE, " ein Kreis, ein Kreis, ein Kreis, ein Kreis", "repetition"),
        (REWRITE, " die Katze-Katze-Katze-Katze", "repetition"),
        (TO_ENGLISH, "The hare eats a soup", ""),
        (TO_ENGLISH, "The dog is sleeping under the tree.", "echo"),
        (TO_ENGLISH, "Der Hase isst eine Suppe.", "same"),
        (TO_ENGLISH, "Заяц ест суп", "script"),
        (TO_JAPANESE, "うさぎ", ""),
        (TO_JAPANESE, "The hare", "script"),
    ],
)
def test_each_fault_is_named(prompt: Prompt, answer: str, fault: str) -> None:
    """What is wrong has a name; what is fine has none."""
    assert find_fault(answer, prompt) == fault


def test_what_begins_another_example_is_cut_off() -> None:
    """Labels, control tokens and quotation marks around the whole are no part of an answer."""
    assert tidy(" ein Kreis. Satz: Noch", REWRITE) == " ein Kreis."
    assert tidy(' "The hare"<end_of_turn>', TO_ENGLISH) == "The hare"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Ein Satz ist da. Und noch einer ist", "Ein Satz ist da."),
        ("Ein langer Satz, der nicht aufhört, sondern im", "Ein langer Satz, der nicht aufhört."),
        ("Ein Satz ohne jedes Ende und", "Ein Satz ohne jedes Ende."),
        ("Wort", "Wort"),
    ],
)
def test_a_runaway_is_ended_where_it_makes_sense(text: str, short: str) -> None:
    """An answer that was cut in the middle ends with a sentence, a clause or a word."""
    assert shorten(text) == short


def test_circles_are_found_and_honest_repetition_is_not() -> None:
    """Three turns are a circle; a word that comes back now and then is none."""
    turns = "und der Hut und der Hut und der Hut und"
    assert turns[: first_repetition(turns)] == "und der Hut und der Hut"
    assert first_repetition("Die Blume ist rot, die Wiese ist grün, der Himmel ist blau.") is None


def test_lost_words_are_counted_by_their_beginnings() -> None:
    """A plural counts as kept; a missing word does not."""
    assert lost_words("The hares eat soups", TO_ENGLISH) == 1
    assert lost_words("The hare eats a soup", TO_ENGLISH) == 0


def test_a_clause_is_translated_as_a_clause() -> None:
    """A translation begins and ends as its text does, so that the pieces join up."""
    clause = prompt_of("translation", TextTask("die Bäume sind leer", "", "de", "en"))
    assert tidy(" The trees are empty.", clause) == "the trees are empty"
    assert tidy(" I am empty.", clause) == "I am empty"
    sentence = prompt_of("translation", TextTask("Die Bäume sind leer.", "", "de", "en"))
    assert tidy(" The trees are empty.", sentence) == "The trees are empty."
