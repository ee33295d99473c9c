"""People, robots, and what hangs in the sky, modelled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.outline import smooth, star
from generation_service.backends.embedded.sculpture.kit import (
    arc,
    both_sides,
    moved,
    pitched,
    rolled,
    yawed,
)

if TYPE_CHECKING:
    from generation_service.backends.embedded.sculpture.kit import Kit, Piece


def person(kit: Kit) -> list[Piece]:
    """A doll with its arms in the air."""
    rng = kit.rng
    lift = rng.uniform(0.0, 0.5)
    arm = kit.rope("main", arc((0.2, 1.15, 0), (0.62, 1.1 + lift, 0.1), (0.5, 1.0, 0)), 0.09, 0.07)
    leg = kit.rope("second", [(0.13, 0.7, 0), (0.14, 0.35, 0), (0.15, 0.08, 0)], 0.1, 0.09)
    face = both_sides([kit.ball("dark", (0.1, 1.58, 0.26), 0.035)])
    return [
        kit.turned("main", (0, 0, 0), [(0.36, 0.55), (0.3, 0.8), (0.2, 1.15), (0.1, 1.28)]),
        kit.ball("skin", (0, 1.55, 0), 0.28),
        kit.ball("trunk", (0, 1.63, -0.05), (0.3, 0.27, 0.28)),
        kit.ball("accent", (0, 1.46, 0.265), (0.07, 0.025, 0.02)),
        *face,
        *both_sides([arm, kit.ball("skin", (0.64, 1.1 + lift, 0.1), 0.09), leg]),
        *both_sides([kit.ball("dark", (0.15, 0.06, 0.06), (0.1, 0.07, 0.17))]),
    ]


def robot(kit: Kit) -> list[Piece]:
    """Boxes, hoses, antenna."""
    arm = kit.rope("dark", arc((0.36, 1.0, 0), (0.66, 0.6, 0.2), (0.75, 0.95, 0)), 0.07, 0.07)
    dials = [
        kit.ball(tone, (x, 0.85, 0.3), (0.06, 0.06, 0.03))
        for x, tone in ((-0.16, "warm"), (0.0, "accent"), (0.16, "leaf"))
    ]
    limbs = [
        arm,
        kit.ball("accent", (0.66, 0.56, 0.22), 0.12),
        kit.box("second", (0.18, 0.1, 0), (0.2, 0.42, 0.24)),
        kit.box("dark", (0.18, 0, 0.06), (0.26, 0.12, 0.4)),
        kit.ball("glow", (0.15, 1.48, 0.27), (0.1, 0.1, 0.05)),
        kit.ball("dark", (0.15, 1.48, 0.31), (0.045, 0.045, 0.03)),
        *moved(
            rolled(kit.post("accent", (0, 0, 0), 0.1, 0.12, 0.1), -math.pi / 2), (0.34, 1.45, 0)
        ),
    ]
    return [
        kit.box("main", (0, 0.5, 0), (0.74, 0.68, 0.54)),
        kit.box("light", (0, 0.62, 0.27), (0.52, 0.42, 0.04)),
        *kit.post("dark", (0, 1.16, 0), 0.1, 0.12, 0.12),
        kit.box("second", (0, 1.24, 0), (0.66, 0.46, 0.5)),
        kit.box("dark", (0, 1.3, 0.25), (0.3, 0.05, 0.03)),
        *kit.post("dark", (0, 1.7, 0), 0.24, 0.02, 0.02),
        kit.ball("warm", (0, 1.97, 0), 0.07),
        *dials,
        *both_sides(limbs),
    ]


def ghost(kit: Kit) -> list[Piece]:
    """A sheet with eyes."""
    profile = [(0.62, 0.05), (0.52, 0.4), (0.48, 0.9), (0.44, 1.25), (0.3, 1.55), (0.0, 1.68)]
    hem = [
        kit.ball("light", (0.52 * math.cos(a), 0.1, 0.52 * math.sin(a)), (0.15, 0.16, 0.15))
        for a in np.linspace(0, math.tau, 9)[:-1]
    ]
    eye = kit.ball("dark", (0.16, 1.15, 0.4), (0.08, 0.12, 0.06))
    arm = kit.ball("light", (0.5, 0.95, 0.15), (0.2, 0.12, 0.14))
    mouth = kit.ball("dark", (0, 0.92, 0.46), (0.07, 0.1, 0.05))
    return [kit.turned("light", (0, 0, 0), profile), *hem, mouth, *both_sides([eye, arm])]


def sun(kit: Kit) -> list[Piece]:
    """A ball in a wreath of spikes."""
    parts = [kit.ball("warm", (0, 1, 0), 0.52)]
    for i in range(12):
        spike = moved(
            kit.post("accent" if i % 2 else "warm", (0, 0, 0), 0.36, 0.12, 0.0), (0, 0.6, 0)
        )
        parts += moved(rolled(spike, math.tau * i / 12), (0, 1, 0))
    return parts


def moon(kit: Kit) -> list[Piece]:
    """A thick crescent with a sleepy eye."""
    t = np.linspace(-1.9, 1.9, 22)
    line = [(-0.62 * math.cos(a) + 0.15, 1 + 0.72 * math.sin(a), 0.0) for a in t]
    middle = len(line) // 2
    lower = kit.rope("glow", line[: middle + 1], 0.03, 0.25)
    upper = kit.rope("glow", line[middle:][::-1], 0.03, 0.25)
    return [lower, upper, kit.ball("dark", (-0.4, 1.1, 0.22), (0.07, 0.02, 0.04))]


def stars(kit: Kit) -> list[Piece]:
    """One large star among small ones."""
    parts = [kit.board("warm", star(0, 0, 0.5, 0.22, 5, math.pi), 0.2, (0, 1, 0))]
    for i in range(5):
        a, far = math.tau * i / 5 + 0.4, kit.rng.uniform(0.65, 0.9)
        small = star(0, 0, 0.17, 0.07, 5, math.pi)
        spot = (far * math.cos(a), 1 + far * math.sin(a), kit.rng.uniform(-0.3, 0.3))
        parts.append(kit.board("glow", small, 0.09, spot))
    return parts


def cloud(kit: Kit) -> list[Piece]:
    """A heap of balls with a flat belly."""
    spots = (
        (0, 1.05, 0, 0.45),
        (-0.5, 0.95, 0.05, 0.34),
        (0.5, 0.95, 0, 0.36),
        (0.2, 1.0, 0.3, 0.3),
    )
    more = ((-0.2, 1.0, -0.25, 0.34), (-0.8, 0.88, 0, 0.2), (0.84, 0.88, 0, 0.22))
    parts = [kit.ball("light", (x, y, z), (r, r * 0.85, r)) for x, y, z, r in (*spots, *more)]
    return [*parts, kit.ball("haze", (0, 0.8, 0.02), (0.9, 0.16, 0.38))]


def lightning(kit: Kit) -> list[Piece]:
    """A bolt."""
    corners = [
        (-0.1, 2),
        (0.4, 2),
        (0.1, 1.25),
        (0.45, 1.25),
        (-0.25, 0),
        (0.0, 0.95),
        (-0.4, 0.95),
    ]
    return [kit.board("warm", np.array(corners, dtype=np.float64), 0.2)]


def rainbow(kit: Kit) -> list[Piece]:
    """Six arches, one in the other."""
    tones = ("main", "accent", "warm", "leaf", "water", "second")
    turn = np.linspace(0, math.pi, 24)
    parts = []
    for i, tone in enumerate(tones):
        r = 1.3 - 0.12 * i
        line = [(r * math.cos(a), r * math.sin(a), 0.0) for a in turn]
        parts.append(kit.rope(tone, line, 0.065, 0.065))
    return parts


def planet(kit: Kit) -> list[Piece]:
    """Banded, in a tilted ring."""
    bands = [
        kit.ball(tone, (0, y, 0), (r, 0.07, r))
        for y, tone, r in ((0.3, "accent", 0.53), (0.05, "second", 0.603), (-0.25, "accent", 0.55))
    ]
    rings = [kit.hoop("warm", (0, 0, 0), 0.86, 0.05), kit.hoop("accent", (0, 0, 0), 1.0, 0.04)]
    whole = pitched(rolled([kit.ball("main", (0, 0, 0), 0.6), *bands, *rings], 0.35), 0.25)
    return moved([*whole, kit.ball("haze", (0.85, 0.5, 0.2), 0.1)], (0, 1, 0))


def balloon(kit: Kit) -> list[Piece]:
    """A hot-air balloon with gores and a basket."""
    profile = [(0.12, 0.72), (0.42, 1.0), (0.64, 1.4), (0.58, 1.78), (0.3, 2.0), (0.0, 2.05)]
    parts = [kit.turned("main", (0, 0, 0), profile)]
    for i in range(6):
        line = [(0.0, y, r + 0.01) for r, y in profile]
        parts += yawed(
            [kit.rope("light" if i % 2 else "accent", line, 0.05, 0.05)], math.tau * i / 6
        )
    cord = kit.rope(
        "dark", [(0.11, 0.74, 0.1), (0.12, 0.5, 0.11), (0.13, 0.28, 0.12)], 0.012, 0.012
    )
    back = kit.rope(
        "dark", [(0.11, 0.74, -0.1), (0.12, 0.5, -0.11), (0.13, 0.28, -0.12)], 0.012, 0.012
    )
    return [*parts, *both_sides([cord, back]), kit.box("tan", (0, 0, 0), (0.32, 0.28, 0.32))]


def heart(kit: Kit) -> list[Piece]:
    """A heart, thick as a cushion."""
    turn = np.linspace(0, math.tau, 40, endpoint=False)
    x = 16 * np.sin(turn) ** 3
    y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    outline = np.stack([x, y], axis=1) / 17
    parts = [
        kit.board("main", outline * size, depth, (0, 1, 0))
        for size, depth in ((1.0, 0.24), (0.9, 0.38), (0.76, 0.5), (0.55, 0.58))
    ]
    return [*parts, kit.ball("light", (-0.42, 1.36, 0.28), (0.13, 0.09, 0.05))]


def crown(kit: Kit) -> list[Piece]:
    """Points with jewels."""
    parts = [
        kit.hoop("warm", (0, 0.2, 0), 0.62, 0.1),
        kit.turned("warm", (0, 0, 0), [(0.6, 0.2), (0.66, 0.7), (0.62, 0.7), (0.56, 0.2)]),
    ]
    for i in range(8):
        point = moved(kit.post("warm", (0, 0, 0), 0.5, 0.2, 0.0), (0, 0.62, 0.6))
        gem = kit.ball("main" if i % 2 else "water", (0, 0.45, 0.66), 0.09)
        parts += yawed([*point, kit.ball("light", (0, 1.15, 0.6), 0.08), gem], math.tau * i / 8)
    return parts


def ball(kit: Kit) -> list[Piece]:
    """A striped ball."""
    stripes = [
        kit.ball(tone, (0, y, 0), (r, 0.1, r))
        for y, tone, r in ((1.0, "light", 0.735), (1.3, "accent", 0.68), (0.7, "accent", 0.68))
    ]
    return moved(rolled([kit.ball("main", (0, 1, 0), 0.72), *stripes], 0.0), (0, -0.28, 0))


def fire(kit: Kit) -> list[Piece]:
    """Flames over logs."""
    parts = []
    for i in range(5):
        log = [(-0.5, 0.12, 0), (0, 0.16, 0), (0.5, 0.12, 0)]
        parts += yawed([kit.rope("trunk", log, 0.1, 0.1)], math.pi * i / 5)
    for i in range(9):
        a, far = i * 2.4, 0.3 * math.sqrt(i / 9)
        tall = kit.rng.uniform(0.7, 1.2) * (1.4 - far * 2)
        tone = ("main", "accent", "warm")[i % 3]
        flame = [(0.0, 0.0), (0.18, 0.2 * tall), (0.13, 0.55 * tall), (0.0, tall)]
        parts.append(kit.turned(tone, (far * math.cos(a), 0.12, far * math.sin(a)), flame))
    return [*parts, kit.turned("glow", (0, 0.1, 0.1), [(0.0, 0), (0.16, 0.2), (0.0, 0.8)])]


def gear(kit: Kit) -> list[Piece]:
    """A wheel with teeth, and a small one that it drives."""
    return [
        *_cog(kit, "main", 12, 0.7, (0, 0.95, 0)),
        *_cog(kit, "accent", 7, 0.4, (0.98, 0.45, 0)),
    ]


def _cog(kit: Kit, tone: str, teeth: int, r: float, at: tuple[float, float, float]) -> list[Piece]:
    parts = pitched(kit.post(tone, (0, -0.1, 0), 0.2, r * 0.85, r * 0.85), math.pi / 2)
    for i in range(teeth):
        tooth = moved([kit.box(tone, (0, 0, 0), (r * 0.26, r * 0.3, 0.2))], (0, r * 0.78, 0))
        parts += rolled(tooth, math.tau * i / teeth)
    hub = pitched(kit.post("dark", (0, -0.14, 0), 0.28, r * 0.28, r * 0.28), math.pi / 2)
    return moved([*parts, *hub], at)


def leaf_heap(kit: Kit) -> list[Piece]:
    """Leaves, some still in the air."""
    blade = smooth([(0, -0.3), (0.16, 0), (0, 0.3), (-0.16, 0)])
    parts = []
    for i in range(26):
        a, far = i * 2.4, 0.85 * math.sqrt(kit.rng.random())
        y = 0.06 + 0.35 * (1 - far) * kit.rng.random() if i < 20 else kit.rng.uniform(0.6, 1.7)
        tone = ("main", "accent", "warm", "leaf")[i % 4]
        flat = pitched([kit.board(tone, blade, 0.03)], math.pi / 2 + kit.rng.uniform(-0.5, 0.5))
        parts += moved(yawed(flat, a), (far * math.cos(a), y, far * math.sin(a)))
    return parts
