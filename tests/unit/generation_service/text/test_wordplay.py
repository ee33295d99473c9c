"""Secret languages and opposites: what a rule writes in place of the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_service.text.embedded.library import Library
from generation_service.text.embedded.wordplay import secret_language, turn_around

OPPOSITES = Library.load().opposites.pairs


@pytest.mark.parametrize(
    ("text", "language", "written"),
    [
        ("The quick Yak is yellow.", "en", "Ethay ickquay Akyay isway ellowyay."),
        ("STOP my dog, 3 times!", "en", "OPSTAY ymay ogday, 3 imestay!"),
        ("Psst, hmm", "en", "Psst, hmm"),
        ("Ein Hund im Baum", "de", "Eibein Hubund ibim Baubaum"),
        ("STOPP, Äpfel!", "de", "STOBOPP, Äbäpfebel!"),
        ("", "de", ""),
    ],
)
def test_words_are_written_in_the_secret_language(text: str, language: str, written: str) -> None:
    """Each language has its rule; capitals, numbers and punctuation stay where they were."""
    assert secret_language(text, language) == written


@given(st.text(max_size=200), st.sampled_from(["de", "en", "tr"]))
def test_any_text_can_be_written_in_the_secret_language(text: str, language: str) -> None:
    """Whatever the text, what is no word stays as it is."""
    kept = "".join(c for c in text if not c.isalpha())
    assert "".join(c for c in secret_language(text, language) if not c.isalpha()) == kept


@pytest.mark.parametrize(
    ("text", "language", "turned"),
    [
        ("Ein kleiner Hund weint.", "de", "Ein riesiger Kater lacht."),
        ("Eine Gitarre", "de", "Keine Gitarre"),
        ("Pommes", "de", "Pommes"),
        ("A sad robot", "en", "A happy gardener"),
        ("There is a guitar", "en", "There is no guitar"),
    ],
)
def test_a_text_is_turned_around(text: str, language: str, turned: str) -> None:
    """Known words get their opposite, endings kept; without any, the text is denied."""
    assert turn_around(text, OPPOSITES[language], language) == turned
