"""What hangs, flies or falls above the horizon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    crescent,
    ellipse,
    leaf,
    moved,
    path,
    petal,
    polygon,
    rotated,
    sector,
    smooth,
    star,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def sun(rng: Random) -> list[Shape]:
    """A disc in a ring of rays, each ray a little different."""
    rays = rng.choice((12, 14, 16, 18))
    turn = rng.random()
    parts = []
    for i in range(rays):
        length = 0.98 if i % 2 == 0 else 0.82
        parts.append(
            Shape(
                petal(turn + math.tau * i / rays, length, 0.16, inner=0.6),
                "warm" if i % 2 == 0 else "accent",
                0.95,
            )
        )
    parts.append(Shape(ellipse(0, 0, 0.56), "warm"))
    parts.append(Shape(ellipse(0.03, 0.02, 0.42), "glow", 0.8))
    parts.append(Shape(ellipse(0.05, 0.03, 0.24), "warm", 0.7))
    return parts


def moon(rng: Random) -> list[Shape]:
    """A crescent that holds its own faint full disc."""
    tilt = rng.uniform(-0.6, -0.2)
    return [
        Shape(ellipse(0, 0, 0.92), "haze", 0.22),
        Shape(ellipse(0, 0, 0.74), "haze", 0.25),
        Shape(rotated(crescent(0, 0, 0.72, rng.uniform(0.55, 0.8)), tilt), "glow"),
        Shape(ellipse(0.36, 0.2, 0.07), "haze", 0.4),
        Shape(ellipse(0.42, -0.18, 0.05), "haze", 0.4),
    ]


def stars(rng: Random) -> list[Shape]:
    """A loose handful, one large."""
    parts = [Shape(star(0, 0, 0.5, 0.2, rng.choice((5, 6, 8)), rng.random()), "glow")]
    for i in range(5):
        angle = math.tau * i / 5 + rng.random()
        far = rng.uniform(0.65, 0.9)
        size = rng.uniform(0.1, 0.2)
        middle = (far * math.cos(angle), far * math.sin(angle))
        parts.append(Shape(star(*middle, size, size * 0.4, rng.choice((4, 5))), "warm"))
    return parts


def cloud(rng: Random) -> list[Shape]:
    """A flat belly under three to five bulges."""
    bulges = rng.randint(3, 5)
    parts = []
    for tone, drop, grow in (("haze", 0.1, 1.04), ("light", 0.0, 1.0)):
        parts.append(Shape(moved(ellipse(0, 0.28, 0.92 * grow, 0.2), 0, drop), tone, 0.9))
        for i in range(bulges):
            x = -0.6 + 1.2 * i / (bulges - 1)
            r = (0.42 - 0.3 * abs(x)) * (0.85 + 0.3 * ((i * 7 + bulges) % 3) / 2) * grow
            parts.append(Shape(moved(ellipse(x, 0.18 - r * 0.5, r), 0, drop), tone, 0.9))
    return parts


def rain(rng: Random) -> list[Shape]:
    """A curtain of slanted drops."""
    parts = []
    for i in range(26):
        x, y = rng.uniform(-0.95, 0.95), -0.95 + 1.9 * ((i * 0.618) % 1)
        drop = rotated(leaf(0, 0, 0, rng.uniform(0.18, 0.34), 0.055), 0.2)
        parts.append(Shape(moved(drop, x, y), rng.choice(("water", "light", "water")), 0.85))
    return parts


def snow(rng: Random) -> list[Shape]:
    """Six-armed flakes and dots."""
    parts = []
    for i in range(20):
        x, y = rng.uniform(-0.92, 0.92), -0.92 + 1.84 * ((i * 0.618) % 1)
        size = rng.uniform(0.03, 0.11)
        if size < 0.055:
            parts.append(Shape(ellipse(x, y, size * 0.5), "light"))
        else:
            parts.append(Shape(star(x, y, size, size * 0.28, 6, rng.random()), "light"))
    return parts


def lightning(rng: Random) -> list[Shape]:
    """One zigzag with an echo."""
    bolt = path("0.1 -1.0, -0.45 0.1, -0.05 0.05, -0.3 1.0, 0.5 -0.25, 0.08 -0.18")
    lean = rng.uniform(-0.1, 0.1)
    shifted = [(x + lean * y + 0.1, y) for x, y in bolt]
    return [Shape(polygon(*shifted), "accent", 0.7), Shape(polygon(*bolt), "warm")]


def rainbow(rng: Random) -> list[Shape]:
    """Half rings in the palette's inks."""
    tones = ["main", "accent", "warm", "leaf", "water", "second"]
    if rng.random() < 0.5:
        tones.reverse()
    return [
        Shape(sector(0, 0.7, 1.0 - i * 0.1, math.pi, math.tau, 0.9 - i * 0.1), tone, 0.92)
        for i, tone in enumerate(tones)
    ]


def bird(rng: Random) -> list[Shape]:
    """A bird in flight, wings up, cut from five pieces."""
    lift = rng.uniform(0.55, 0.95)
    body = smooth(path("-0.75 0.22, -0.2 0.02, 0.35 -0.08, 0.62 0.02, 0.4 0.26, -0.2 0.34"))
    near = smooth(
        [(-0.12, 0.12), (0.02, -0.3 * lift), (-0.32, -1.0 * lift), (-0.5, -0.4), (-0.4, 0.1)]
    )
    far = smooth(
        [(0.12, 0.05), (0.3, -0.35 * lift), (0.28, -0.9 * lift), (-0.02, -0.4), (-0.1, 0.05)]
    )
    tail = polygon((-0.62, 0.2), (-1.0, 0.05), (-0.86, 0.22), (-0.98, 0.4))
    return [
        Shape(far, "second", 0.95),
        Shape(tail, "second"),
        Shape(body, "main"),
        Shape(polygon((0.58, -0.06), (0.9, 0.06), (0.57, 0.12)), "warm"),
        Shape(near, "accent"),
        Shape(
            smooth([(-0.16, 0.05), (-0.1, -0.2), (-0.3, -0.66 * lift), (-0.36, -0.2)]), "main", 0.7
        ),
        Shape(ellipse(0.44, 0.03, 0.045), "dark"),
    ]


