"""Small beings, and one that is no being at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    ellipse,
    path,
    polygon,
    sector,
    smooth,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def bear(rng: Random) -> list[Shape]:
    """A sitting bear with round ears."""
    nod = rng.uniform(-0.04, 0.04)
    parts = [
        *(Shape(ellipse(x, 0.88, 0.24, 0.15), "deep") for x in (-0.4, 0.4)),
        Shape(ellipse(0, 0.5, 0.5, 0.48), "main"),
        Shape(ellipse(0, 0.56, 0.3, 0.34), "light", 0.6),
    ]
    for x in (-1.0, 1.0):
        parts += [
            Shape(stroke([(0.4 * x, 0.25), (0.62 * x, 0.45), (0.5 * x, 0.68)], 0.2, 0.17), "deep"),
            Shape(ellipse(0.36 * x, -0.68, 0.18), "main"),
            Shape(ellipse(0.36 * x, -0.68, 0.1), "accent"),
        ]
    parts.append(Shape(ellipse(nod, -0.35, 0.5, 0.44), "main"))
    parts.append(Shape(ellipse(nod, -0.2, 0.24, 0.19), "light", 0.85))
    parts += [Shape(ellipse(nod + x, -0.45, 0.055, 0.07), "dark") for x in (-0.19, 0.19)]
    parts.append(Shape(ellipse(nod, -0.28, 0.1, 0.07), "dark"))
    parts.append(Shape(sector(nod, -0.18, 0.1, 0.2, math.pi - 0.2, 0.065), "dark"))
    return parts


def frog(rng: Random) -> list[Shape]:
    """A frog that is about to leap."""
    grin = rng.uniform(0.2, 0.3)
    parts = []
    for x in (-1.0, 1.0):
        leg = [(0.45 * x, 0.35), (0.85 * x, 0.45), (0.6 * x, 0.85), (0.95 * x, 0.93)]
        parts += [
            Shape(stroke(leg, 0.24, 0.12), "deepleaf"),
            Shape(stroke([(0.2 * x, 0.6), (0.3 * x, 0.92)], 0.13, 0.16), "leaf"),
            Shape(ellipse(0.34 * x, -0.4, 0.22), "leaf"),
        ]
    parts += [
        Shape(ellipse(0, 0.3, 0.6, 0.5), "leaf"),
        Shape(ellipse(0, 0.45, 0.38, 0.32), "light", 0.7),
        Shape(ellipse(0, -0.12, 0.62, 0.36), "leaf"),
    ]
    for x in (-0.34, 0.34):
        parts += [
            Shape(ellipse(x, -0.44, 0.15), "glow"),
            Shape(ellipse(x, -0.44, 0.06, 0.1), "dark"),
        ]
    mouth = [(-0.4, -0.06), (0, grin - 0.12), (0.4, -0.06)]
    return [*parts, Shape(stroke(mouth, 0.05), "dark"), Shape(ellipse(0.3, 0.2, 0.07), "warm")]


def snail(rng: Random) -> list[Shape]:
    """A house on its way."""
    reach = rng.uniform(-0.08, 0.08)
    foot = path("-0.95 0.95, -0.3 0.72, 0.4 0.75, 0.55 0.2, 0.8 0.1, 0.95 0.35, 0.75 0.95")
    parts = [
        Shape(stroke([(0.7, 0.2), (0.68, -0.2 + reach)], 0.05), "warm"),
        Shape(stroke([(0.82, 0.2), (0.95, -0.15 - reach)], 0.05), "warm"),
        Shape(ellipse(0.68, -0.22 + reach, 0.06), "dark"),
        Shape(ellipse(0.95, -0.17 - reach, 0.06), "dark"),
        Shape(smooth(foot), "warm"),
    ]
    tones = ("main", "accent", "second", "light", "main")
    for i, tone in enumerate(tones):
        parts.append(Shape(ellipse(-0.12 - 0.05 * i, 0.25 + 0.06 * i, 0.6 - 0.12 * i), tone))
    return parts


def spider(rng: Random) -> list[Shape]:
    """Eight legs on one thread."""
    parts = [Shape(stroke([(0, -1.0), (0.02, -0.2)], 0.02), "haze")]
    for x in (-1.0, 1.0):
        for i in range(4):
            knee = rng.uniform(-0.08, 0.08)
            leg = [(0.2 * x, 0.1), (0.6 * x, -0.4 + 0.25 * i + knee), (0.9 * x, 0.05 + 0.25 * i)]
            parts.append(Shape(stroke(leg, 0.06, 0.03), "dark"))
    parts += [
        Shape(ellipse(0, 0.3, 0.42, 0.46), "dark"),
        Shape(ellipse(0, -0.12, 0.25, 0.22), "deep"),
        Shape(polygon((0, 0.1), (0.16, 0.36), (0, 0.62), (-0.16, 0.36)), "accent"),
    ]
    for x in (-0.09, 0.09):
        parts += [Shape(ellipse(x, -0.16, 0.07), "light"), Shape(ellipse(x, -0.15, 0.03), "dark")]
    return parts


def ghost(rng: Random) -> list[Shape]:
    """A sheet that looks back."""
    sway = rng.uniform(-0.1, 0.1)
    sheet = path("0 -0.95, 0.5 -0.7, 0.6 0.0, 0.7 0.9, 0.42 0.72, 0.2 0.95, 0 0.74")
    sheet += path("-0.22 0.95, -0.42 0.72, -0.7 0.9, -0.6 0.0, -0.5 -0.7")
    shade = path("0.2 -0.85, 0.5 -0.7, 0.6 0, 0.7 0.9, 0.42 0.72, 0.34 0.2")
    return [
        Shape(smooth(sheet), "light"),
        Shape(smooth(shade), "haze", 0.6),
        *(Shape(ellipse(sway + x, -0.35, 0.1, 0.15), "dark") for x in (-0.2, 0.2)),
        Shape(ellipse(sway, 0.0, 0.13, 0.17), "dark"),
        *(Shape(ellipse(sway + x, -0.12, 0.09, 0.05), "accent", 0.6) for x in (-0.34, 0.34)),
    ]
