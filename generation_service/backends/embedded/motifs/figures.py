"""Figures: people, masks, machines that look like people."""

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
    star,
    stroke,
)

if TYPE_CHECKING:
    from random import Random

SKINS = ("skin", "tan", "umber")


def person(rng: Random) -> list[Shape]:
    """A dancing figure: the coat a triangle, the arms a question."""
    up = rng.uniform(0.3, 0.6)
    return [
        Shape(stroke([(-0.12, 0.5), (-0.2, 0.95)], 0.13, 0.09), "dark"),
        Shape(stroke([(0.12, 0.5), (0.3, 0.95)], 0.13, 0.09), "dark"),
        Shape(stroke([(-0.18, -0.25), (-0.55, -0.1), (-0.8, -up)], 0.13, 0.08), "second"),
        Shape(stroke([(0.18, -0.25), (0.55, -0.35), (0.75, 0.1 - up)], 0.13, 0.08), "second"),
        Shape(
            smooth(path("-0.2 -0.38, 0.2 -0.38, 0.3 0.2, 0.46 0.62, -0.46 0.62, -0.3 0.2")),
            "main",
        ),
        *(Shape(ellipse(0, y, 0.045), "warm") for y in (-0.15, 0.05, 0.25)),
        Shape(ellipse(0, -0.66, 0.27, 0.3), rng.choice(SKINS)),
        Shape(sector(0, -0.7, 0.32, math.pi, math.tau), "dark"),
        *(Shape(ellipse(x, -0.62, 0.032), "dark") for x in (-0.1, 0.1)),
        Shape(sector(0, -0.55, 0.09, 0.2, math.pi - 0.2, 0.06), "accent"),
    ]


def face(rng: Random) -> list[Shape]:
    """A mask in two halves, as the cubists liked it."""
    gaze = rng.uniform(-0.05, 0.05)
    left = smooth(path("0 -0.95, -0.6 -0.7, -0.7 0.1, -0.35 0.85, 0 0.98, 0.05 0.3, -0.05 -0.2"))
    right = smooth(path("0 -0.95, 0.6 -0.7, 0.7 0.1, 0.35 0.85, 0 0.98, 0.05 0.3, -0.05 -0.2"))
    parts = [Shape(right, "second"), Shape(left, rng.choice(SKINS))]
    for x, tone in ((-0.32, "light"), (0.32, "warm")):
        parts += [
            Shape(smooth([(x - 0.22, -0.2), (x, -0.34), (x + 0.22, -0.2), (x, -0.1)]), tone),
            Shape(ellipse(x + gaze, -0.21, 0.09), "dark"),
            Shape(stroke([(x - 0.24, -0.42), (x, -0.54), (x + 0.24, -0.44)], 0.07, 0.03), "dark"),
        ]
    return [
        *parts,
        Shape(polygon((0.0, -0.25), (0.16, 0.28), (-0.08, 0.28)), "accent"),
        Shape(smooth([(-0.26, 0.55), (0, 0.48), (0.26, 0.55), (0, 0.68)]), "main"),
        Shape(star(-0.42, 0.25, 0.1, 0.05, 8), "accent", 0.7),
    ]


def robot(rng: Random) -> list[Shape]:
    """Boxes, dials and one antenna."""
    tilt = rng.uniform(-0.1, 0.1)
    parts = [
        Shape(stroke([(0, -0.7), (tilt, -0.92)], 0.05), "dark"),
        Shape(ellipse(tilt, -0.94, 0.07), "accent"),
        *(Shape(box(x, 0.5, x + 0.22, 0.92), "deep") for x in (-0.32, 0.1)),
        *(Shape(box(x, 0.9, x + 0.34, 1.0), "dark") for x in (-0.4, 0.06)),
        Shape(stroke([(-0.45, -0.05), (-0.75, 0.1), (-0.7, 0.45)], 0.13), "second"),
        Shape(stroke([(0.45, -0.05), (0.78, -0.1), (0.8, -0.45)], 0.13), "second"),
        Shape(box(-0.46, -0.14, 0.46, 0.55), "main"),
        Shape(box(-0.38, -0.72, 0.38, -0.2), "main"),
        Shape(box(-0.3, -0.64, 0.3, -0.28), "light"),
        Shape(box(-0.28, 0.0, 0.28, 0.36), "haze"),
    ]
    for x in (-0.15, 0.15):
        parts += [Shape(ellipse(x, -0.48, 0.1), "water"), Shape(ellipse(x, -0.48, 0.045), "dark")]
    parts.append(Shape(sector(0, 0.3, 0.22, math.pi, math.tau, 0.16), "warm"))
    parts.append(Shape(stroke([(0, 0.3), (0.12, 0.14)], 0.04), "dark"))
    return parts
