"""The embedded music renderer: a little piece, composed and played from the words of a prompt.

No model and no recording: a band per genre, chords that follow each other as they do in it, a
tune built from a motif, a beginning and an end. The same prompt, seed and settings give the same
bytes.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from generation_service.backends.embedded.music import voices
from generation_service.backends.embedded.music.arrangement import BANDS, Band, arrange
from generation_service.backends.embedded.music.drums import DRUMS
from generation_service.backends.embedded.music.harmony import PROGRESSIONS, key_of
from generation_service.backends.embedded.reading import stream_seed
from generation_service.backends.embedded.sound.signal import (
    add,
    count,
    faded,
    reverberate,
    spread,
)
from generation_service.backends.embedded.sound.wav import mastered, to_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generation_service.backends.embedded.music.arrangement import Hit, Note
    from generation_service.backends.embedded.sound.signal import Mono, Stereo

_LOUDNESS = 0.15
_LAST_CHORD_SECONDS = 1.8
"""The least that the end of a piece gets."""

_PARTS = ("lead", "chords", "bass")
_PLACES = {"lead": 0.12, "chords": -0.12, "bass": 0.0}
_DRUM_PLACES = {"hat": 0.35, "ride": 0.4, "shaker": -0.4, "brush": -0.2, "clap": 0.1}

VOICES: dict[str, Callable[[int, float], Mono]] = {
    voice.__name__: voice
    for voice in (
        voices.pluck,
        voices.piano,
        voices.epiano,
        voices.music_box,
        voices.glass,
        voices.vibraphone,
        voices.flute,
        voices.strings,
        voices.pad,
        voices.brass,
        voices.square,
        voices.triangle,
        voices.bass,
        voices.synth_bass,
    )
}


def render_order(order: Mapping[str, Any]) -> bytes:
    """Play the piece of an order; see `render_music`."""
    return render_music(
        order["prompt"],
        duration_seconds=order["duration_seconds"],
        tempo_bpm=order["tempo_bpm"],
        key=order["key"],
        genre=order["genre"],
        seed=order["seed"],
    )


def render_music(
    prompt: str, *, duration_seconds: float, tempo_bpm: int, key: str, genre: str, seed: int
) -> bytes:
    """Compose and play a piece.

    Args:
        prompt: Any words; they write the tune by their hash.
        duration_seconds: Its length, the last chord's ringing included.
        tempo_bpm: Beats per minute.
        key: One of `taste.KEYS`.
        genre: One of `taste.GENRES`.
        seed: 64 bits; another seed writes another tune.

    Returns:
        A WAV file, 44.1 kHz, 16 bits, stereo.
    """
    rng = Random(stream_seed(prompt, seed, "music"))
    band = BANDS[genre]
    beat_seconds = 60.0 / tempo_bpm
    bar_seconds = band.beats_per_bar * beat_seconds
    bars = max(2, int((duration_seconds - _LAST_CHORD_SECONDS) / bar_seconds) + 1)
    ending_seconds = max(_LAST_CHORD_SECONDS, duration_seconds - (bars - 1) * bar_seconds)
    chords = _chords(genre, bars, rng)
    ending_beats = ending_seconds / beat_seconds
    notes, hits = arrange(genre, key_of(key), chords, rng, ending_beats=ending_beats)
    mix = np.zeros((count(duration_seconds), 2), np.float32)
    _play(mix, notes, band, beat_seconds, rng)
    _drum(mix, hits, band, beat_seconds, rng)
    noise = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))
    mix = reverberate(mix, noise, seconds=band.room[0], share=band.room[1])
    tail = min(1.6, duration_seconds / 5)
    return to_wav(faded(mastered(mix, loudness=_LOUDNESS), start=0.004, end=tail))


def _chords(genre: str, bars: int, rng: Random) -> list[int]:
    """One chord per bar: eight bars and again, ending on dominant and tonic."""
    first, second = rng.sample(PROGRESSIONS[genre], 2)
    cycle = (*first, *second)
    chords = [cycle[bar % 8] for bar in range(bars)]
    chords[-1] = 0
    if bars > 2:
        chords[-2] = 4
    return chords


def _play(mix: Stereo, notes: list[Note], band: Band, beat_seconds: float, rng: Random) -> None:
    names = dict(zip(_PARTS, (band.lead, band.chords, band.bass), strict=True))
    gains = dict(zip(_PARTS, band.gains, strict=False))

    @lru_cache(maxsize=256)
    def sounded(voice: str, midi: int, ms: int) -> Mono:
        return VOICES[voice](midi, ms / 1000)

    for note in notes:
        ms = round(note.beats * beat_seconds * 1000)
        sound = sounded(names[note.part], note.midi, ms)
        start = _swung(note.start, swing=band.swing) * beat_seconds + rng.gauss(0, band.looseness)
        place = _PLACES[note.part] + (note.midi - 60) * 0.012 * (note.part == "chords")
        gain = gains[note.part] * note.strength * rng.uniform(0.93, 1.0)
        add(mix, spread(sound, place), count(max(0.0, start)), gain)


def _drum(mix: Stereo, hits: list[Hit], band: Band, beat_seconds: float, rng: Random) -> None:
    noise = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))
    for hit in hits:
        start = _swung(hit.start, swing=band.swing) * beat_seconds
        start += rng.gauss(0, band.looseness / 2)
        place = _DRUM_PLACES.get(hit.drum, 0.0)
        gain = band.gains[3] * hit.strength * rng.uniform(0.9, 1.0)
        add(mix, spread(DRUMS[hit.drum](noise), place), count(max(0.0, start)), gain)


def _swung(beat: float, *, swing: bool) -> float:
    """Where a note really falls: with swing, the off-beat waits for the third triplet."""
    whole, share = divmod(beat, 1.0)
    return whole + 2 / 3 if swing and share == 0.5 else beat
