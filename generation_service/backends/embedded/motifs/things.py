"""What lies, stands or sounds about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    box,
    ellipse,
    leaf,
    moved,
    path,
    polygon,
    rotated,
    sector,
    smooth,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def heart(rng: Random) -> list[Shape]:
    """A heart, with a second one inside."""
    outer = path(
        "0 -0.38, 0.42 -0.8, 0.9 -0.5, 0.82 0.05, 0.4 0.55, "
        "0 0.92, -0.4 0.55, -0.82 0.05, -0.9 -0.5, -0.42 -0.8"
    )
    inside = rng.uniform(0.45, 0.6)
    return [
        Shape(smooth(outer), "main"),
        Shape(smooth([(x * inside + 0.05, y * inside) for x, y in outer]), "accent", 0.9),
        Shape(ellipse(-0.52, -0.45, 0.1, 0.16), "light", 0.6),
    ]


def eye(rng: Random) -> list[Shape]:
    """A wide-open eye with lashes."""
    look = rng.uniform(-0.12, 0.12)
    lashes = [
        Shape(leaf(0.72 * math.sin(a), -0.38 * math.cos(a), a, 0.42, 0.07), "dark")
        for a in (-1.1, -0.7, -0.25, 0.25, 0.7, 1.1)
    ]
    return [
        *lashes,
        Shape(
            smooth(path("-1 0, -0.45 -0.42, 0.45 -0.42, 1 0, 0.45 0.42, -0.45 0.42")),
            "light",
        ),
        Shape(ellipse(look, 0, 0.4), "main"),
        *(
            Shape(sector(look, 0, 0.38, a, a + 0.14, 0.2), "accent", 0.8)
            for a in (i * math.tau / 14 for i in range(14))
        ),
        Shape(ellipse(look, 0, 0.19), "dark"),
        Shape(ellipse(look - 0.1, -0.12, 0.07), "light"),
    ]


def hand(rng: Random) -> list[Shape]:
    """A palm print with five fingers."""
    spread = rng.uniform(0.85, 1.1)
    parts = []
    for angle, length in ((-0.42, 0.95), (-0.13, 1.12), (0.14, 1.08), (0.42, 0.92)):
        a = angle * spread
        tip = (math.sin(a) * length, 0.2 - math.cos(a) * length)
        root = (math.sin(a) * 0.3, 0.3)
        parts += [
            Shape(stroke([root, tip], 0.23, 0.17), "main"),
            Shape(ellipse(*tip, 0.085), "main"),
        ]
    parts += [
        Shape(stroke([(-0.25, 0.6), (-0.6, 0.4), (-0.8, 0.08)], 0.26, 0.18), "main"),
        Shape(ellipse(-0.8, 0.08, 0.09), "main"),
        Shape(
            smooth(path("-0.36 0.2, 0.38 0.2, 0.36 0.75, 0.2 1.0, -0.2 1.0, -0.36 0.75")),
            "main",
        ),
        Shape(sector(0.03, 0.6, 0.2, math.pi, math.tau * 0.98, 0.15), "accent"),
    ]
    return parts


def clock(rng: Random) -> list[Shape]:
    """A dial; the time is the seed's."""
    hour, minute = rng.random() * math.tau, rng.random() * math.tau
    parts = [Shape(ellipse(0, 0, 0.95), "main"), Shape(ellipse(0, 0, 0.8), "light")]
    for i in range(12):
        tick = box(-0.025, -0.74, 0.025, -0.6 if i % 3 else -0.52)
        parts.append(Shape(rotated(tick, i * math.tau / 12), "dark"))
    parts += [
        Shape(rotated(leaf(0, 0.1, 0, 0.52, 0.13), hour), "accent"),
        Shape(rotated(leaf(0, 0.12, 0, 0.78, 0.08), minute), "dark"),
        Shape(ellipse(0, 0, 0.07), "warm"),
    ]
    return parts


def umbrella(rng: Random) -> list[Shape]:
    """A dome in wedges."""
    parts = [
        Shape(stroke([(0, -0.85), (0, 0.75), (0.14, 0.95), (0.3, 0.8)], 0.06), "dark"),
        Shape(sector(0, 0.0, 0.95, math.pi, math.tau), "main"),
    ]
    wedges = rng.choice((4, 5))
    for i in range(0, wedges, 2):
        a, b = math.pi + math.pi * i / wedges, math.pi + math.pi * (i + 1) / wedges
        parts.append(Shape(sector(0, 0.0, 0.95, a, b), "accent"))
    parts += [
        Shape(sector(-0.76 + 0.38 * i, 0.0, 0.19, math.pi, math.tau), "light", 0.9)
        for i in range(5)
    ]
    return parts


def note(rng: Random) -> list[Shape]:
    """Two beamed notes."""
    lean = rng.uniform(-0.1, 0.1)
    return [
        Shape(stroke([(-0.4, 0.6), (-0.4 + lean, -0.7)], 0.09), "main"),
        Shape(stroke([(0.55, 0.4), (0.55 + lean, -0.9)], 0.09), "main"),
        Shape(
            polygon(
                (-0.44 + lean, -0.74),
                (0.6 + lean, -0.96),
                (0.6 + lean, -0.68),
                (-0.44 + lean, -0.46),
            ),
            "accent",
        ),
        Shape(rotated(ellipse(-0.42, 0.72, 0.27, 0.19), -0.25), "main"),
        Shape(rotated(ellipse(0.28, 0.62, 0.27, 0.19), -0.25), "main"),
    ]


