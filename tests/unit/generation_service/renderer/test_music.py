"""Little pieces: their bytes, their level, and that they are in key and in time."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation_service.backends.embedded.music.arrangement import BANDS, arrange
from generation_service.backends.embedded.music.drums import DRUMS
from generation_service.backends.embedded.music.harmony import PROGRESSIONS, key_of
from generation_service.backends.embedded.music.piece import VOICES, render_music
from generation_service.backends.embedded.music.taste import GENRES, KEYS, decide
from generation_service.backends.embedded.reading import lexicon
from generation_service.backends.embedded.sound.wav import CEILING
from tests.unit.generation_service.renderer.files import loudness, samples_of

OPEN = {"duration_seconds": 8.0, "tempo_bpm": None, "key": None, "genre": None, "seed": 1}
SCALES = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10, 11}}
"""Half steps above the tonic; minor with its leading tone."""


def piece(
    prompt: str = "a flower",
    *,
    duration_seconds: float = 8.0,
    tempo_bpm: int = 110,
    key: str = "D minor",
    genre: str = "folk",
    seed: int = 1,
) -> bytes:
    """A short piece."""
    return render_music(
        prompt,
        duration_seconds=duration_seconds,
        tempo_bpm=tempo_bpm,
        key=key,
        genre=genre,
        seed=seed,
    )


def test_the_same_request_gives_the_same_bytes() -> None:
    """A run can be repeated exactly."""
    assert piece() == piece()


def test_whatever_differs_can_be_heard() -> None:
    """Words, seed, tempo, key and genre each change the piece."""
    others = (
        piece("a flower in May"),
        piece(seed=2**64 - 1),
        piece(tempo_bpm=111),
        piece(key="D major"),
        piece(genre="waltz"),
    )
    assert len({piece(), *others}) == 6


@pytest.mark.parametrize("genre", GENRES)
def test_the_level_is_even_and_never_clips(genre: str) -> None:
    """Every band fills the whole length at a pleasant level, and ends in silence."""
    samples = samples_of(piece(genre=genre, duration_seconds=12.0))
    assert len(samples) == 12 * 44_100
    assert np.abs(samples).max() <= CEILING + 0.001
    assert 0.06 < loudness(samples) < 0.2
    assert all(loudness(part) > 0.01 for part in np.array_split(samples, 8))
    assert np.abs(samples[-20:]).max() < 0.01


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("key", ["C major", "F# minor"])
def test_every_note_belongs_to_the_key(genre: str, key: str) -> None:
    """Nobody plays a wrong note, and the piece ends on its tonic."""
    chords = [*PROGRESSIONS[genre][0], *PROGRESSIONS[genre][1], 4, 0]
    notes, _ = arrange(genre, key_of(key), chords, Random(5), ending_beats=4.0)
    tonic = key_of(key).tonic
    assert {(note.midi - tonic) % 12 for note in notes} <= SCALES[key.split()[1]]
    last = max(note.start for note in notes if note.part == "lead")
    assert {(n.midi - tonic) % 12 for n in notes if n.part == "lead" and n.start == last} == {0}


@pytest.mark.parametrize("genre", GENRES)
def test_a_piece_has_an_intro_a_tune_and_an_end(genre: str) -> None:
    """The tune enters after a bar; drums and bass rest at the end."""
    bar = BANDS[genre].beats_per_bar
    notes, hits = arrange(
        genre, key_of("C major"), [0, 3, 4, 0, 3, 4, 0], Random(1), ending_beats=3
    )
    lead = [note for note in notes if note.part == "lead"]
    assert min(note.start for note in lead) >= bar
    assert len({note.midi for note in lead}) >= 3
    assert max([hit.start for hit in hits], default=0.0) <= 6 * bar
    assert all(0 <= note.start < 7 * bar and note.beats > 0 for note in notes)


def test_bands_name_instruments_that_exist() -> None:
    """Every genre can be played."""
    for band in BANDS.values():
        assert {band.lead, band.chords, band.bass} <= set(VOICES)
        assert set(band.beat) <= set(DRUMS)


@pytest.mark.parametrize("voice", list(VOICES))
@pytest.mark.parametrize("midi", [33, 60, 84])
def test_every_voice_sounds_and_falls_silent(voice: str, midi: int) -> None:
    """No instrument clicks, overflows or goes on for ever."""
    sound = VOICES[voice](midi, 0.5)
    assert np.isfinite(sound).all()
    assert 0.1 < float(np.abs(sound).max()) < 2.5
    assert abs(float(sound[-1])) < 0.02


def test_the_words_decide_what_nobody_asked_for() -> None:
    """Mood words choose mode, genre and pace; explicit wishes win."""
    sad = decide("a sad and lonely ghost in the rain", OPEN)
    assert str(sad["key"]).endswith("minor")
    assert decide("happy birthday", OPEN)["key"] in KEYS[:12]
    assert decide("a techno party", OPEN)["genre"] == "electronic"
    wished = decide("a sad ghost", {**OPEN, "key": "C major", "genre": "march", "tempo_bpm": 90})
    assert (wished["key"], wished["genre"], wished["tempo_bpm"]) == ("C major", "march", 90)


def test_every_genre_of_the_lexicon_can_be_played() -> None:
    """No word leads to a genre that does not exist, and each genre has a word."""
    assert {name for names in lexicon()["genres"].values() for name in names} == set(GENRES)


@settings(max_examples=8, deadline=None)
@given(
    prompt=st.text(max_size=80),
    seed=st.integers(0, 2**64 - 1),
    tempo=st.integers(40, 200),
    key=st.sampled_from(KEYS),
    genre=st.sampled_from(GENRES),
)
def test_any_request_becomes_a_piece(
    prompt: str, seed: int, tempo: int, key: str, genre: str
) -> None:
    """The shortest piece at any tempo is still a piece."""
    data = piece(prompt, duration_seconds=4.0, tempo_bpm=tempo, key=key, genre=genre, seed=seed)
    assert loudness(samples_of(data)) > 0.02
