"""Few-shot prompts: what the small model is told for a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_service.text.embedded.library import Library
from generation_service.text.embedded.pieces import group_sentences, split_sentences
from generation_service.text.embedded.prompts import PromptWriter
from generation_service.text.embedded.rewriting import opening
from generation_service.text.interface import TextTask

if TYPE_CHECKING:
    from generation_service.text.embedded.steps import Step

LIBRARY = Library.load()
WRITER = PromptWriter(LIBRARY)


def only(steps: list[Step]) -> str:
    """The whole prompt of a task with one step."""
    [step] = steps
    assert step.prompt is not None
    return step.prompt.examples + step.prompt.tail


@given(st.text(alphabet="aB .!?\n。ß", max_size=300), st.integers(3, 50))
def test_pieces_join_up_to_the_text(text: str, max_chars: int) -> None:
    """Cutting loses and adds nothing, and no piece is too long."""
    for cut in (split_sentences, group_sentences):
        parts = cut(text, max_chars)
        assert "".join(part.text + part.separator for part in parts) == text.strip()
        assert all(len(part.text) <= max_chars for part in parts)


def test_sentences_are_translated_one_by_one() -> None:
    """Every sentence is a step of its own; line breaks stay where they were."""
    task = TextTask("Der Hase lacht. Er hat z. b. schon Hunger!\n\nDann geht er.", "", "de", "en")
    steps = WRITER.steps("translation", task, 1)
    assert [(s.text, s.separator) for s in steps] == [
        ("Der Hase lacht.", " "),
        ("Er hat z. b. schon Hunger!", "\n\n"),
        ("Dann geht er.", ""),
    ]


def test_moves_are_translated_from_memory() -> None:
    """What the attitude said is known in both languages; the model gets the clauses around it."""
    text = (
        "Ein Ei, daneben schmilzt eine Uhr, und es singt. Ringsum stehen hohe Bäume, und es lebt."
    )
    steps = WRITER.steps("translation", TextTask(text, "", "de", "en"), 1)
    asked = [step.text for step in steps if step.prompt]
    assert asked == ["Ein Ei", "es singt.", "es lebt."]
    assert "".join(step.text + step.separator for step in steps) == (
        "Ein Ei, beside it a clock is melting, and es singt. "
        "All around stand tall trees, and es lebt."
    )


def test_every_move_has_its_translation() -> None:
    """Moves stand in the same order in both languages."""
    for attitude in LIBRARY.interception.attitudes.values():
        assert len(attitude.de.moves) == len(attitude.en.moves)


def test_known_words_are_shown_before_the_text() -> None:
    """A word that the model mistakes is an example right before the text, declined or not."""
    prompt = only(WRITER.steps("translation", TextTask("Zwei Drachen", "", "de", "en"), 1))
    assert prompt.endswith("Deutsch: Drachen\nEnglish: dragon\n\nDeutsch: Zwei Drachen\nEnglish:")


def test_any_two_languages_can_be_paired() -> None:
    """The telephone game has at least twenty languages, every pair of which has examples."""
    languages = LIBRARY.translation.languages
    assert len(languages) >= 20
    for code, language in languages.items():
        other = "en" if code != "en" else "de"
        prompt = only(WRITER.steps("interception", TextTask("Hallo", "", code, other), 1))
        assert language.phrases[0] in prompt
        assert languages[other].phrases[0] in prompt


def test_a_language_that_nobody_knows_stays_as_it_is() -> None:
    """No prompt is made up for an unknown language."""
    [step] = WRITER.steps("translation", TextTask("Hallo", "", "de", "tlh"), 1)
    assert step.prompt is None


@pytest.mark.parametrize(
    ("task", "label"),
    [
        (TextTask("Ein Ei", "", "de", config_id="bauhaus"), "Bauhaus: "),
        (TextTask("An egg", "Everything becomes a Dada collage.", "en"), "Dada: "),
        (TextTask("Ein Ei", "Übertreibe maßlos!", "de"), "Übertreibung: "),
        (TextTask("Ein Ei", "Alles ist aus Gold.", "de", config_id="x"), "Alles ist aus Gold."),
        (TextTask("Un œuf", "", "fr"), "Rule: "),
        (TextTask("Ein Ei ist auf dem Tisch"), "Regel: "),
    ],
)
def test_the_attitude_follows_config_context_and_language(task: TextTask, label: str) -> None:
    """A config's id chooses the examples, else its context's words, else a rule is shown."""
    assert label in only(WRITER.steps("interception", task, 1))


def test_the_answer_begins_with_the_text_itself() -> None:
    """The model can only go on, so the subject stays; braces and quotes are nothing special."""
    [step] = WRITER.steps("interception", TextTask('Ein {{"Ei"}}!', "", "de"), 1)
    assert step.prompt is not None
    assert step.prompt.tail.endswith('Ein {{"Ei"}}')
    assert step.prompt.beginning in step.prompt.tail


def test_the_move_is_drawn_by_the_seed() -> None:
    """The same seed draws the same move, others draw others."""
    task = TextTask("Ein Ei", "", "de", config_id="dada")
    drawn = [only(WRITER.steps("interception", task, seed)) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 2


def test_where_the_model_fails_a_second_move_stands_in() -> None:
    """Every attitude has a whole sentence of its own for a text that the model cannot do."""
    for id_, attitude in LIBRARY.interception.attitudes.items():
        for language in ("de", "en"):
            [step] = WRITER.steps("interception", TextTask("Ein Ei!", "", language, "", id_), 1)
            moves = attitude.wording(language).moves
            assert sum(move in step.text for move in moves) == (2 if moves else 0)


def test_a_chunk_may_have_an_attitude_of_its_own() -> None:
    """The chunk's id goes before the config's; a remark about a text is made once."""
    long = "Ein Hund bellt laut im Park. " * 20
    task = TextTask(long, "", "de", "", "split_and_combine", "part_sound")
    assert "Klang: Man hört" in only(WRITER.steps("interception", task, 1))


def test_secret_languages_are_made_by_a_rule() -> None:
    """Pig Latin needs no model, whether a config or a person's own rule asks for it."""
    for task in (
        TextTask("My dog eats apples!", "", "en", config_id="pig_latin"),
        TextTask("My dog eats apples!", "Say it in Pig Latin.", "en", config_id="user_defined"),
    ):
        [step] = WRITER.steps("interception", task, 1)
        assert (step.prompt, step.composed) == (None, True)
        assert step.text == "Ymay ogday eatsway applesway!"