def guitar(rng: Random) -> list[Shape]:
    """A cubist's guitar, half of it in shade."""
    body = path(
        "-0.16 -0.05, 0.34 0.0, 0.34 0.26, 0.52 0.6, "
        "0.3 0.98, -0.3 0.98, -0.52 0.6, -0.34 0.26, -0.34 0.0"
    )
    shade = path("0.02 -0.05, 0.34 0.0, 0.34 0.26, 0.52 0.6, 0.3 0.98, 0.02 0.98")
    return [
        Shape(box(-0.07, -0.85, 0.09, 0.3), "trunk"),
        Shape(polygon((-0.12, -1.0), (0.14, -0.96), (0.12, -0.78), (-0.1, -0.78)), "dark"),
        Shape(smooth(body), "main"),
        Shape(smooth(shade, steps=6), "deep", 0.8),
        Shape(ellipse(0, 0.42, rng.uniform(0.14, 0.18)), "dark"),
        Shape(box(-0.2, 0.72, 0.2, 0.78), "dark"),
        *(Shape(stroke([(x, -0.8), (x, 0.74)], 0.014), "glow") for x in (-0.03, 0.01, 0.05)),
    ]


def gear(rng: Random) -> list[Shape]:
    """A cogwheel with spokes, meshing with a small one."""
    teeth = rng.choice((9, 10, 12))
    parts = []
    for cx, cy, r, tone, n in (
        (-0.18, 0.12, 0.66, "main", teeth),
        (0.62, -0.58, 0.34, "accent", 7),
    ):
        spoke = box(-r * 0.09, -r * 0.72, r * 0.09, r * 0.72)
        for i in range(n):
            cog = rotated(box(-r * 0.13, -r * 1.22, r * 0.13, -r * 0.8), i * math.tau / n)
            parts.append(Shape(moved(cog, cx, cy), tone))
        parts += [Shape(ellipse(cx, cy, r), tone), Shape(ellipse(cx, cy, r * 0.68), "haze", 0.75)]
        parts += [
            Shape(
                moved(rotated(spoke, i * math.pi / 3), cx, cy),
                tone,
            )
            for i in range(3)
        ]
        parts += [
            Shape(ellipse(cx, cy, r * 0.28), "dark"),
            Shape(ellipse(cx, cy, r * 0.13), "warm"),
        ]
    return parts


def fire(rng: Random) -> list[Shape]:
    """Three tongues over two logs."""
    sway = rng.uniform(-0.12, 0.12)
    tongues = []
    for grow, tone in ((1.0, "accent"), (0.72, "warm"), (0.42, "glow")):
        knots = [
            (0, 0.75),
            (0.55, 0.35),
            (0.4, -0.15),
            (0.22, 0.0),
            (sway, -0.95),
            (-0.3, -0.1),
            (-0.55, 0.3),
        ]
        tongues.append(
            Shape(smooth([(x * grow, 0.75 + (y - 0.75) * grow) for x, y in knots]), tone)
        )
    logs = [
        Shape(stroke([(-0.65 * s, 0.95), (0.65 * s, 0.7)], 0.17), t)
        for s, t in ((1, "trunk"), (-1, "dark"))
    ]
    return [*tongues, *logs]


def crown(rng: Random) -> list[Shape]:
    """Five points and stones."""
    tall = rng.uniform(0.6, 0.8)
    points = [
        (-0.85, 0.6),
        (-0.95, -0.35),
        (-0.45, 0.1),
        (0, -tall),
        (0.45, 0.1),
        (0.95, -0.35),
        (0.85, 0.6),
    ]
    jewels = [
        Shape(ellipse(x, 0.45, 0.1), t) for x, t in ((-0.5, "accent"), (0, "main"), (0.5, "accent"))
    ]
    balls = [
        Shape(ellipse(x, y, 0.09), "glow")
        for x, y in ((-0.95, -0.4), (0, -tall - 0.05), (0.95, -0.4))
    ]
    return [
        Shape(polygon(*points), "warm"),
        Shape(box(-0.87, 0.6, 0.87, 0.82), "second"),
        *jewels,
        *balls,
    ]


def ball(rng: Random) -> list[Shape]:
    """A striped ball (also: marble, egg, globe)."""
    turn = rng.random() * math.tau
    tones = ("main", "light", "accent", "second", "warm", "light")
    wedges = [
        Shape(sector(0, 0, 0.92, turn + i * math.tau / 6, turn + (i + 1) * math.tau / 6), t)
        for i, t in enumerate(tones)
    ]
    return [
        *wedges,
        Shape(ellipse(0, 0, 0.16), "dark"),
        Shape(ellipse(-0.35, -0.4, 0.2, 0.12), "light", 0.45),
    ]