def butterfly(rng: Random) -> list[Shape]:
    """Four wings with eyes, a thin body."""
    parts = []
    high, low = rng.uniform(0.8, 0.95), rng.uniform(0.6, 0.8)
    for side in (-1.0, 1.0):
        upper = smooth([(0, -0.1), (0.3 * side, -0.75), (high * side, -0.7), (0.75 * side, -0.1)])
        lower = smooth([(0, 0.0), (0.6 * side, 0.02), (low * side, 0.6), (0.25 * side, 0.75)])
        parts += [
            Shape(lower, "second"),
            Shape(upper, "main"),
            Shape(ellipse(0.55 * side, -0.45, 0.17), "accent"),
            Shape(ellipse(0.55 * side, -0.45, 0.08), "dark", 0.8),
            Shape(ellipse(0.42 * side, 0.38, 0.12), "warm"),
        ]
        parts.append(
            Shape(stroke([(0, -0.35), (0.1 * side, -0.7), (0.28 * side, -0.9)], 0.03), "dark")
        )
    parts.append(Shape(ellipse(0, 0.05, 0.07, 0.5), "dark"))
    return parts


def balloon(rng: Random) -> list[Shape]:
    """A hot-air balloon with gores."""
    parts = [
        Shape(
            smooth(
                path("0 -1, 0.66 -0.72, 0.72 -0.2, 0.2 0.42, -0.2 0.42, -0.72 -0.2, -0.66 -0.72")
            ),
            "main",
        )
    ]
    for x, tone in ((0.36, "accent"), (0.12, "light")):
        gore = smooth(
            [
                (0, -1),
                (x, -0.7),
                (x * 1.1, -0.2),
                (x * 0.4, 0.42),
                (-x * 0.4, 0.42),
                (-x * 1.1, -0.2),
                (-x, -0.7),
            ]
        )
        parts.append(Shape(gore, tone, 0.95))
    sway = rng.uniform(-0.03, 0.03)
    for x in (-0.17, 0.17):
        parts.append(Shape(stroke([(x, 0.4), (x * 0.9 + sway, 0.7)], 0.025), "dark"))
    parts.append(Shape(polygon((-0.19, 0.66), (0.19, 0.66), (0.14, 0.95), (-0.14, 0.95)), "trunk"))
    return parts


def rocket(rng: Random) -> list[Shape]:
    """A fifties rocket on its flame."""
    flame = rng.uniform(0.8, 1.0)
    return [
        Shape(smooth([(-0.2, 0.45), (0.2, 0.45), (0.14, 0.75), (0, flame), (-0.14, 0.75)]), "warm"),
        Shape(smooth([(-0.1, 0.45), (0.1, 0.45), (0, flame - 0.2)]), "glow"),
        Shape(polygon((-0.26, 0.0), (-0.62, 0.6), (-0.2, 0.42)), "accent"),
        Shape(polygon((0.26, 0.0), (0.62, 0.6), (0.2, 0.42)), "accent"),
        Shape(
            smooth(path("0 -1, 0.3 -0.45, 0.32 0.1, 0.2 0.5, -0.2 0.5, -0.32 0.1, -0.3 -0.45")),
            "light",
        ),
        Shape(smooth([(0, -1), (0.25, -0.56), (0.1, -0.5), (-0.1, -0.5), (-0.25, -0.56)]), "main"),
        Shape(ellipse(0, -0.18, 0.17), "dark"),
        Shape(ellipse(0, -0.18, 0.12), "water"),
        Shape(ellipse(-0.04, -0.22, 0.04), "light"),
    ]


def plane(rng: Random) -> list[Shape]:
    """A folded paper plane with a dotted trail."""
    parts = [
        Shape(ellipse(-0.9 + 0.2 * i, 0.62 - 0.09 * i * i / 3, 0.03), "light") for i in range(4)
    ]
    dip = rng.uniform(-0.05, 0.05)
    parts += [
        Shape(polygon((1.0, -0.6), (-0.7, -0.1 + dip), (-0.2, 0.12)), "light"),
        Shape(polygon((1.0, -0.6), (-0.2, 0.12), (-0.12, 0.55)), "haze"),
        Shape(polygon((1.0, -0.6), (-0.05, 0.2), (0.45, 0.5)), "main"),
    ]
    return parts


def planet(rng: Random) -> list[Shape]:
    """A banded globe in a tilted ring."""
    tilt = rng.uniform(-0.5, -0.2)
    back = rotated(sector(0, 0, 1.0, math.pi, math.tau, 0.8) * [1.0, 0.3], tilt)
    front = rotated(sector(0, 0, 1.0, 0, math.pi, 0.8) * [1.0, 0.3], tilt)
    bands = [
        Shape(rotated(ellipse(0, y, 0.52 * math.sqrt(1 - (y / 0.56) ** 2), 0.05), tilt), tone, 0.8)
        for y, tone in ((-0.3, "accent"), (-0.08, "light"), (0.18, "second"), (0.36, "accent"))
    ]
    return [Shape(back, "warm"), Shape(ellipse(0, 0, 0.58), "main"), *bands, Shape(front, "warm")]