def test_the_opposite_goes_on_from_turned_words() -> None:
    """Words with a known opposite are turned around before the model goes on."""
    task = TextTask("Ein trauriger Roboter", "", "de", config_id="the_opposite")
    [step] = WRITER.steps("interception", task, 1)
    assert step.prompt is not None
    assert step.prompt.beginning.startswith("Ein fröhlicher Gärtner, ")


def test_long_texts_keep_their_prompts_short() -> None:
    """However long text and rule are, no prompt outgrows the model's context."""
    task = TextTask("wort " * 4000, "regel " * 4000, "de", config_id="user_defined")
    for role in ("interception", "optimization", "translation"):
        for step in WRITER.steps(role, task, 1):
            assert step.prompt is None or len(step.prompt.examples + step.prompt.tail) < 4000


def test_examples_keep_the_form_that_the_model_shall_learn() -> None:
    """Every result begins as answers begin, and a move is joined on by the bridge."""
    for data in (LIBRARY.interception, LIBRARY.optimization):
        for attitude in data.attitudes.values():
            for wording in (attitude.de, attitude.en):
                for example in wording.examples:
                    assert example.result.startswith(opening(wording, example.text))
                    assert not wording.moves or f"{wording.bridge} " in example.result
                    assert bool(example.rule) == bool(wording.rule)


def test_every_shipped_config_with_a_rule_has_an_attitude() -> None:
    """Whoever adds a config teaches the embedded model, too; branches have their chunks' ids."""
    folder = Path(__file__).parents[4] / "configs"
    known = {*LIBRARY.interception.attitudes, "pig_latin"}
    for path in (folder / "interception").glob("*.json"):
        config = json.loads(path.read_text(encoding="utf-8"))
        if "context" not in config:
            continue
        pipeline = json.loads((folder / "pipelines" / f"{config['pipeline']}.json").read_text())
        branches = pipeline["control_flow"].get("branches", [])
        asked = {chunk for branch in branches for chunk in branch["chunks"]} or {path.stem}
        assert asked <= known, path.name
