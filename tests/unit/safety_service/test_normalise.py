"""Layer 1: what a disguise is read as, and where it came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_service.disguises import ViewKind, squeeze
from safety_service.normalise import Normaliser


def _readings(text: str) -> list[str]:
    normalised = Normaliser().normalise(text)
    return [view.text.strip() for view in (normalised.plain, *normalised.disguised)]


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("Töten", "toeten"),
        ("To\u0308ten", "toeten"),
        ("STRASSE Straße", "strasse strasse"),
        ("ｆｕｌｌ", "full"),
        ("𝓯𝓾𝓵𝓵", "full"),
        ("🅵🆄🅻🅻", "full"),
        ("fu\u200bll\u00ad", "full"),
        ("fûll", "full"),
        ("кеу", "key"),
        ("h3ll0", "hello"),
        ("ba11", "ball"),
        ("$and", "sand"),
        ("b a l l", "ball"),
        ("b.a.l.l", "ball"),
        ("b_a_l_l", "ball"),
        ("t ö t e n", "toeten"),
        ("b a l l  r o t", "ball rot"),
        ("b.a.l.l r.o.t", "ball rot"),
        ("ba-ll", "ball"),
        ("baaaall", "bal"),
        ("töööten", "toeten"),
    ],
)
def test_a_disguise_has_the_honest_reading(text: str, reading: str) -> None:
    """Each way of writing a word differently leads back to the word."""
    assert reading in _readings(text)


@pytest.mark.parametrize("text", ["Eine Blume auf der Wiese", "Ein Hund, eine Katze und 3 Vögel!"])
def test_honest_texts_have_no_other_reading(text: str) -> None:
    """A text without disguise costs one reading."""
    assert len(_readings(text)) == 1


def test_numbers_stay_numbers() -> None:
    """Digits without letters are no leetspeak, and 1,8 is not 18."""
    assert all("18" not in reading.split() for reading in _readings("88 Tasten, 1,8 Meter"))
    assert "88" in _readings("88 Tasten")[0]


def test_starred_words_are_named_with_their_place() -> None:
    """A word with hidden letters is kept as a shape."""
    normalised = Normaliser().normalise("ein b*ll")
    (masked,) = normalised.masked
    assert masked.text == "b*ll"
    assert (masked.start, masked.end) == (4, 8)


@given(st.text(alphabet="aäo\u0308ßkl1!.- \u200bкｆ🔪e", max_size=60))
def test_every_word_maps_into_the_original(text: str) -> None:
    """Each word of each reading comes from a non-empty part of the text, in order."""
    normalised = Normaliser().normalise(text)
    for view in (normalised.plain, *normalised.disguised):
        position = 0
        ends = 0
        for word in view.text.split():
            position = view.text.index(word, position)
            span = normalised.span(view, position, position + len(word))
            assert 0 <= span.start < span.end <= len(text)
            assert span.start >= ends - 1 or view.kind is ViewKind.RUN
            ends = span.end
            position += len(word)


@given(st.text(max_size=80))
def test_folding_is_stable(text: str) -> None:
    """A folded text stays as it is when folded again."""
    once = Normaliser().normalise(text).plain.text.strip()
    again = Normaliser().normalise(once).plain.text
    assert once.split() == again.split()


def test_squeezing_writes_letters_and_umlauts_once() -> None:
    """Repeated letters and repeated umlauts shrink alike."""
    assert squeeze("kiiilll") == "kil"
    assert squeeze("toeoeoeten") == "toeten"


@pytest.mark.parametrize("piece", ["k i l l ", "k1!|", "a.b", "aaaa ", "f*ck ", "töten ", "x"])
def test_a_long_text_ends_soon(piece: str) -> None:
    """The longest text, made of whatever costs most, has few readings and no blow-up."""
    text = (piece * 20_000)[:20_000]
    normalised = Normaliser().normalise(text)
    assert normalised.plain.text
    assert len(normalised.disguised) <= 32


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("Eine Blume", "eine blume"),
        ("b a l l  r o t", "ball rot"),
        ("b4ll r0t", "ball rot"),
        ("T-Rex, 88 Tasten", "t rex 88 tasten"),
    ],
)
def test_the_clear_text_reads_what_a_person_would(text: str, clear: str) -> None:
    """Letters apart and leetspeak are read; words are neither glued nor shortened."""
    assert Normaliser().normalise(text).clear.split() == clear.split()


@pytest.mark.parametrize("text", ["k!113r", "|o|", "8.|.u.+", "+ö+en", "PR0MP+", "@$$"])
def test_signs_are_read_wherever_they_stand(text: str) -> None:
    """Signs at the ends of words, between dots and for two letters at once are letters, too."""
    words = {"k!113r": "killer", "|o|": "lol", "8.|.u.+": "blut", "+ö+en": "toeten", "@$$": "ass"}
    assert words.get(text, "prompt") in _readings(text)
