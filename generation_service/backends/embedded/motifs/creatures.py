"""Who lives in the picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    box,
    ellipse,
    leaf,
    path,
    polygon,
    sector,
    smooth,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def cat(rng: Random) -> list[Shape]:
    """A sitting cat seen from the front, tail to one side."""
    s = rng.choice((-1.0, 1.0))
    tail = [(0.3 * s, 0.88), (0.85 * s, 0.8), (0.82 * s, 0.3), (0.6 * s, 0.1)]
    body = path("0 -0.2, 0.34 0.05, 0.5 0.6, 0.4 1.0, -0.4 1.0, -0.5 0.6, -0.34 0.05")
    belly = path("0 0.1, 0.2 0.4, 0.14 0.9, -0.14 0.9, -0.2 0.4")
    return [
        Shape(stroke(tail, 0.17, 0.09), "deep"),
        Shape(smooth(body), "main"),
        Shape(smooth(belly), "light", 0.55),
        *(Shape(ellipse(x, 0.95, 0.17, 0.09), "deep") for x in (-0.2, 0.2)),
        *_cat_head(),
    ]


def _cat_head() -> list[Shape]:
    parts = []
    for x in (-1.0, 1.0):
        parts += [
            Shape(polygon((0.12 * x, -0.66), (0.46 * x, -1.0), (0.48 * x, -0.4)), "main"),
            Shape(polygon((0.22 * x, -0.66), (0.41 * x, -0.86), (0.42 * x, -0.5)), "accent"),
        ]
    parts.append(Shape(ellipse(0, -0.35, 0.5, 0.41), "main"))
    for x in (-0.1, 0.0, 0.1):
        parts.append(Shape(polygon((x - 0.03, -0.75), (x + 0.03, -0.75), (x, -0.55)), "deep"))
    for x in (-1.0, 1.0):
        upper = [(0.12 * x, -0.16), (0.45 * x, -0.2), (0.72 * x, -0.28)]
        lower = [(0.12 * x, -0.12), (0.45 * x, -0.1), (0.7 * x, -0.1)]
        parts += [
            Shape(ellipse(0.21 * x, -0.4, 0.115, 0.13), "warm"),
            Shape(ellipse(0.21 * x, -0.4, 0.04, 0.11), "dark"),
            Shape(stroke(upper, 0.022), "dark", 0.7),
            Shape(stroke(lower, 0.022), "dark", 0.7),
        ]
    return [*parts, Shape(polygon((-0.07, -0.23), (0.07, -0.23), (0, -0.14)), "accent")]


def dog(rng: Random) -> list[Shape]:
    """A dog standing in profile, ear and tail in another paper."""
    wag = rng.uniform(-0.15, 0.15)
    legs = [
        Shape(stroke([(x, 0.3), (x + 0.02, 0.96)], 0.19, 0.15), t)
        for x, t in ((-0.58, "deep"), (0.32, "deep"), (-0.42, "main"), (0.48, "main"))
    ]
    return [
        Shape(stroke([(-0.6, 0.05), (-0.85, -0.2), (-0.88 + wag, -0.55)], 0.13, 0.06), "deep"),
        *legs,
        Shape(
            smooth(
                path(
                    "-0.72 0.1, -0.5 -0.12, 0.2 -0.1, 0.55 -0.25, "
                    "0.66 0.1, 0.5 0.42, -0.1 0.38, -0.6 0.46"
                )
            ),
            "main",
        ),
        Shape(ellipse(-0.25, 0.1, 0.25, 0.17), "deep", 0.7),
        Shape(
            smooth(
                path(
                    "0.32 -0.3, 0.4 -0.75, 0.7 -0.78, 0.98 -0.52, 0.96 -0.36, 0.66 -0.26, 0.56 0.0"
                )
            ),
            "main",
        ),
        Shape(
            smooth([(0.42, -0.74), (0.3, -0.4), (0.36, -0.12), (0.5, -0.3), (0.56, -0.68)]),
            "second",
        ),
        Shape(stroke([(0.36, -0.06), (0.55, 0.02), (0.66, -0.02)], 0.08), "accent"),
        Shape(ellipse(0.95, -0.5, 0.07), "dark"),
        Shape(ellipse(0.7, -0.58, 0.05), "dark"),
    ]


def horse(rng: Random) -> list[Shape]:
    """A horse in profile with a cut-paper mane."""
    toss = 0.74 + rng.uniform(-0.05, 0.05)
    body = path(
        "-0.72 0.05, -0.4 -0.16, 0.1 -0.08, 0.45 -0.16, 0.5 0.2, 0.2 0.36, -0.3 0.32, -0.64 0.36"
    )
    neck = path("0.9 -0.34, 0.7 -0.48, 0.5 0.14, 0.2 0.05, 0.4 -0.5, 0.56 -0.85")
    legs = [
        Shape(stroke([(x, 0.2), (x + bend, 0.6), (x, 0.97)], 0.17, 0.09), tone)
        for x, bend, tone in (
            (-0.45, -0.06, "deep"),
            (0.22, 0.05, "deep"),
            (-0.6, 0.05, "main"),
            (0.36, 0.0, "main"),
        )
    ]
    mane = [
        Shape(leaf(0.3 + 0.07 * i, -0.1 - 0.14 * i, -1.3 - 0.1 * (i % 2), 0.36, 0.16), "second")
        for i in range(5)
    ]
    return [
        Shape(stroke([(-0.64, -0.05), (-0.95, 0.1), (-0.9, 0.6)], 0.2, 0.05), "second"),
        *legs,
        Shape(smooth(body), "main"),
        Shape(smooth([*neck, (toss, -0.8), (0.98, -0.46)]), "main"),
        Shape(polygon((0.55, -0.8), (0.6, -1.0), (0.68, -0.8)), "main"),
        *mane,
        Shape(ellipse(0.72, -0.66, 0.04), "dark"),
    ]


def rabbit(rng: Random) -> list[Shape]:
    """A rabbit with ears that cannot agree."""
    flop = rng.uniform(0.1, 0.5)
    return [
        Shape(leaf(-0.12, -0.5, -0.15, 0.62, 0.22), "main"),
        Shape(leaf(-0.12, -0.5, -0.15, 0.5, 0.1), "accent"),
        Shape(leaf(0.14, -0.5, flop, 0.6, 0.22), "main"),
        Shape(leaf(0.14, -0.5, flop, 0.48, 0.1), "accent"),
        Shape(ellipse(0.52, 0.75, 0.16), "light"),
        Shape(ellipse(0, 0.5, 0.5, 0.5), "main"),
        Shape(ellipse(0, 0.6, 0.27, 0.34), "light", 0.7),
        Shape(ellipse(0, -0.25, 0.4, 0.36), "main"),
        *(Shape(ellipse(x, -0.32, 0.055, 0.075), "dark") for x in (-0.16, 0.16)),
        *(Shape(ellipse(x, 0.93, 0.2, 0.09), "deep") for x in (-0.22, 0.22)),
        Shape(polygon((-0.05, -0.18), (0.05, -0.18), (0, -0.11)), "accent"),
    ]


def fish(rng: Random) -> list[Shape]:
    """A fish with scales of alternating inks."""
    parts = [
        Shape(polygon((-0.5, 0), (-1.0, -0.42), (-0.86, 0.0), (-1.0, 0.42)), "second"),
        Shape(smooth([(-0.1, -0.38), (0.2, -0.78), (0.4, -0.3)]), "accent"),
        Shape(
            smooth(path("-0.62 0, -0.1 -0.42, 0.5 -0.42, 0.95 -0.05, 0.5 0.4, -0.1 0.42")),
            "main",
        ),
    ]
    tones = ("accent", "second", "warm")
    for row in range(3):
        for column in range(4 - row % 2):
            x, y = -0.28 + 0.2 * column + 0.1 * (row % 2), -0.2 + 0.2 * row
            parts.append(
                Shape(
                    sector(x, y, 0.12, math.pi / 2, 3 * math.pi / 2),
                    tones[(row + column) % 3],
                    0.85,
                )
            )
    parts += [
        Shape(sector(0.45, 0, 0.38, math.pi * 0.6, math.pi * 1.4, 0.33), "deep"),
        Shape(ellipse(0.64, -0.12, 0.11), "light"),
        Shape(ellipse(0.66, -0.12, 0.055), "dark"),
        Shape(leaf(0.25, 0.08, -1.9, rng.uniform(0.3, 0.4), 0.2), "deep"),
    ]
    return parts


def whale(rng: Random) -> list[Shape]:
    """A whale that blows."""
    spout = rng.uniform(0.15, 0.3)
    return [
        Shape(stroke([(0.4, -0.35), (0.4, -0.7), (0.4 - spout, -0.95)], 0.07, 0.02), "water"),
        Shape(stroke([(0.4, -0.35), (0.4, -0.7), (0.4 + spout, -0.9)], 0.07, 0.02), "light"),
        Shape(
            smooth([(-0.7, 0.1), (-1.0, -0.4), (-0.76, -0.3), (-0.6, -0.5), (-0.5, -0.02)]), "deep"
        ),
        Shape(
            smooth(
                path(
                    "-0.8 0.0, -0.3 -0.1, 0.2 -0.4, 0.8 -0.25, "
                    "0.98 0.25, 0.6 0.7, 0 0.74, -0.55 0.4"
                )
            ),
            "main",
        ),
        Shape(
            smooth([(0.98, 0.3), (0.6, 0.7), (0, 0.74), (-0.45, 0.44), (0.2, 0.5)]), "light", 0.85
        ),
        Shape(leaf(0.2, 0.42, 2.5, 0.45, 0.22), "deep"),
        Shape(ellipse(0.62, 0.16, 0.05), "dark"),
    ]


def owl(rng: Random) -> list[Shape]:
    """A night bird made of rings."""
    parts = [
        Shape(
            smooth(path("-0.55 -0.85, 0 -0.68, 0.55 -0.85, 0.6 0.1, 0.4 0.9, -0.4 0.9, -0.6 0.1")),
            "main",
        ),
        Shape(ellipse(0, 0.35, 0.36, 0.5), "light", 0.8),
    ]
    for row in range(4):
        for i in range(3 - row % 2):
            x, y = -0.2 + 0.2 * i + 0.1 * (row % 2), 0.12 + 0.17 * row
            parts.append(Shape(sector(x, y, 0.08, 0, math.pi), "second"))
    for x in (-1.0, 1.0):
        parts += [
            Shape(smooth([(0.5 * x, -0.15), (0.72 * x, 0.3), (0.42 * x, 0.75)]), "deep"),
            Shape(ellipse(0.25 * x, -0.4, 0.25), "accent"),
            Shape(ellipse(0.25 * x, -0.4, 0.18), "glow"),
            Shape(ellipse((0.25 - rng.uniform(0, 0.04)) * x, -0.4, 0.09), "dark"),
            Shape(ellipse(0.16 * x, 0.92, 0.12, 0.06), "warm"),
        ]
    parts.append(Shape(polygon((-0.07, -0.32), (0.07, -0.32), (0, -0.12)), "warm"))
    return parts


def elephant(rng: Random) -> list[Shape]:
    """Much ear, long trunk."""
    curl = rng.uniform(-0.1, 0.12)
    legs = [
        Shape(box(x, 0.3, x + 0.24, 1.0), t)
        for x, t in ((-0.6, "deep"), (0.12, "deep"), (-0.4, "main"), (-0.05, "main"))
    ]
    return [
        Shape(stroke([(-0.72, -0.05), (-0.86, 0.2), (-0.84, 0.5)], 0.07, 0.04), "deep"),
        *legs,
        Shape(
            smooth(path("-0.78 0.1, -0.5 -0.5, 0.1 -0.55, 0.4 -0.1, 0.25 0.5, -0.6 0.5")),
            "main",
        ),
        Shape(
            stroke([(0.5, -0.3), (0.85, 0.0), (0.8, 0.5), (0.96, 0.7 + curl)], 0.3, 0.12), "main"
        ),
        Shape(ellipse(0.45, -0.35, 0.36, 0.38), "main"),
        Shape(stroke([(0.6, -0.02), (0.72, 0.16), (0.98, 0.14)], 0.09, 0.02), "light"),
        Shape(
            smooth([(0.3, -0.62), (0.02, -0.75), (-0.2, -0.4), (-0.06, 0.05), (0.3, -0.02)]),
            "second",
        ),
        Shape(ellipse(0.58, -0.42, 0.045), "dark"),
    ]


def snake(rng: Random) -> list[Shape]:
    """A ribbon with spots (also dragons and worms, if they are small)."""
    wave = rng.uniform(0.4, 0.6)
    knots = [
        (-0.95, 0.6),
        (-0.6, 0.6 - wave),
        (-0.2, 0.5),
        (0.15, 0.55 - wave),
        (0.45, 0.3),
        (0.72, -0.35),
    ]
    parts = [Shape(stroke(knots, 0.05, 0.24), "main")]
    for i in range(1, 5):
        x, y = knots[i]
        parts.append(Shape(ellipse(x, y, 0.07), "accent"))
    parts += [
        Shape(ellipse(0.76, -0.46, 0.2, 0.17), "main"),
        Shape(stroke([(0.92, -0.46), (1.0, -0.5)], 0.03), "accent"),
        Shape(ellipse(0.8, -0.52, 0.045), "dark"),
    ]
    return parts


def dragon(rng: Random) -> list[Shape]:
    """Wings, spikes, a fire that is mostly show."""
    flap = rng.uniform(0.8, 1.0)
    spikes = [
        Shape(polygon((x, y), (x + 0.02, y - 0.2), (x + 0.15, y - 0.02)), "warm")
        for x, y in ((-0.62, 0.1), (-0.42, 0.0), (-0.2, -0.02), (0.02, -0.04))
    ]
    return [
        Shape(
            polygon(
                (0.0, 0.1), (-0.35, -0.95 * flap), (0.0, -0.6), (0.15, -0.9 * flap), (0.3, -0.2)
            ),
            "accent",
        ),
        Shape(stroke([(-0.4, 0.4), (-0.8, 0.5), (-0.98, 0.05)], 0.3, 0.03), "main"),
        *spikes,
        *(Shape(stroke([(x, 0.5), (x + 0.05, 0.95)], 0.22, 0.16), "deep") for x in (-0.35, 0.15)),
        Shape(
            smooth(path("-0.62 0.25, -0.1 -0.05, 0.3 0.05, 0.4 0.5, 0 0.75, -0.5 0.6")),
            "main",
        ),
        Shape(stroke([(0.25, 0.25), (0.5, -0.1), (0.5, -0.42)], 0.32, 0.2), "main"),
        Shape(
            smooth([(0.36, -0.66), (0.6, -0.7), (0.94, -0.44), (0.88, -0.3), (0.5, -0.28)]), "main"
        ),
        Shape(polygon((0.42, -0.62), (0.3, -0.9), (0.54, -0.68)), "warm"),
        Shape(smooth([(0.9, -0.36), (1.0, -0.22), (0.98, 0.0), (0.88, -0.14)]), "warm"),
        Shape(ellipse(0.62, -0.52, 0.05), "glow"),
    ]


def bee(rng: Random) -> list[Shape]:
    """A striped body under two panes."""
    lift = rng.uniform(-0.1, 0.1)
    stripes = [
        Shape(ellipse(x, 0.15, 0.08, h), "dark")
        for x, h in ((-0.32, 0.32), (-0.04, 0.38), (0.24, 0.33))
    ]
    return [
        Shape(leaf(-0.1, -0.05, -0.5 + lift, 0.8, 0.5), "light", 0.8),
        Shape(leaf(0.08, -0.05, 0.35 + lift, 0.85, 0.5), "haze", 0.8),
        Shape(ellipse(-0.05, 0.15, 0.62, 0.4), "warm"),
        *stripes,
        Shape(ellipse(0.62, 0.08, 0.26), "deep"),
        Shape(ellipse(0.7, 0.02, 0.06), "light"),
    ]
