"""Layer 2: rules of matching, shown with small lists."""

from __future__ import annotations

import pytest

from safety_service.model import Category
from safety_service.normalise import Normaliser
from safety_service.term_lists import ListReader
from safety_service.terms import TermIndex

_NORMALISER = Normaliser()
_SETS = "lesson\tany\tunterricht/n, museum\nglory\tany\theld\nclub\tany\tfahne\nwho\tde\tmann, frau"


def _found(
    text: str, *terms: str, allowed: str = "", law: bool = False, options: str = ""
) -> dict[str, str]:
    """Ids of the findings (t0, t1, …) with what excuses them."""
    reader = ListReader(lambda word: _NORMALISER.normalise(word).plain.text.strip())
    reader.read_sets("sets.tsv", _SETS)
    reader.read_allowed("allow.tsv", f"de\t{allowed}" if allowed else "")
    rows = [f"t{i}\tde\tall\tblock\t{term}\t{options}".strip() for i, term in enumerate(terms)]
    reader.read_entries("x.tsv", "\n".join(rows), Category.OTHER, law=law)
    assert not reader.lists.faults
    found = TermIndex(reader.lists, "glory").find(_NORMALISER.normalise(text))
    return {finding.entry.id.removeprefix("x.de."): finding.excused for finding in found}


@pytest.mark.parametrize(
    ("text", "term", "hit"),
    [
        ("Der Mordor", "mord/n", False),
        ("des Mordes", "mord/n", True),
        ("Mordwaffe", "mord/n", False),
        ("Mordwaffe", "mord/n>", True),
        ("Mords", "mord>", False),
        ("Selbstmord", "mord/n<", True),
        ("Selbstmorde", "mord/n<", True),
        ("Selbstmord", "mord/n>", False),
        ("er quälte", "quälen/v", True),
        ("gequält", "quälen/v", True),
        ("verquält", "quälen/v", False),
        ("foltert", "foltern/v", True),
        ("die nackten", "nackt/a", True),
        ("Nacktschnecke", "nackt/a", False),
        ("sieg heil", "sieg heil", True),
        ("sieg und heil", "sieg heil", False),
        ("sieg und heil", "sieg .. heil", True),
        ("sieg und noch so viele andere heil", "sieg .. heil", False),
        ("alle lachen Lena aus", "alle lachen . aus", True),
        ("alle lachen und sehen aus", "alle lachen . aus", False),
        ("haut den Mann", "haut den $who", True),
        ("haut den Ball", "haut den $who", False),
        ("eins", "eins|zwei", True),
        ("zwei", "eins|zwei", True),
    ],
)
def test_words_are_found_by_rule_not_by_substring(text: str, term: str, hit: bool) -> None:
    """Inflection, compounds, gaps, sets and alternatives are exactly as the term says."""
    assert bool(_found(text, term)) is hit


def test_an_allowed_term_covers_a_hit_inside_of_it() -> None:
    """The longer harmless term wins, and only there."""
    assert _found("Tote Hosen", "tote", allowed="tote hosen") == {"t0": "allowed"}
    assert _found("Tote Leute", "tote", allowed="tote hosen") == {"t0": ""}


def test_a_context_excuses_unless_praise_voids_it() -> None:
    """A lesson nearby makes a hit lawful, praise beside it does not."""
    option = "unless=lesson"
    assert _found("Kreuz im Museum", "kreuz", options=option) == {"t0": "context:lesson"}
    assert _found("Kreuz an der Wand", "kreuz", options=option) == {"t0": ""}
    assert _found("Kreuz im Museum, ein Held", "kreuz", options=option) == {"t0": ""}


def test_a_context_far_away_excuses_nothing() -> None:
    """A lesson counts near the hit only."""
    text = "Museum " + "und so weiter " * 40 + "Kreuz"
    assert _found(text, "kreuz", options="unless=lesson") == {"t0": ""}


