"""What grows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    Shape,
    ellipse,
    leaf,
    moved,
    path,
    petal,
    placed,
    polygon,
    sector,
    smooth,
    stroke,
)

if TYPE_CHECKING:
    from random import Random


def blossom(rng: Random) -> list[Shape]:
    """A flower head alone, filling its square: two rings of petals around a seeded heart."""
    count = rng.choice((7, 8, 9, 11, 13))
    width = 2.6 / count
    turn = rng.random()
    outer = [
        Shape(petal(turn + math.tau * i / count, rng.uniform(0.92, 1.0), width, inner=0.16), tone)
        for i, tone in ((i, "main" if i % 2 else "deep") for i in range(count))
    ]
    inner = [
        Shape(
            petal(turn + math.tau * (i + 0.5) / count, 0.62, width * 0.62, inner=0.1), "accent", 0.9
        )
        for i in range(count)
    ]
    heart = [Shape(ellipse(0, 0, 0.27), "warm"), Shape(ellipse(0.02, 0.02, 0.17), "trunk", 0.8)]
    for i in range(11):
        far = 0.045 * math.sqrt(i) * 1.35
        heart.append(
            Shape(ellipse(far * math.cos(i * 2.4), far * math.sin(i * 2.4), 0.022), "glow")
        )
    return outer + inner + heart


def flower(rng: Random) -> list[Shape]:
    """A blossom on a bent stem with two or three leaves."""
    bend = rng.uniform(-0.16, 0.16)
    parts = [Shape(stroke([(0, 1), (bend * 1.5, 0.5), (bend, -0.35)], 0.075, 0.05), "leaf")]
    for i in range(rng.randint(2, 3)):
        side = 1 if i % 2 else -1
        y = 0.85 - 0.28 * i
        parts.append(Shape(leaf(bend * 0.8, y, side * rng.uniform(0.9, 1.2), 0.55, 0.22), "leaf"))
        parts.append(Shape(leaf(bend * 0.8, y, side * 1.1, 0.45, 0.07), "second", 0.5))
    return parts + placed(blossom(rng), bend, -0.45, 0.54)


def tulip(rng: Random) -> list[Shape]:
    """A cup of three petals between long leaves."""
    bend = rng.uniform(-0.1, 0.1)
    return [
        Shape(stroke([(0, 1), (bend, 0.4), (bend, -0.3)], 0.08, 0.06), "leaf"),
        Shape(leaf(-0.02, 1.0, -0.32, 1.1, 0.3), "leaf"),
        Shape(leaf(0.02, 1.0, 0.3, 0.95, 0.28), "second"),
        Shape(
            moved(smooth([(-0.36, -0.45), (-0.4, -0.98), (0, -0.2), (-0.1, -0.15)]), bend, 0),
            "deep",
        ),
        Shape(
            moved(smooth([(0.36, -0.45), (0.4, -0.98), (0, -0.2), (0.1, -0.15)]), bend, 0), "deep"
        ),
        Shape(
            moved(
                smooth([(0, -1.0), (0.26, -0.55), (0.2, -0.22), (-0.2, -0.22), (-0.26, -0.55)]),
                bend,
                0,
            ),
            "main",
        ),
    ]


def tree(rng: Random) -> list[Shape]:
    """A branching trunk under a crown of many leaf clusters."""
    parts = [
        Shape(
            smooth(path("-0.17 1.0, -0.08 0.5, -0.09 0.05, 0.09 0.05, 0.08 0.5, 0.19 1.0")),
            "trunk",
        ),
        Shape(stroke([(0, 0.3), (-0.22, -0.05), (-0.42, -0.3)], 0.1, 0.03), "trunk"),
        Shape(stroke([(0, 0.2), (0.2, -0.1), (0.4, -0.4)], 0.1, 0.03), "trunk"),
    ]
    tones = ("leaf", "second", "leaf", "deepleaf", "leaf")
    for i in range(15):
        angle, far = i * 2.4 + rng.random() * 0.4, 0.16 * math.sqrt(i)
        x, y = far * math.cos(angle), -0.38 + far * 0.82 * math.sin(angle)
        blob = ellipse(x, y, rng.uniform(0.22, 0.32), rng.uniform(0.2, 0.28), steps=28)
        parts.append(Shape(blob, tones[i % 5], 0.86))
    for i in range(rng.randint(5, 9)):
        angle, far = i * 2.4 + 1.0, 0.62 * math.sqrt((i + 1) / 10)
        dot = ellipse(far * math.cos(angle), -0.38 + far * 0.8 * math.sin(angle), 0.055)
        parts.append(Shape(dot, "main" if i % 2 else "accent"))
    return parts


def fir(rng: Random) -> list[Shape]:
    """Stacked skirts, lighter towards the top."""
    parts = [Shape(polygon((-0.08, 0.6), (0.08, 0.6), (0.1, 1.0), (-0.1, 1.0)), "trunk")]
    for i in range(4):
        top, low, half = -1.0 + i * 0.36, -0.36 + i * 0.38, 0.32 + i * 0.13
        sag = rng.uniform(0.02, 0.08)
        skirt = smooth(
            [
                (0, top),
                (half * 0.5, (top + low) / 2),
                (half, low),
                (0, low - sag),
                (-half, low),
                (-half * 0.5, (top + low) / 2),
            ],
            steps=6,
        )
        parts.insert(1, Shape(skirt, "leaf" if i % 2 else "deepleaf"))
    return parts


def leaves(rng: Random) -> list[Shape]:
    """A twig with paired leaves."""
    line = [(-0.7, 0.9), (-0.2, 0.3), (0.2, -0.3), (0.5, -0.9)]
    parts = [Shape(stroke(line, 0.06, 0.03), "trunk")]
    for i in range(8):
        t = i / 7
        x, y = -0.6 + 1.1 * t, 0.75 - 1.55 * t
        side = 1 if i % 2 else -1
        length = rng.uniform(0.5, 0.65) * (1 - 0.35 * t)
        tone = ("leaf", "second", "main", "warm")[i % 4]
        parts.append(Shape(leaf(x, y, 0.6 + side * 0.95, length, length * 0.42), tone, 0.92))
    return parts


def grass(rng: Random) -> list[Shape]:
    """A tuft of blades."""
    parts = []
    for i in range(11):
        x = -0.7 + 1.4 * i / 10
        lean = x * 0.5 + rng.uniform(-0.15, 0.15)
        height = rng.uniform(0.9, 1.7)
        blade = stroke(
            [(x * 0.7, 1.0), (x * 0.75 + lean * 0.3, 1 - height * 0.6), (x + lean, 1 - height)],
            0.09,
            0.005,
        )
        parts.append(Shape(blade, ("leaf", "deepleaf", "second")[i % 3], 0.95))
    return parts


def mushroom(rng: Random) -> list[Shape]:
    """A dotted cap on a stout foot."""
    parts = [
        Shape(
            smooth(path("-0.22 0.0, 0.22 0.0, 0.2 0.6, 0.3 1.0, -0.3 1.0, -0.2 0.6")),
            "light",
        ),
        Shape(sector(0, 0.1, 0.9, math.pi, math.tau), "main"),
        Shape(ellipse(0, 0.1, 0.9, 0.14), "deep"),
    ]
    for x, y, r in (
        (-0.45, -0.2, 0.12),
        (0.1, -0.5, 0.15),
        (0.5, -0.15, 0.1),
        (-0.15, -0.12, 0.08),
    ):
        parts.append(Shape(ellipse(x + rng.uniform(-0.03, 0.03), y, r), "light"))
    return parts


def fruit(rng: Random) -> list[Shape]:
    """An apple, half in shade, with a leaf."""
    body = path(
        "0 -0.42, 0.42 -0.58, 0.82 -0.2, 0.66 0.6, 0.25 0.92, "
        "0 0.84, -0.25 0.92, -0.66 0.6, -0.82 -0.2, -0.42 -0.58"
    )
    half = path("0.1 -0.46, 0.42 -0.58, 0.82 -0.2, 0.66 0.6, 0.25 0.92, 0.42 0.2")
    return [
        Shape(stroke([(0, -0.4), (0.04, -0.7), (0.14, -0.95)], 0.08), "trunk"),
        Shape(smooth(body), "main"),
        Shape(smooth(half), "deep", 0.8),
        Shape(leaf(0.06, -0.62, rng.uniform(1.0, 1.4), 0.6, 0.28), "leaf"),
        Shape(ellipse(-0.42, -0.12, 0.1, 0.17), "light", 0.7),
    ]


def cactus(rng: Random) -> list[Shape]:
    """A saguaro with two arms and a blossom."""
    arm = rng.uniform(-0.15, 0.1)
    return [
        Shape(stroke([(-0.1, 0.35), (-0.55, 0.3), (-0.58, -0.2 + arm)], 0.22, 0.2), "deepleaf"),
        Shape(stroke([(0.1, 0.15), (0.52, 0.1), (0.55, -0.4 - arm)], 0.22, 0.2), "leaf"),
        Shape(smooth([(-0.2, 1), (-0.2, -0.6), (0, -0.85), (0.2, -0.6), (0.2, 1)]), "leaf"),
        *(Shape(stroke([(x, 0.95), (x, -0.55)], 0.025), "light", 0.5) for x in (-0.08, 0.06)),
        *placed(blossom(rng), 0, -0.84, 0.16),
    ]
