"""Shapes for words that name no thing: every word still leaves its own mark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.outline import (
    Shape,
    box,
    ellipse,
    polygon,
    ribbon,
    sector,
    smooth,
    star,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from generation_service.backends.embedded.outline import Points

INKS = ("main", "second", "accent", "warm", "water", "leaf", "light", "dark")


def frond(rng: Random) -> list[Shape]:
    """An alga, as in the cut-outs of an old painter with scissors."""
    arms = rng.randint(5, 8)
    knots = []
    for i in range(arms * 2):
        far = rng.uniform(0.8, 1.0) if i % 2 == 0 else rng.uniform(0.2, 0.34)
        angle = math.tau * i / (arms * 2)
        knots.append((far * math.sin(angle), -far * math.cos(angle)))
    return [Shape(smooth(knots), rng.choice(INKS[:6]))]


def pebble(rng: Random) -> list[Shape]:
    """A soft stone with a vein."""
    knots = [
        (rng.uniform(0.6, 1.0) * math.cos(a), rng.uniform(0.6, 1.0) * math.sin(a))
        for a in (i * math.tau / 6 for i in range(6))
    ]
    tone = rng.choice(INKS[:6])
    return [
        Shape(smooth(knots), tone),
        Shape(smooth([(x * 0.5, y * 0.5) for x, y in knots]), rng.choice(INKS), 0.7),
    ]


def rings(rng: Random) -> list[Shape]:
    """A target."""
    tones = rng.sample(INKS, 4)
    return [Shape(ellipse(0, 0, 1.0 - 0.24 * i), tone) for i, tone in enumerate(tones)]


def fan(rng: Random) -> list[Shape]:
    """Wedges opening from one corner."""
    start = rng.choice((0.0, 0.5, 1.0, 1.5)) * math.pi
    tones = rng.sample(INKS, 5)
    return [
        Shape(
            sector(
                -0.7 * math.cos(start + 0.8),
                -0.7 * math.sin(start + 0.8),
                1.5,
                start + i * 0.32,
                start + i * 0.32 + 0.26,
            ),
            t,
        )
        for i, t in enumerate(tones)
    ]


def ladder(rng: Random) -> list[Shape]:
    """Bars, like a word that was counted."""
    bars = rng.randint(4, 7)
    tone, other = rng.sample(INKS, 2)
    shapes = []
    for i in range(bars):
        y = -0.9 + 1.8 * i / bars
        shapes.append(
            Shape(box(-0.9, y, rng.uniform(-0.1, 0.9), y + 1.1 / bars), tone if i % 3 else other)
        )
    return shapes


def arch(rng: Random) -> list[Shape]:
    """A gate of half rings."""
    tones = rng.sample(INKS, 3)
    return [
        Shape(sector(0, 0.6, 1.0 - 0.3 * i, math.pi, math.tau, 0.76 - 0.3 * i), t)
        for i, t in enumerate(tones)
    ]


def wave(rng: Random) -> list[Shape]:
    """Three parallel swings."""
    x = np.linspace(-1.0, 1.0, 60)
    beat, shift = rng.uniform(3.5, 7.0), rng.random() * 6
    tones = rng.sample(INKS, 3)
    return [
        Shape(
            ribbon(np.stack([x, 0.22 * np.sin(x * beat + shift) + 0.42 * (i - 1)], axis=1), 0.2), t
        )
        for i, t in enumerate(tones)
    ]


def confetti(rng: Random) -> list[Shape]:
    """A grid of dots of growing size."""
    tone = rng.choice(INKS)
    side = rng.randint(4, 5)
    return [
        Shape(
            ellipse(
                -0.8 + 1.6 * i / (side - 1),
                -0.8 + 1.6 * j / (side - 1),
                0.05 + 0.11 * (i + j) / (2 * side),
                steps=20,
            ),
            tone,
        )
        for i in range(side)
        for j in range(side)
    ]


def shard(rng: Random) -> list[Shape]:
    """A splinter of two planes."""
    apex = (rng.uniform(-0.3, 0.3), -1.0)
    left, right, mid = (
        (-0.8, rng.uniform(0.3, 0.9)),
        (0.8, rng.uniform(0.3, 0.9)),
        (rng.uniform(-0.2, 0.2), 1.0),
    )
    tones = rng.sample(INKS, 2)
    return [Shape(polygon(apex, left, mid), tones[0]), Shape(polygon(apex, right, mid), tones[1])]


def burst(rng: Random) -> list[Shape]:
    """A star with a hole of light."""
    rays = rng.randint(7, 16)
    return [
        Shape(star(0, 0, 1.0, rng.uniform(0.4, 0.7), rays), rng.choice(INKS[:4])),
        Shape(ellipse(0, 0, 0.3), rng.choice(INKS)),
    ]


def frond_ring(lobes: int) -> Points:
    """A scalloped disc, the base of an emblem."""
    turn = np.linspace(0.0, math.tau, lobes * 16, endpoint=False)
    radius = 0.9 + 0.1 * np.abs(np.cos(turn * lobes / 2))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


BOLD_MARKS = (frond, pebble, rings, burst)
"""Those that carry a whole picture."""

MARKS: tuple[Callable[[Random], list[Shape]], ...] = (
    frond,
    pebble,
    rings,
    fan,
    ladder,
    arch,
    wave,
    confetti,
    shard,
    burst,
)
