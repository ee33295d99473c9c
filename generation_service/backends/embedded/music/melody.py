"""Tunes: a motif that is stated, answered, varied and brought home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.embedded.music.harmony import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

LOWEST, HIGHEST = 0, 12
"""Degrees between which a tune moves: a little less than two octaves."""

# Lengths in beats that fill a bar; negative: a rest.
_RHYTHMS: dict[str, tuple[tuple[float, ...], ...]] = {
    "ambient": ((2, 2), (3, 1), (-1, 3), (4,)),
    "chiptune": (
        (0.5, 0.5, 0.5, 0.5, 1, 1),
        (1, 0.5, 0.5, 0.5, 0.5, 1),
        (0.75, 0.75, 0.5, 1, 1),
        (0.5, 1, 0.5, 1, 0.5, 0.5),
    ),
    "cinematic": ((2, 1, 1), (3, 1), (1.5, 0.5, 2), (1, 1, 2)),
    "electronic": (
        (0.75, 0.75, 0.5, 0.75, 0.75, 0.5),
        (-0.5, 0.5, 1, -0.5, 0.5, 1),
        (1.5, 0.5, 1, 1),
    ),
    "folk": ((1, 0.5, 0.5, 1, 1), (1.5, 0.5, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (2, 1, 1)),
    "jazz": (
        (-0.5, 0.5, 0.5, 0.5, 1, -1),
        (1, 0.5, 1, 0.5, 1),
        (0.5, 0.5, 0.5, 1.5, -1),
        (-1, 0.5, 0.5, 0.5, 0.5, 1),
    ),
    "lullaby": ((2, 1, 1), (1, 1, 2), (1.5, 0.5, 2), (3, -1)),
    "march": ((0.75, 0.25, 1, 1, 1), (1, 0.5, 0.5, 1, 1), (1, 1, 0.75, 0.25, 1), (2, 1, 1)),
    "waltz": ((2, 1), (1, 1, 1), (1.5, 0.5, 1), (1, 0.5, 0.5, 1)),
}


@dataclass(frozen=True)
class Tone:
    """One note of a tune.

    Attributes:
        bar: Which bar, from 0.
        beat: Where in it, in beats.
        beats: How long.
        degree: Scale degree.
    """

    bar: int
    beat: float
    beats: float
    degree: int


def write_tune(genre: str, chords: Sequence[int], rng: Random) -> list[Tone]:
    """A tune over one chord per bar.

    Bars come in fours: idea, answer, idea, variation; the second four climb higher, and the
    last note of the piece is the tonic.
    """
    rhythms = list(_RHYTHMS[genre])
    rng.shuffle(rhythms)
    shapes = [_shape(rhythms[i % len(rhythms)], rng) for i in range(3)]
    tones: list[Tone] = []
    at = 4 + rng.choice((0, 0, 2))
    for bar, chord in enumerate(chords[:-1]):
        idea = (0, 1, 0, 2)[bar % 4]
        rhythm, steps = rhythms[idea % len(rhythms)], shapes[idea]
        lift = 2 if (bar // 4) % 2 else 0
        at = nearest(_inside(at if bar % 4 else 4 + lift), chord)
        tones += _bar(bar, rhythm, steps, at, chord)
        at = tones[-1].degree if tones else at
    return [*tones, _ending(len(chords) - 1, at, sum(abs(x) for x in rhythms[0]))]


def _shape(rhythm: tuple[float, ...], rng: Random) -> list[int]:
    """Steps from note to note: mostly to a neighbour, a leap now and then, leaps turned back."""
    steps: list[int] = []
    heading = rng.choice((-1, 1))
    for _ in rhythm:
        if steps and abs(steps[-1]) > 1:
            heading = -1 if steps[-1] > 0 else 1
            steps.append(heading)
            continue
        heading = heading if rng.random() < 0.68 else -heading
        steps.append(heading * rng.choices((0, 1, 2, 4), (1, 6, 2.5, 0.8))[0])
    return steps


def _bar(
    bar: int, rhythm: tuple[float, ...], steps: list[int], start: int, chord: int
) -> list[Tone]:
    tones, at, beat = [], start, 0.0
    for length, step in zip(rhythm, steps, strict=False):
        if length > 0:
            is_strong = beat in (0.0, 2.0) or length >= 1.5
            degree = nearest(at, chord) if is_strong else at
            tones.append(Tone(bar, beat, length, degree))
            at = _inside(degree + step)
        beat += abs(length)
    return tones


def _ending(bar: int, at: int, beats: float) -> Tone:
    home = min((0, 7), key=lambda degree: abs(degree - at))
    return Tone(bar, 0.0, beats, home)


def _inside(degree: int) -> int:
    while degree > HIGHEST:
        degree -= 3
    while degree < LOWEST:
        degree += 3
    return degree