def test_a_code_counts_only_in_its_context() -> None:
    """A number is harmless until something beside it makes it a code."""
    assert _found("88 Tasten", "88", options="needs=club") == {"t0": "needs"}
    assert _found("88 auf der Fahne", "88", options="needs=club") == {"t0": ""}


def test_law_words_are_found_with_a_space_in_them() -> None:
    """A law word torn in two is still that word; other words may be two."""
    assert _found("schwert lili", "schwertlili", law=True) == {"t0": ""}
    assert _found("schwert lili", "schwertlili") == {}


def test_a_starred_word_is_found_if_enough_is_visible() -> None:
    """Half of the letters must show."""
    assert _found("m*rd", "mord") == {"t0": ""}
    assert _found("m***", "mord") == {}


def test_a_chain_of_letters_is_searched_inside() -> None:
    """Letters written apart hide no word boundaries."""
    assert _found("e i n m ö r d e r d a", "mörder") == {"t0": ""}


def _read(rows: str, allowed: str = "") -> TermIndex:
    reader = ListReader(lambda word: _NORMALISER.normalise(word).plain.text.strip())
    reader.read_allowed("allow.tsv", allowed)
    reader.read_entries("x.tsv", rows, Category.OTHER, law=False)
    assert not reader.lists.faults
    return TermIndex(reader.lists, "glory")


def _excuses(index: TermIndex, text: str) -> dict[str, str]:
    return {f.entry.id: f.excused for f in index.find(_NORMALISER.normalise(text))}


def test_a_row_of_terms_is_an_entry_each() -> None:
    """Terms that share language, levels and severity stand in one row and have an id each."""
    index = _read("de\tkids\tblock\tmord/n, geh .. weg|fort, 🔪 💀")
    found = _excuses(index, "Mord! Geh jetzt fort 🔪💀")
    assert set(found) == {"x.de.mord", "x.de.geh-weg", "x.de.🔪-💀"}


@pytest.mark.parametrize(
    ("text", "excused"),
    [
        ("slut", ""),
        ("you are a slut", ""),
        ("du bist eine slut and more", ""),
        ("filmen är slut och det är bra", "language"),
    ],
)
def test_a_homograph_counts_only_where_no_other_language_shows(text: str, excused: str) -> None:
    """The Swedish end is no insult; without a sign of another language, or in a mix, it is."""
    index = _read("en\tkids\tblock\tslut/n\thomograph")
    assert _excuses(index, text) == {"x.en.slut": excused}


@pytest.mark.parametrize(
    ("text", "excused"),
    [
        ("A gôry scene", ""),
        ("GÓRY", "allowed"),
        ("wysokie góry oraz jezioro przez las", "allowed"),
        ("gôry dla nie jest", "language"),
    ],
)
def test_accents_make_no_hit_of_another_language(text: str, excused: str) -> None:
    """An accent is a disguise, but not in a text of another language or in a known spelling."""
    index = _read("en\tkids\tblock\tgory", allowed="any\t=góry")
    assert _excuses(index, text) == {"x.en.gory": excused}


def test_who_hides_a_word_or_says_nothing_else_is_not_asked() -> None:
    """A word that asks decides when no other layer could read it or see a context."""
    index = _read("de\tkids\task\tbombe/n")

    def severity(text: str) -> str:
        return index.find(_NORMALISER.normalise(text))[0].severity

    assert severity("Die Bombe aus Farbe platzt") == "ask"
    assert severity("Die B0mbe aus Farbe platzt") == "ask"
    assert severity("Die Bo-mbe aus Farbe platzt") == "block"
    assert severity("Male bitte eine Bombe!") == "block"


def test_a_phrase_that_begins_or_ends_inside_of_an_allowed_term_is_covered() -> None:
    """Poison ivy for the teacher poisons nobody; poison for the teacher would."""
    index = _read("en\tkids\tblock\tpoison .. teacher", allowed="en\tpoison ivy")
    assert _excuses(index, "poison ivy for my teacher") == {"x.en.poison-teacher": "allowed"}
    assert _excuses(index, "poison for my teacher") == {"x.en.poison-teacher": ""}
