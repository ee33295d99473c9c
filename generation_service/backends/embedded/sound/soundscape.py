"""The embedded sound renderer: a short soundscape synthesised from the words of a prompt.

No recording and no model: every drop, bird and bell is computed. Words that have no sound of
their own become soft tones, so that no two texts sound alike. The same prompt, seed and length
give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from generation_service.backends.embedded.reading import (
    ranked,
    read_prompt,
    split_words,
    stream_seed,
)
from generation_service.backends.embedded.sound import animals, town, water, weather
from generation_service.backends.embedded.sound.signal import (
    add,
    count,
    decay,
    faded,
    lowpass,
    noise,
    reverberate,
    spread,
    tone,
)
from generation_service.backends.embedded.sound.wav import mastered, to_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generation_service.backends.embedded.sound.signal import Stereo

MAX_SOURCES = 5
_LOUDNESS = 0.13

SOURCES: dict[str, Callable[[int, np.random.Generator], Stereo]] = {
    "rain": weather.rain,
    "thunder": weather.thunder,
    "wind": weather.wind,
    "fire": weather.fire,
    "space": weather.space,
    "sea": water.sea,
    "stream": water.stream,
    "underwater": water.underwater,
    "whale": water.whale,
    "birds": animals.birds,
    "gulls": animals.gulls,
    "owl": animals.owl,
    "crickets": animals.crickets,
    "frogs": animals.frogs,
    "bees": animals.bees,
    "cat": animals.cat,
    "dog": animals.dog,
    "horse": animals.horse,
    "city": town.city,
    "train": town.train,
    "crowd": town.crowd,
    "bells": town.bells,
    "chimes": town.chimes,
    "steps": town.steps,
    "clock": town.clockwork,
    "heart": town.heart,
    "machine": town.machine,
    "robot": town.robot,
    "typewriter": town.typewriter,
}
_INDOORS = frozenset({"clock", "typewriter", "heart", "machine", "fire", "cat"})
_WIDE = frozenset({"space", "chimes", "bells", "owl", "whale", "underwater"})


def render_order(order: Mapping[str, Any]) -> bytes:
    """Make the sound of an order; see `render_sound`."""
    return render_sound(
        order["prompt"], duration_seconds=order["duration_seconds"], seed=order["seed"]
    )


def render_sound(prompt: str, *, duration_seconds: float, seed: int) -> bytes:
    """Make a soundscape.

    Args:
        prompt: English words; others only colour the sound by their hash.
        duration_seconds: Its length.
        seed: 64 bits; another seed lets the same things happen at other times.

    Returns:
        A WAV file, 44.1 kHz, 16 bits, stereo.
    """
    samples = count(duration_seconds)
    rng = np.random.Generator(np.random.PCG64(stream_seed(prompt, seed, "sound")))
    names = ranked(split_words(prompt), "sounds")[:MAX_SOURCES]
    mix = _room_tone(samples, rng)
    for rank, name in enumerate(names):
        part = SOURCES[name](samples, rng)
        mix += part * np.float32(_level(part, rank))
    marks = read_prompt(prompt).marks if names else read_prompt(prompt).marks or (seed,)
    motes = _motes(samples, marks, rng)
    mix += motes * np.float32(_level(motes, 0) * (0.22 if names else 1.0))
    open_air = not _INDOORS.intersection(names)
    seconds = 2.6 if not names or _WIDE.intersection(names) else 1.4 if open_air else 0.6
    mix = reverberate(mix, rng, seconds=seconds, share=0.34 if seconds > 2 else 0.2)
    fade = min(0.8, duration_seconds / 6)
    return to_wav(faded(mastered(mix, loudness=_LOUDNESS), start=fade / 2, end=fade))


def _level(part: Stereo, rank: int) -> float:
    """The factor that makes a source as loud as its rank deserves."""
    loud = float(np.sqrt(np.mean(np.sort(np.abs(part).ravel()[::16])[-len(part) // 16 :] ** 2)))
    return (1.0, 0.8, 0.66, 0.56, 0.5)[min(rank, 4)] * 0.2 / max(loud, 1e-6)


def _room_tone(samples: int, rng: np.random.Generator) -> Stereo:
    """Where there is air it is never quite silent."""
    bed = [lowpass(noise(samples, rng), 700, order=1) for _ in range(2)]
    return np.stack(bed, axis=1) * np.float32(0.012)


def _motes(samples: int, marks: tuple[int, ...], rng: np.random.Generator) -> Stereo:
    """Soft tones, one kind for each word that has no sound."""
    mix = np.zeros((samples, 2), np.float32)
    for key in marks:
        pitch = 196.0 * 2 ** ((0, 2, 4, 7, 9, 12, 14, 16, 19, 21)[key % 10] / 12)
        partial, ring = 1.5 + (key >> 8) % 7 / 2, 0.5 + (key >> 16) % 8 / 6
        place = ((key >> 24) % 120) / 100 - 0.6
        beat = 1.1 + (key >> 32) % 20 / 10
        at = rng.uniform(0.05, beat)
        while at < samples / 44_100:
            length = count(ring * 4)
            mote = tone(pitch, length) * decay(length, ring, attack=0.02)
            mote += tone(pitch * partial, length) * decay(length, ring / 3) * np.float32(0.3)
            add(mix, spread(mote, place), count(at), rng.uniform(0.3, 0.6))
            at += beat * rng.choice((1.0, 1.5, 2.0))
    return mix
