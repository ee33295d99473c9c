"""What is found at home and on the table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    box,
    ellipse,
    path,
    polygon,
    rotated,
    sector,
    smooth,
    star,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def book(rng: Random) -> list[Shape]:
    """An open book; lines, no letters."""
    parts = [
        Shape(polygon((-1, -0.4), (0, -0.25), (1, -0.4), (1, 0.62), (0, 0.8), (-1, 0.62)), "main"),
        Shape(
            smooth(
                path("-0.92 -0.46, -0.45 -0.56, 0 -0.3, 0 0.7, -0.45 0.44, -0.92 0.54"),
                steps=5,
            ),
            "light",
        ),
        Shape(
            smooth(
                path("0.92 -0.46, 0.45 -0.56, 0 -0.3, 0 0.7, 0.45 0.44, 0.92 0.54"),
                steps=5,
            ),
            "glow",
        ),
    ]
    for i in range(6):
        y = -0.3 + 0.13 * i
        end = rng.uniform(0.3, 0.75)
        parts.append(Shape(stroke([(-0.8, y), (-0.8 + end, y + 0.05)], 0.035), "dark", 0.7))
        if i > 2:
            parts.append(
                Shape(stroke([(0.14, y + 0.06), (0.14 + end, y - 0.02)], 0.035), "dark", 0.7)
            )
    parts.append(Shape(ellipse(0.48, -0.22, 0.15), "accent"))
    return parts


def cup(rng: Random) -> list[Shape]:
    """A cup with steam."""
    bend = rng.uniform(0.1, 0.18)
    return [
        *(
            Shape(
                stroke(
                    [(x, -0.3), (x + bend, -0.5), (x - bend, -0.7), (x + bend * 0.5, -0.95)],
                    0.07,
                    0.02,
                ),
                "haze",
                0.8,
            )
            for x in (-0.25, 0.1)
        ),
        Shape(sector(0.55, 0.25, 0.34, -math.pi / 2, math.pi / 2, 0.2), "deep"),
        Shape(
            smooth(path("-0.62 -0.12, 0.62 -0.12, 0.52 0.55, 0.2 0.82, -0.2 0.82, -0.52 0.55")),
            "main",
        ),
        Shape(ellipse(0, -0.12, 0.6, 0.13), "trunk"),
        Shape(stroke([(-0.56, 0.2), (0, 0.28), (0.56, 0.2)], 0.1), "accent"),
        Shape(ellipse(0, 0.92, 0.75, 0.09), "second"),
    ]


def key(rng: Random) -> list[Shape]:
    """An old door key."""
    turn = rng.uniform(-0.5, 0.5)
    parts = [
        sector(0, -0.58, 0.38, 0, math.tau, 0.2),
        box(-0.08, -0.25, 0.08, 0.95),
        box(0.05, 0.5, 0.36, 0.64),
        box(0.05, 0.76, 0.28, 0.9),
    ]
    shapes = [Shape(rotated(p, turn), "main") for p in parts]
    return [*shapes, Shape(rotated(ellipse(0, -0.58, 0.1), turn), "accent")]


def lamp(rng: Random) -> list[Shape]:
    """A lantern or bulb with its glow."""
    size = rng.uniform(0.75, 0.9)
    return [
        Shape(ellipse(0, -0.2, size), "glow", 0.3),
        Shape(star(0, -0.2, 0.98, 0.66, 12), "warm", 0.35),
        Shape(
            smooth(path("0 -0.72, 0.44 -0.45, 0.4 0.0, 0.2 0.3, -0.2 0.3, -0.4 0.0, -0.44 -0.45")),
            "glow",
        ),
        Shape(
            stroke(
                [(-0.12, 0.28), (-0.14, -0.15), (0.0, -0.02), (0.14, -0.15), (0.12, 0.28)], 0.035
            ),
            "accent",
        ),
        *(Shape(box(-0.2, 0.3 + 0.13 * i, 0.2, 0.4 + 0.13 * i), "dark") for i in range(3)),
        Shape(sector(0, 0.68, 0.12, 0, math.pi), "dark"),
    ]


def cake(rng: Random) -> list[Shape]:
    """Two tiers and candles."""
    parts = []
    for i in range(rng.choice((3, 5))):
        x = -0.3 + 0.15 * i
        parts += [
            Shape(box(x - 0.03, -0.62, x + 0.03, -0.3), "light" if i % 2 else "accent"),
            Shape(ellipse(x, -0.73, 0.05, 0.1), "warm"),
        ]
    parts += [
        Shape(ellipse(0, 0.93, 0.98, 0.09), "haze"),
        Shape(box(-0.8, 0.3, 0.8, 0.9), "main"),
        Shape(box(-0.5, -0.3, 0.5, 0.3), "second"),
    ]
    for half, y, count in ((0.8, 0.3, 8), (0.5, -0.3, 5)):
        wide = half / count
        for i in range(count):
            x = -half + wide * (2 * i + 1)
            parts.append(Shape(sector(x, y, wide, 0, math.pi), "light"))
        parts.append(Shape(box(-half, y - 0.06, half, y + 0.02), "light"))
    parts += [Shape(ellipse(-0.6 + 0.3 * i, 0.65, 0.07), "warm") for i in range(5)]
    return parts


def icecream(rng: Random) -> list[Shape]:
    """Three scoops on a cone."""
    tones = rng.sample(["main", "accent", "light", "second", "warm"], 3)
    scoops = ((-0.22, -0.2), (0.22, -0.2), (0.0, -0.56))
    parts = [Shape(ellipse(x, y, 0.33), t) for (x, y), t in zip(scoops, tones, strict=True)]
    parts.append(Shape(polygon((-0.46, 0.0), (0.46, 0.0), (0, 1.0)), "trunk"))
    for i in range(3):
        x = -0.3 + 0.2 * i
        parts.append(Shape(stroke([(x, 0.03), (0.1 + 0.12 * i, 0.6 - 0.1 * i)], 0.03), "warm", 0.8))
    parts.append(Shape(ellipse(0.05, -0.92, 0.1), "main"))
    return parts


def window(rng: Random) -> list[Shape]:
    """An open window with a view of something bright."""
    x = rng.uniform(-0.2, 0.2)
    return [
        Shape(box(-0.62, -0.95, 0.62, 0.8), "trunk"),
        Shape(box(-0.52, -0.85, 0.52, 0.7), "water"),
        Shape(ellipse(x, -0.35, 0.22), "glow"),
        Shape(
            smooth(path("-0.52 0.3, -0.2 0.1, 0.2 0.28, 0.52 0.05, 0.52 0.7, -0.52 0.7")), "leaf"
        ),
        Shape(box(-0.03, -0.85, 0.03, 0.7), "trunk"),
        Shape(box(-0.52, -0.1, 0.52, -0.04), "trunk"),
        Shape(polygon((-0.62, -0.95), (-0.98, -0.8), (-0.98, 0.92), (-0.62, 0.8)), "main"),
        Shape(polygon((0.62, -0.95), (0.98, -0.8), (0.98, 0.92), (0.62, 0.8)), "main"),
        Shape(box(-0.75, 0.8, 0.75, 0.9), "second"),
    ]


def hat(rng: Random) -> list[Shape]:
    """A tall hat with a band and a feather."""
    bend = rng.uniform(0.05, 0.2)
    crown = path("-0.42 0.5, -0.36 -0.2, -0.44 -0.75, 0 -0.85, 0.44 -0.75, 0.36 -0.2, 0.42 0.5")
    return [
        Shape(stroke([(0.35, 0.3), (0.7, -0.3), (0.75 + bend, -0.95)], 0.05, 0.22), "accent"),
        Shape(smooth(crown), "main"),
        Shape(ellipse(0, 0.6, 0.95, 0.2), "deep"),
        Shape(polygon((-0.41, 0.22), (0.41, 0.22), (0.43, 0.46), (-0.43, 0.46)), "warm"),
        Shape(box(-0.08, 0.2, 0.14, 0.48), "light"),
    ]
