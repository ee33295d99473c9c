"""Who plays in a genre, and what they play under a tune."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.embedded.music.harmony import chord_degrees
from generation_service.backends.embedded.music.melody import write_tune

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from generation_service.backends.embedded.music.harmony import Key

Pattern = tuple[tuple[float, float, float], ...]
"""When in a bar, how long, how strong: beats, beats, 0 to 1."""

Beat = dict[str, tuple[tuple[float, float], ...]]
"""Per drum: when in a bar, how strong."""


@dataclass(frozen=True)
class Note:
    """One note of a score; times in beats from the start of the piece."""

    part: str
    start: float
    beats: float
    midi: int
    strength: float


@dataclass(frozen=True)
class Hit:
    """One beat of a drum."""

    drum: str
    start: float
    strength: float


@dataclass(frozen=True)
class Band:
    """A genre's players.

    Attributes:
        lead: Voice of the tune.
        chords: Voice of the accompaniment.
        figure: How the accompaniment plays: `held`, `broken`, `pulsed`, or by `comping`.
        bass: Voice of the bass.
        bass_line: When the bass plays which tone of the chord (0 root, 1 third, 2 fifth).
        beat: What the drums play in a bar.
        gains: Of lead, chords, bass and drums.
        room: Seconds of echo and its share.
        comping: Pattern of chords for figure `comped`.
        swing: Whether the second half of a beat comes late.
        beats_per_bar: 3 or 4.
        sevenths: Whether chords have four tones.
        looseness: How far players are off the beat, in seconds.
    """

    lead: str
    chords: str
    figure: str
    bass: str
    bass_line: tuple[tuple[float, float, int], ...]
    beat: Beat
    gains: tuple[float, float, float, float]
    room: tuple[float, float]
    comping: Pattern = ()
    swing: bool = False
    beats_per_bar: int = 4
    sevenths: bool = False
    looseness: float = 0.006


def _every(step: float, strength: float, *, start: float = 0.0) -> tuple[tuple[float, float], ...]:
    return tuple((start + step * k, strength) for k in range(int((4 - start) / step)))


_DRONE = ((0.0, 4.0, 0),)
_WALK = ((0.0, 1.0, 0), (1.0, 1.0, 1), (2.0, 1.0, 2), (3.0, 1.0, 1))

BANDS: dict[str, Band] = {
    "ambient": Band("glass", "pad", "held", "pad", _DRONE, {}, (0.5, 0.34, 0.34, 0.0), (3.6, 0.5)),
    "chiptune": Band(
        "square",
        "square",
        "pulsed",
        "triangle",
        tuple((0.5 * k, 0.5, 0 if k % 2 == 0 else 3) for k in range(8)),
        {
            "kick": ((0, 1.0), (2, 1.0), (2.5, 0.7)),
            "snare": ((1, 0.7), (3, 0.7)),
            "hat": _every(0.5, 0.35),
        },
        (0.3, 0.09, 0.5, 0.4),
        (0.5, 0.07),
        looseness=0.0,
    ),
    "cinematic": Band(
        "brass",
        "strings",
        "held",
        "strings",
        _DRONE,
        {"timpani": ((0, 1.0), (2.5, 0.45), (3, 0.7))},
        (0.42, 0.27, 0.36, 0.5),
        (2.8, 0.42),
    ),
    "electronic": Band(
        "epiano",
        "pluck",
        "pulsed",
        "synth_bass",
        tuple((0.5 + k, 0.5, 0) for k in range(4)),
        {
            "kick": _every(1, 1.0),
            "clap": ((1, 0.8), (3, 0.8)),
            "hat": _every(1, 0.7, start=0.5),
        },
        (0.4, 0.24, 0.5, 0.6),
        (1.3, 0.2),
        looseness=0.0,
    ),
    "folk": Band(
        "flute",
        "pluck",
        "broken",
        "bass",
        ((0.0, 2.0, 0), (2.0, 2.0, 2)),
        {"shaker": tuple((0.5 * k, 0.5 if k % 2 else 0.8) for k in range(8))},
        (0.42, 0.34, 0.55, 0.32),
        (1.2, 0.2),
    ),
    "jazz": Band(
        "vibraphone",
        "epiano",
        "comped",
        "bass",
        _WALK,
        {
            "ride": ((0, 0.8), (1, 1.0), (1.5, 0.6), (2, 0.8), (3, 1.0), (3.5, 0.6)),
            "brush": ((1, 0.7), (3, 0.7)),
        },
        (0.46, 0.17, 0.62, 0.42),
        (1.1, 0.18),
        comping=((0.0, 1.2, 0.7), (1.5, 0.4, 0.9), (3.5, 0.5, 0.6)),
        swing=True,
        sevenths=True,
        looseness=0.009,
    ),
    "lullaby": Band(
        "music_box", "piano", "broken", "bass", _DRONE, {}, (0.42, 0.2, 0.32, 0.0), (2.0, 0.34)
    ),
    "march": Band(
        "brass",
        "brass",
        "comped",
        "bass",
        ((0.0, 0.8, 0), (2.0, 0.8, 2)),
        {
            "kick": ((0, 1.0), (2, 0.9)),
            "snare": ((1, 0.8), (2.5, 0.35), (2.75, 0.45), (3, 0.8), (3.5, 0.4)),
        },
        (0.42, 0.13, 0.66, 0.4),
        (1.0, 0.16),
        comping=((1.0, 0.4, 0.8), (3.0, 0.4, 0.8)),
    ),
    "waltz": Band(
        "strings",
        "piano",
        "comped",
        "bass",
        ((0.0, 1.6, 0),),
        {"brush": ((1, 0.5), (2, 0.4))},
        (0.36, 0.3, 0.62, 0.25),
        (1.7, 0.28),
        comping=((1.0, 0.7, 0.8), (2.0, 0.7, 0.7)),
        beats_per_bar=3,
    ),
}


def arrange(
    genre: str, key: Key, chords: list[int], rng: Random, *, ending_beats: float
) -> tuple[list[Note], list[Hit]]:
    """Write the score of a piece.

    Args:
        genre: Who plays.
        key: Turns degrees into pitches.
        chords: One per bar; the last bar is the end, the first ones an intro without tune.
        rng: Writes the tune.
        ending_beats: How long the last bar is held.
    """
    band = BANDS[genre]
    intro = 0 if len(chords) < 5 else 1 if len(chords) < 11 else 2
    notes: list[Note] = []
    for tone in write_tune(genre, chords[intro:], rng):
        bar = tone.bar + intro
        start = bar * band.beats_per_bar + tone.beat
        pitch = key.pitch(tone.degree, chord=chords[bar])
        accent = 1.0 if tone.beat == 0 else 0.86
        beats = ending_beats if bar == len(chords) - 1 else tone.beats
        notes.append(Note("lead", start, beats, pitch, accent))
    hits: list[Hit] = []
    for bar, chord in enumerate(chords):
        start = float(bar * band.beats_per_bar)
        if bar == len(chords) - 1:
            notes += _last_bar(band, key, start, ending_beats)
            hits += [Hit(drum, start, 0.9) for drum in list(band.beat)[:1]]
            continue
        notes += _FIGURES[band.figure](band, key, chord, start)
        notes += _bass(band, key, chord, start)
        if bar >= intro or bar == 1:
            hits += _drums(band, start, fill=bar == len(chords) - 2 and len(chords) > 4)
    return notes, hits


def _held(band: Band, key: Key, chord: int, start: float) -> list[Note]:
    return [
        Note("chords", start, band.beats_per_bar, midi, 0.9) for midi in _voicing(band, key, chord)
    ]


def _comped(band: Band, key: Key, chord: int, start: float) -> list[Note]:
    return [
        Note("chords", start + at, beats, midi, strength)
        for at, beats, strength in band.comping
        for midi in _voicing(band, key, chord)
    ]


def _broken(band: Band, key: Key, chord: int, start: float) -> list[Note]:
    tones = _voicing(band, key, chord)
    tones = [*tones, tones[0] + 12]
    order = (0, 1, 2, 3, 2, 1, 2, 1)
    return [
        Note("chords", start + 0.5 * k, 1.0, tones[order[k]], 0.95 if k == 0 else 0.7)
        for k in range(band.beats_per_bar * 2)
    ]


def _pulsed(band: Band, key: Key, chord: int, start: float) -> list[Note]:
    tones = [midi + 12 for midi in _voicing(band, key, chord)]
    order = (0, 1, 2, 1, 0, 2, 1, 2, 0, 1, 2, 1, 0, 2, 2, 1)
    return [
        Note("chords", start + 0.25 * k, 0.3, tones[order[k]], 1.0 if k % 4 == 0 else 0.65)
        for k in range(band.beats_per_bar * 4)
    ]


_FIGURES: dict[str, Callable[[Band, Key, int, float], list[Note]]] = {
    "held": _held,
    "comped": _comped,
    "broken": _broken,
    "pulsed": _pulsed,
}


def _bass(band: Band, key: Key, chord: int, start: float) -> list[Note]:
    root = _folded(key.pitch(chord, chord=chord), 33)
    third, fifth = (
        root + (key.pitch(chord + up, chord=chord) - key.pitch(chord, chord=chord)) for up in (2, 4)
    )
    tones = (root, third, fifth, root + 12)
    return [
        Note("bass", start + at, min(beats, band.beats_per_bar - at), tones[tone], 0.95)
        for at, beats, tone in band.bass_line
    ]


def _drums(band: Band, start: float, *, fill: bool) -> list[Hit]:
    hits = [
        Hit(drum, start + at, strength)
        for drum, beats in band.beat.items()
        for at, strength in beats
        if at < band.beats_per_bar
    ]
    if fill and "snare" in band.beat:
        last = start + band.beats_per_bar - 1
        hits += [Hit("snare", last + 0.25 * k, 0.35 + 0.15 * k) for k in range(4)]
    return hits


def _last_bar(band: Band, key: Key, start: float, beats: float) -> list[Note]:
    """Everybody comes to rest on the tonic, one after the other from below."""
    tones = _voicing(band, key, 0)
    notes = [Note("chords", start + 0.06 * k, beats, midi, 0.9) for k, midi in enumerate(tones)]
    return [*notes, Note("bass", start, beats, _folded(key.pitch(0), 33), 0.95)]


def _voicing(band: Band, key: Key, chord: int) -> list[int]:
    """The chord around middle C, whatever its root, so that voices move little."""
    degrees = chord_degrees(chord, seventh=band.sevenths)
    return sorted(_folded(key.pitch(degree, chord=chord), 53) for degree in degrees)


def _folded(midi: int, lowest: int) -> int:
    """The same tone within the octave from `lowest` on."""
    return lowest + (midi - lowest) % 12
