"""What the renderer understands of a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_service.backends.embedded.motifs import MOTIFS
from generation_service.backends.embedded.palette import COLOURS, MOODS
from generation_service.backends.embedded.reading import MAX_THINGS, lexicon, read_prompt


def test_colours_counts_and_sizes_belong_to_the_thing_that_follows() -> None:
    """An adjective shapes the noun it stands before."""
    reading = read_prompt("A huge red house under a yellow moon and three tiny birds")
    things = {thing.motif: thing for thing in reading.things}
    assert things["house"].colour == "red"
    assert things["house"].size > 1
    assert things["moon"].colour == "yellow"
    assert things["bird"].count == 3
    assert things["bird"].size < 1
    assert not reading.colours


@pytest.mark.parametrize(
    ("prompt", "motif", "count"),
    [("butterflies", "butterfly", 3), ("a fox", "dog", 1), ("many fish", "fish", 7)],
)
def test_plurals_and_kin_find_their_motif(prompt: str, motif: str, count: int) -> None:
    """A plural, a relative or a number word leads to the right drawing."""
    (thing,) = read_prompt(prompt).things
    assert (thing.motif, thing.count) == (motif, count)


def test_a_place_weighs_less_than_a_thing() -> None:
    """The fox is the hero of a fox in the forest."""
    assert read_prompt("an autumn forest with a fox").things[0].motif == "dog"


def test_every_name_of_the_lexicon_can_be_drawn() -> None:
    """No word leads to a motif, palette or colour that does not exist."""
    names = {
        section: {n for hit in words.values() for n in hit} for section, words in lexicon().items()
    }
    assert names["motifs"] <= set(MOTIFS)
    assert names["moods"] <= set(MOODS)
    assert names["colours"] <= set(COLOURS)
    assert names["layouts"] == {"collage", "geometric", "radial"}


@given(st.text(max_size=400))
def test_any_text_can_be_read(prompt: str) -> None:
    """Whatever is typed gives a bounded reading, and the same one again."""
    reading = read_prompt(prompt)
    assert len(reading.things) <= MAX_THINGS
    assert reading == read_prompt(prompt)
