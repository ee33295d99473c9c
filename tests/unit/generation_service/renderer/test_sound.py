"""Soundscapes: their bytes, their level, and that words matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation_service.backends.embedded.reading import lexicon
from generation_service.backends.embedded.sound.soundscape import SOURCES, render_sound
from generation_service.backends.embedded.sound.wav import CEILING
from tests.unit.generation_service.renderer.files import loudness, mean_hertz, samples_of


def short(prompt: str, seed: int = 1) -> bytes:
    """A soundscape that is quickly made."""
    return render_sound(prompt, duration_seconds=2.0, seed=seed)


def test_the_same_words_and_seed_give_the_same_bytes() -> None:
    """A run can be repeated exactly."""
    assert short("rain over the city with bells") == short("rain over the city with bells")


def test_another_word_or_seed_gives_another_sound() -> None:
    """No two texts sound alike, not even when they differ in a word without a sound."""
    prompts = ("rain", "rain on justice", "rain on freedom", "justice", "freedom", "")
    sounds = {short(prompt) for prompt in prompts} | {short("rain", 2**64 - 1)}
    assert len(sounds) == len(prompts) + 1


@pytest.mark.parametrize("seconds", [2.0, 3.7, 30.0])
def test_it_lasts_as_long_as_was_asked_for(seconds: float) -> None:
    """A length is met to the sample."""
    samples = samples_of(render_sound("wind", duration_seconds=seconds, seed=1))
    assert len(samples) == round(seconds * 44_100)


@pytest.mark.parametrize("name", list(SOURCES))
def test_every_source_sounds_on_both_sides(name: str) -> None:
    """Nothing in the lexicon leads to silence, to one ear only, or to overflow."""
    sound = SOURCES[name](6 * 44_100, np.random.Generator(np.random.PCG64(3)))
    assert sound.shape == (6 * 44_100, 2)
    assert np.isfinite(sound).all()
    assert all(loudness(sound[:, side].astype(np.float64)) > 0.002 for side in (0, 1))


def test_every_sound_of_the_lexicon_can_be_made() -> None:
    """No word leads to a sound that does not exist, and each sound has a word."""
    assert {name for names in lexicon()["sounds"].values() for name in names} == set(SOURCES)


@pytest.mark.parametrize(
    "prompt", ["a storm", "bees in a meadow", "a clock", "justice", "typewriter and footsteps"]
)
def test_the_level_is_even_and_never_clips(prompt: str) -> None:
    """Loud enough to hear, below the ceiling, silent at both ends."""
    samples = samples_of(render_sound(prompt, duration_seconds=6.0, seed=4))
    assert np.abs(samples).max() <= CEILING + 0.001
    assert 0.03 < loudness(samples) < 0.25
    assert abs(float(samples.mean())) < 0.002
    assert np.abs(samples[:20]).max() < 0.01
    assert np.abs(samples[-20:]).max() < 0.01


def test_birds_sing_higher_than_whales() -> None:
    """A word has the sound of its thing."""
    birds, whales = (samples_of(short(word)) for word in ("birds", "whales"))
    assert mean_hertz(birds) > 1500 > 800 > mean_hertz(whales)


@settings(max_examples=12, deadline=None)
@given(prompt=st.text(max_size=120), seed=st.integers(0, 2**64 - 1))
def test_any_text_becomes_a_sound(prompt: str, seed: int) -> None:
    """Nothing that a learner types breaks the renderer, or leaves silence."""
    assert loudness(samples_of(short(prompt, seed))) > 0.01
