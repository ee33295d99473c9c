"""Forms for words that nobody could model: each word, by its hash, one of a family."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sculpture.kit import extent, moved, pitched, rolled, yawed

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.sculpture.kit import Kit, Piece

_TONES = ("main", "second", "accent", "warm", "leaf", "water")


def form_of(kit: Kit, key: int) -> list[Piece]:
    """The form of a word, about two units tall, its middle at (0, 1, 0)."""
    rng = Random(key)
    tones = list(_TONES)
    rng.shuffle(tones)
    return moved(_FORMS[key % len(_FORMS)](kit, rng, tones), (0, 1, 0))


def monument(kit: Kit, marks: tuple[int, ...]) -> list[Piece]:
    """All words of a text that has no things: their forms stacked to a totem."""
    parts = kit.post("second", (0, 0, 0), 0.3, 0.72, 0.66)
    y, tall = 0.3, 1.25
    for i, key in enumerate(marks[:4]):
        form = yawed(form_of(kit, key), i * 0.9)
        low, high = extent(form)
        size = tall / (high - low)
        parts += moved(form, (0, y - low * size, 0), size)
        y += tall
        parts += kit.post("dark", (0, y - 0.12, 0), 0.2, 0.14, 0.14)
        tall *= 0.7
    pole = kit.post("dark", (0, 0.3, 0), y - 0.3, 0.045, 0.045)
    return [*parts, *pole, kit.ball("warm", (0, y + 0.1, 0), 0.12)]


def _knot(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """A closed tube that winds through itself."""
    p, q = rng.choice(((2, 3), (3, 2), (2, 5), (3, 4)))
    line = []
    for i in range(25 * p + 1):
        t = math.tau * i / (25 * p)
        r = 0.6 + 0.24 * math.cos(q * t)
        line.append((r * math.cos(p * t), r * math.sin(p * t), 0.3 * math.sin(q * t)))
    return [kit.rope(tones[0], line, 0.13, 0.13)]


def _crystal(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """Points that grow from one root."""
    parts: list[Piece] = []
    for i in range(rng.randint(6, 10)):
        tall, thick = rng.uniform(0.6, 1.1), rng.uniform(0.1, 0.22)
        spike = [
            *kit.post(tones[i % 3], (0, 0, 0), tall * 0.7, thick, thick * 0.9),
            *kit.post(tones[i % 3], (0, tall * 0.7, 0), tall * 0.3, thick * 0.9, 0.0),
        ]
        parts += yawed(rolled(spike, rng.uniform(-0.9, 0.9)), rng.uniform(0, math.tau))
    return moved(parts, (0, -0.75, 0), 1.5)


def _stair(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """Boxes that climb in a spiral."""
    parts: list[Piece] = []
    steps, wind = rng.randint(12, 18), rng.uniform(0.3, 0.55)
    for i in range(steps):
        box = kit.box(tones[i % 3], (0.42, 0, 0), (0.6, 1.6 / steps, 0.26))
        parts += moved(yawed([box], i * wind), (0, -0.9 + 1.7 * i / steps, 0))
    return [*parts, *kit.post("dark", (0, -0.95, 0), 1.9, 0.1, 0.1)]


def _orbits(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """A ball in rings, each tilted its own way."""
    parts = [kit.ball(tones[0], (0, 0, 0), 0.42)]
    for i in range(3):
        hoop = [kit.hoop(tones[1 + i % 2], (0, 0, 0), 0.62 + 0.15 * i, 0.045)]
        bead = kit.ball(tones[3], (0.62 + 0.15 * i, 0, 0), 0.11)
        tilted = rolled(yawed([*hoop, bead], rng.uniform(0, 6)), rng.uniform(-1.2, 1.2))
        parts += pitched(tilted, rng.uniform(-1.2, 1.2))
    return parts


def _vase(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """A turned form of bulges and waists."""
    knots = 9
    profile = [(0.0, -0.95)]
    for i in range(knots):
        r = 0.2 + 0.5 * abs(math.sin(i * rng.uniform(0.7, 1.3) + rng.random()))
        profile.append((r, -0.92 + 1.84 * i / (knots - 1)))
    profile.append((0.0, 0.95))
    at = np.linspace(-0.95, 0.95, 40)
    heights, radii = [y for _, y in profile], [r for r, _ in profile]
    fine = [(float(r), float(y)) for r, y in zip(np.interp(at, heights, radii), at, strict=True)]
    rings = [kit.hoop(tones[2], (0, y, 0), r, 0.05) for r, y in profile[2:-2:2]]
    return [kit.turned(tones[0], (0, 0, 0), fine), *rings]


def _molecule(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """Balls held together by rods."""
    spots: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)]
    parts = [kit.ball(tones[0], spots[0], 0.3)]
    for i in range(rng.randint(5, 8)):
        root = rng.choice(spots[:3])
        a, b, far = rng.uniform(0, math.tau), rng.uniform(-1.0, 1.0), rng.uniform(0.5, 0.7)
        x, y = root[0] + far * math.cos(a) * math.cos(b), root[1] + far * math.sin(b)
        spot = (x, max(-0.85, min(0.85, y)), root[2] + far * math.sin(a) * math.cos(b))
        middle = tuple((one + other) / 2 for one, other in zip(root, spot, strict=True))
        parts.append(kit.rope("dark", [root, (middle[0], middle[1], middle[2]), spot], 0.05, 0.05))
        parts.append(kit.ball(tones[1 + i % 3], spot, rng.uniform(0.14, 0.26)))
        spots.append(spot)
    return parts


def _fan(kit: Kit, rng: Random, tones: list[str]) -> list[Piece]:
    """Boards that open about one edge."""
    parts: list[Piece] = []
    count, sides = rng.randint(7, 11), rng.randint(3, 7)
    for i in range(count):
        turn = np.linspace(0, math.tau, sides, endpoint=False) + math.pi / 2
        outline = np.stack([0.55 + 0.4 * np.cos(turn), 0.85 * np.sin(turn)], axis=1)
        parts += yawed([kit.board(tones[i % 3], outline, 0.06)], math.tau * i / count)
    return [*parts, *kit.post("dark", (0, -0.95, 0), 1.9, 0.07, 0.07)]


_FORMS: tuple[Callable[[Kit, Random, list[str]], list[Piece]], ...] = (
    _knot,
    _crystal,
    _stair,
    _orbits,
    _vase,
    _molecule,
    _fan,
)
