"""What people build and what they travel in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    box,
    ellipse,
    path,
    polygon,
    sector,
    smooth,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def house(rng: Random) -> list[Shape]:
    """A gable, a door, windows that are lit, smoke."""
    lean = rng.uniform(-0.05, 0.05)
    smoke = [
        Shape(ellipse(0.42 + 0.07 * i * i * 0.5, -0.88 - 0.04 * i, 0.06 + 0.03 * i), "haze", 0.7)
        for i in range(3)
    ]
    parts = [
        *smoke,
        Shape(box(0.32, -0.78, 0.5, -0.3), "deep"),
        Shape(box(-0.62, -0.18, 0.62, 1.0), "main"),
        Shape(polygon((0.1, -0.18), (0.62, -0.18), (0.62, 1.0), (0.22, 1.0)), "deep", 0.35),
        Shape(polygon((-0.82, -0.12), (lean, -0.86), (0.82, -0.12)), "second"),
        Shape(ellipse(lean * 0.6, -0.38, 0.12), "glow"),
        Shape(box(-0.14, 0.45, 0.16, 1.0), "trunk"),
        Shape(ellipse(0.1, 0.74, 0.03), "warm"),
    ]
    for x in (-0.38, 0.4):
        parts += [
            Shape(box(x - 0.14, 0.06, x + 0.14, 0.36), "glow"),
            Shape(box(x - 0.015, 0.06, x + 0.015, 0.36), "dark"),
            Shape(box(x - 0.14, 0.2, x + 0.14, 0.23), "dark"),
        ]
    return parts


def tower(rng: Random) -> list[Shape]:
    """One high-rise with a grid of windows."""
    half = rng.uniform(0.3, 0.42)
    tones = ("main", "second", "deep")
    parts = [
        Shape(stroke([(0, -0.8), (0, -1.0)], 0.04), "dark"),
        Shape(box(-half * 0.6, -0.86, half * 0.6, -0.7), "accent"),
        Shape(box(-half, -0.75, half, 1.0), rng.choice(tones)),
    ]
    for row in range(8):
        for column in range(3):
            if rng.random() < 0.75:
                x, y = -half * 0.62 + half * 0.62 * column, -0.62 + 0.2 * row
                tone = "glow" if rng.random() < 0.7 else "haze"
                parts.append(Shape(box(x - half * 0.18, y, x + half * 0.18, y + 0.1), tone))
    return parts


def castle(rng: Random) -> list[Shape]:
    """Walls with teeth, two towers with hats."""
    flag = rng.choice((-1.0, 1.0))
    parts = [Shape(box(-0.6, 0.0, 0.6, 1.0), "main")]
    parts += [Shape(box(-0.6 + 0.24 * i, -0.14, -0.48 + 0.24 * i, 0.02), "main") for i in range(6)]
    for x, top in ((-0.66, -0.4), (0.66, -0.3), (0.0, -0.55)):
        parts += [
            Shape(box(x - 0.2, top, x + 0.2, 1.0), "deep" if x else "second"),
            Shape(polygon((x - 0.27, top), (x, top - 0.42), (x + 0.27, top)), "accent"),
            Shape(sector(x, top + 0.3, 0.08, math.pi, math.tau), "glow"),
            Shape(box(x - 0.08, top + 0.3, x + 0.08, top + 0.42), "glow"),
        ]
    parts += [
        Shape(polygon((0, -0.98), (0.26 * flag, -0.92), (0, -0.84)), "warm"),
        Shape(sector(0, 0.7, 0.2, math.pi, math.tau), "dark"),
        Shape(box(-0.2, 0.7, 0.2, 1.0), "dark"),
    ]
    return parts


def bridge(rng: Random) -> list[Shape]:
    """Arches over whatever flows beneath."""
    arches = rng.choice((2, 3))
    wide = 1.9 / arches
    parts = [Shape(box(-1, -0.2, 1, 0.9), "main"), Shape(box(-1, -0.3, 1, -0.14), "second")]
    for i in range(arches):
        x = -0.95 + wide * (i + 0.5)
        parts.append(Shape(sector(x, 0.55, wide * 0.4, math.pi, math.tau), "water"))
        parts.append(Shape(box(x - wide * 0.4, 0.54, x + wide * 0.4, 0.95), "water"))
    return parts


def boat(rng: Random) -> list[Shape]:
    """A hull with two sails."""
    belly = rng.uniform(0.75, 0.95)
    return [
        Shape(stroke([(0, 0.45), (0, -1.0)], 0.06, 0.03), "trunk"),
        Shape(smooth([(0.07, -0.95), (0.5, -0.4), (belly, 0.3), (0.07, 0.3)], steps=8), "light"),
        Shape(polygon((-0.07, -0.8), (-0.68, 0.3), (-0.07, 0.3)), "accent"),
        Shape(polygon((0.0, -1.0), (-0.26, -0.93), (0.0, -0.86)), "warm"),
        Shape(smooth([(-0.95, 0.42), (0, 0.48), (0.95, 0.42), (0.6, 0.95), (-0.6, 0.95)]), "main"),
        Shape(stroke([(-0.84, 0.58), (0, 0.63), (0.84, 0.58)], 0.07), "light", 0.9),
    ]


def train(rng: Random) -> list[Shape]:
    """A steam engine with its cloud."""
    puffs = [
        Shape(ellipse(0.45 - 0.28 * i, -0.72 - 0.06 * i, 0.12 + 0.05 * i), "light", 0.85)
        for i in range(4)
    ]
    wheels = []
    for x, r in ((-0.7, 0.22), (-0.2, 0.22), (0.25, 0.17), (0.65, 0.17)):
        wheels += [Shape(ellipse(x, 1 - r, r), "dark"), Shape(ellipse(x, 1 - r, r * 0.5), "warm")]
    return [
        *puffs,
        Shape(box(0.36, -0.6, 0.56, -0.1), "dark"),
        Shape(box(-0.92, -0.5, -0.25, 0.72), "main"),
        Shape(box(-1.0, -0.62, -0.16, -0.46), "second"),
        Shape(box(-0.76, -0.34, -0.42, 0.02), "glow"),
        Shape(box(-0.25, -0.12, 0.78, 0.72), "second"),
        Shape(ellipse(0.78, 0.3, 0.14, 0.42), "deep"),
        Shape(ellipse(0.06, -0.14, rng.uniform(0.12, 0.16)), "accent"),
        Shape(polygon((0.7, 0.72), (1.0, 0.98), (0.6, 0.98)), "accent"),
        *wheels,
    ]


def car(rng: Random) -> list[Shape]:
    """A round little car."""
    roof = rng.uniform(-0.5, -0.35)
    parts = [
        Shape(smooth([(-0.55, 0.2), (-0.35, roof), (0.25, roof), (0.55, 0.2)], steps=8), "second"),
        Shape(
            polygon((-0.36, 0.12), (-0.24, roof + 0.16), (-0.03, roof + 0.16), (-0.03, 0.12)),
            "glow",
        ),
        Shape(
            polygon((0.05, 0.12), (0.05, roof + 0.16), (0.22, roof + 0.16), (0.38, 0.12)), "glow"
        ),
        Shape(
            smooth(
                path("-0.95 0.5, -0.85 0.18, -0.3 0.1, 0.4 0.1, 0.92 0.28, 0.97 0.7, -0.95 0.72")
            ),
            "main",
        ),
        Shape(ellipse(0.88, 0.42, 0.08), "warm"),
    ]
    for x in (-0.52, 0.52):
        parts += [Shape(ellipse(x, 0.74, 0.25), "dark"), Shape(ellipse(x, 0.74, 0.12), "light")]
    return parts


def bicycle(rng: Random) -> list[Shape]:
    """Two rings and a few bars."""
    parts = []
    for x in (-0.55, 0.55):
        parts += [
            Shape(sector(x, 0.5, 0.45, 0, math.tau, 0.38), "dark"),
            Shape(ellipse(x, 0.5, 0.07), "warm"),
        ]
        for i in range(4):
            dx, dy = 0.4 * math.cos(i * math.pi / 4), 0.4 * math.sin(i * math.pi / 4)
            parts.append(
                Shape(stroke([(x - dx, 0.5 - dy), (x + dx, 0.5 + dy)], 0.015), "dark", 0.7)
            )
    frame = [(-0.55, 0.5), (-0.2, -0.1), (0.42, -0.1), (0.0, 0.5)]
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0), (1, 3)):
        parts.append(Shape(stroke([frame[a], frame[b]], 0.075), "main"))
    lift = rng.uniform(-0.05, 0.05)
    parts += [
        Shape(stroke([(0.55, 0.5), (0.42, -0.1), (0.38, -0.4)], 0.07), "main"),
        Shape(stroke([(0.3, -0.45 + lift), (0.5, -0.42), (0.62, -0.3)], 0.07), "dark"),
        Shape(ellipse(-0.24, -0.22, 0.2, 0.07), "accent"),
    ]
    return parts


def lighthouse(rng: Random) -> list[Shape]:
    """Stripes and a beam."""
    side = rng.choice((-1.0, 1.0))
    parts = [Shape(polygon((0, -0.72), (1.0 * side, -1.0), (1.0 * side, -0.4)), "glow", 0.55)]
    for i in range(5):
        top, low = -0.55 + 0.31 * i, -0.55 + 0.31 * (i + 1)
        a, b = 0.2 + 0.03 * i, 0.2 + 0.03 * (i + 1)
        parts.append(
            Shape(
                polygon((-a, top), (a, top), (b, low), (-b, low)), "main" if i % 2 == 0 else "light"
            )
        )
    parts += [
        Shape(box(-0.26, -0.6, 0.26, -0.52), "dark"),
        Shape(box(-0.14, -0.82, 0.14, -0.6), "glow"),
        Shape(sector(0, -0.82, 0.2, math.pi, math.tau), "accent"),
        Shape(box(-0.07, 0.78, 0.07, 1.0), "dark"),
    ]
    return parts


def windmill(rng: Random) -> list[Shape]:
    """Four sails, caught somewhere in their turn."""
    turn = rng.uniform(0.2, 1.2)
    parts = [
        Shape(polygon((-0.24, -0.25), (0.24, -0.25), (0.42, 1.0), (-0.42, 1.0)), "main"),
        Shape(sector(0, -0.25, 0.27, math.pi, math.tau), "second"),
        Shape(box(-0.12, 0.62, 0.12, 1.0), "trunk"),
        Shape(ellipse(0, 0.25, 0.1), "glow"),
    ]
    for i in range(4):
        a = turn + i * math.pi / 2
        c, s = math.cos(a), math.sin(a)
        sail = [
            (0.15 * c, -0.3 + 0.15 * s),
            (0.72 * c, -0.3 + 0.72 * s),
            (0.72 * c - 0.2 * s, -0.3 + 0.72 * s + 0.2 * c),
            (0.15 * c - 0.2 * s, -0.3 + 0.15 * s + 0.2 * c),
        ]
        parts += [
            Shape(polygon(*sail), "light", 0.92),
            Shape(stroke([(0, -0.3), (0.74 * c, -0.3 + 0.74 * s)], 0.05), "dark"),
        ]
    return parts


def tent(rng: Random) -> list[Shape]:
    """A circus tent in stripes."""
    stripes = 7
    parts = [
        Shape(stroke([(0, -0.6), (0, -1.0)], 0.04), "trunk"),
        Shape(polygon((0, -1.0), (0.3, -0.92), (0, -0.82)), "warm"),
    ]
    for i in range(stripes):
        a, b = -0.7 + 1.4 * i / stripes, -0.7 + 1.4 * (i + 1) / stripes
        tone = "main" if i % 2 == 0 else "light"
        parts.append(Shape(polygon((0, -0.65), (b * 1.2, 0.1), (a * 1.2, 0.1)), tone))
        parts.append(
            Shape(polygon((a * 1.1, 0.1), (b * 1.1, 0.1), (b * 1.2, 1), (a * 1.2, 1)), tone)
        )
        parts.append(Shape(sector((a + b) * 0.6, 0.08, 0.125, 0, math.pi), "second"))
    gap = rng.uniform(0.16, 0.24)
    parts.append(Shape(polygon((0, 0.2), (gap, 1.0), (-gap, 1.0)), "dark"))
    return parts
