"""Buildings and vehicles, modelled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sculpture.kit import (
    Piece,
    both_sides,
    moved,
    pitched,
    rolled,
    yawed,
)

if TYPE_CHECKING:
    from generation_service.backends.embedded.outline import Points
    from generation_service.backends.embedded.sculpture.kit import Kit


def house(kit: Kit) -> list[Piece]:
    """Walls, a gable roof, a door, windows and a chimney."""
    parts = [
        kit.box("light", (0, 0, 0), (1.3, 0.9, 1.0)),
        kit.roof("main", (0, 0.88, 0), (1.6, 0.72, 1.24)),
        kit.box("second", (0.38, 1.1, -0.2), (0.18, 0.5, 0.18)),
        kit.box("trunk", (0, 0, 0.5), (0.28, 0.52, 0.05)),
        kit.ball("warm", (0.08, 0.27, 0.54), 0.03),
    ]
    for x in (-0.42, 0.42):
        parts += _window(kit, x, 0.36, 0.5)
    parts += _window(kit, 0, 1.06, 0.56)
    for i in range(3):
        parts.append(kit.ball("haze", (0.4 + 0.07 * i, 1.72 + 0.17 * i, -0.2), 0.08 + 0.03 * i))
    return parts


def tower(kit: Kit) -> list[Piece]:
    """A block of flats with lit windows."""
    parts = [
        kit.box("main", (0, 0, 0), (0.8, 1.8, 0.8)),
        kit.box("second", (0, 1.8, 0), (0.9, 0.08, 0.9)),
        kit.box("second", (0.15, 1.88, 0.1), (0.3, 0.18, 0.3)),
        *kit.post("dark", (-0.2, 1.88, 0), 0.4, 0.02, 0.01),
    ]
    for storey in range(6):
        for column in range(3):
            tone = "glow" if kit.rng.random() < 0.55 else "dark"
            x, y = -0.25 + 0.25 * column, 0.16 + 0.27 * storey
            pane = kit.box(tone, (x, y, 0.4), (0.15, 0.17, 0.03))
            parts += [pane, *yawed([pane], math.pi / 2), *yawed([pane], -math.pi / 2)]
    return parts


def castle(kit: Kit) -> list[Piece]:
    """Four towers, walls, a keep, a gate."""
    parts = [
        kit.box("light", (0, 0, 0), (1.2, 0.6, 1.0)),
        kit.box("second", (0, 0.6, -0.1), (0.62, 0.6, 0.5)),
        kit.box("trunk", (0, 0, 0.5), (0.34, 0.42, 0.06)),
        *_battlements(kit, 0.6, 1.2, 1.0),
        *_turret(kit, 0.0, -0.1, 1.2, 0.24, "accent"),
    ]
    for x in (-0.6, 0.6):
        for z in (-0.5, 0.5):
            parts += _turret(kit, x, z, 0.0, 0.22, "main")
    return parts


def _turret(kit: Kit, x: float, z: float, y: float, r: float, tone: str) -> list[Piece]:
    tall = 1.0 if y == 0 else 0.35
    flag = kit.box("warm", (0.1, 0, 0), (0.2, 0.12, 0.02))
    return [
        *kit.post("light" if y == 0 else "second", (x, y, z), tall, r, r * 0.94),
        *kit.post(tone, (x, y + tall, z), 0.5, r * 1.3, 0.0),
        *kit.post("dark", (x, y + tall + 0.46, z), 0.24, 0.015, 0.015),
        *moved([flag], (x, y + tall + 0.58, z)),
        kit.box("dark", (x, y + tall * 0.6, z + r * 0.9), (0.07, 0.16, 0.06)),
    ]


def _battlements(kit: Kit, y: float, wide: float, deep: float) -> list[Piece]:
    parts = []
    for i in range(7):
        x = -wide / 2 + wide * (i + 0.5) / 7
        for z in (-deep / 2 + 0.05, deep / 2 - 0.05):
            if i % 2 == 0:
                parts.append(kit.box("light", (x, y, z), (wide / 9, 0.12, 0.1)))
    return parts


def _window(kit: Kit, x: float, y: float, z: float) -> list[Piece]:
    return [
        kit.box("second", (x, y, z), (0.3, 0.3, 0.04)),
        kit.box("glow", (x - 0.06, y + 0.03, z + 0.02), (0.1, 0.24, 0.03)),
        kit.box("glow", (x + 0.06, y + 0.03, z + 0.02), (0.1, 0.24, 0.03)),
    ]


def lighthouse(kit: Kit) -> list[Piece]:
    """Striped, with a lamp."""
    parts = []
    for i in range(5):
        low, high = 0.4 - 0.036 * i, 0.4 - 0.036 * (i + 1)
        parts += kit.post("main" if i % 2 == 0 else "light", (0, 0.28 * i, 0), 0.28, low, high)
    return [
        *parts,
        *kit.post("dark", (0, 1.4, 0), 0.06, 0.32, 0.32),
        *kit.post("glow", (0, 1.46, 0), 0.24, 0.16, 0.16),
        *kit.post("main", (0, 1.7, 0), 0.26, 0.24, 0.0),
        kit.box("trunk", (0, 0, 0.36), (0.18, 0.3, 0.1)),
        kit.ball("dark", (0, 0.85, 0.28), 0.07),
    ]


def windmill(kit: Kit) -> list[Piece]:
    """Four sails before a cap."""
    blade = [
        kit.box("trunk", (0, 0, 0), (0.05, 0.95, 0.04)),
        kit.box("light", (0.12, 0.22, 0), (0.2, 0.7, 0.02)),
    ]
    sails: list[Piece] = []
    for i in range(4):
        sails += rolled(blade, 0.35 + math.tau * i / 4)
    return [
        *kit.post("light", (0, 0, 0), 1.15, 0.46, 0.28),
        *kit.post("main", (0, 1.15, 0), 0.4, 0.36, 0.0),
        kit.box("trunk", (0, 0, 0.42), (0.2, 0.36, 0.08)),
        *pitched(kit.post("dark", (0, 0.2, -1.18), 0.3, 0.04, 0.04), math.pi / 2),
        *moved(sails, (0, 1.18, 0.5)),
        kit.ball("warm", (0, 1.18, 0.52), 0.07),
    ]


def tent(kit: Kit) -> list[Piece]:
    """A circus tent with a pennant."""
    parts = kit.post("light", (0, 0, 0), 0.7, 0.85, 0.85)
    for i in range(8):
        stripe = kit.box("main", (0, 0, 0.82), (0.32, 0.7, 0.06))
        parts += yawed([stripe], math.tau * i / 8)
    return [
        *parts,
        *kit.post("main", (0, 0.68, 0), 0.8, 0.98, 0.0),
        kit.hoop("warm", (0, 0.7, 0), 0.96, 0.04),
        *kit.post("dark", (0, 1.44, 0), 0.4, 0.02, 0.02),
        kit.box("accent", (0.15, 1.68, 0), (0.3, 0.14, 0.02)),
        kit.box("dark", (0, 0, 0.85), (0.3, 0.5, 0.06)),
    ]


def bridge(kit: Kit) -> list[Piece]:
    """A span of stones."""
    parts = []
    for i in range(17):
        a = math.pi * i / 16
        stone = kit.box("second" if i % 2 else "main", (0, 0, 0), (0.24, 0.3, 0.6))
        turn = a - math.pi / 2
        parts += moved(rolled([stone], turn), (1.0 * math.cos(a), 0.7 * math.sin(a), 0))
    for z in (-0.3, 0.3):
        line = [(x / 10, 0.42 + 0.72 * math.sqrt(1 - (x / 14) ** 2), z) for x in range(-13, 14, 2)]
        parts.append(kit.rope("light", line, 0.04, 0.04))
    return parts


def boat(kit: Kit) -> list[Piece]:
    """A sailing boat."""
    profile = [(0.0, 0.0), (0.42, 0.06), (0.55, 0.42), (0.5, 0.42), (0.0, 0.3)]
    hull = kit.turned("main", (0, 0, 0), profile)
    long = Piece(hull.solid.transformed(np.diag([1.7, 1.0, 1.0]), (0, 0, 0)), hull.tone)
    sail = kit.board("light", _triangle((0.06, 0.55), (0.85, 0.6), (0.06, 1.9)), 0.04)
    jib = kit.board("accent", _triangle((-0.06, 0.6), (-0.06, 1.6), (-0.72, 0.6)), 0.04)
    return [
        long,
        kit.box("trunk", (0, 0.36, 0), (1.5, 0.05, 0.5)),
        *kit.post("trunk", (0, 0.3, 0), 1.75, 0.05, 0.03),
        sail,
        jib,
        kit.box("warm", (0.12, 1.93, 0), (0.22, 0.1, 0.02)),
    ]


def train(kit: Kit) -> list[Piece]:
    """A steam engine and a carriage."""
    boiler = pitched(kit.post("main", (0, -0.1, -0.5), 0.9, 0.28, 0.28), math.pi / 2)
    parts = [
        *moved(boiler, (0, 0.1, 0.4)),
        kit.box("dark", (0, 0.24, 0.25), (0.5, 0.1, 1.5)),
        kit.box("second", (0, 0.3, -0.25), (0.6, 0.75, 0.5)),
        kit.box("main", (0, 1.05, -0.25), (0.74, 0.07, 0.64)),
        *kit.post("dark", (0, 0.85, 0.7), 0.35, 0.08, 0.14),
        kit.ball("warm", (0, 0.84, 0.4), 0.12),
        kit.ball("glow", (0, 0.62, 0.97), 0.09),
        kit.box("accent", (0, 0.3, -1.05), (0.6, 0.6, 0.8)),
        kit.box("main", (0, 0.9, -1.05), (0.7, 0.06, 0.9)),
        *_wheels(kit, (0.75, 0.4, 0.05, -0.3, -0.8, -1.3), 0.28, 0.17),
    ]
    for z in (-1.25, -0.85, -0.25):
        parts += both_sides([kit.box("glow", (0.3, 0.55, z), (0.02, 0.24, 0.24))])
    for i in range(3):
        parts.append(kit.ball("haze", (0, 1.4 + 0.22 * i, 0.65 - 0.2 * i), 0.12 + 0.05 * i))
    return parts


def car(kit: Kit) -> list[Piece]:
    """A small round car."""
    body = kit.ball("main", (0, 0.42, 0), (0.46, 0.3, 0.95))
    return [
        body,
        kit.box("main", (0, 0.22, 0), (0.84, 0.22, 1.5)),
        kit.ball("second", (0, 0.66, -0.1), (0.38, 0.36, 0.55)),
        kit.ball("glow", (0, 0.72, 0.02), (0.34, 0.26, 0.5)),
        *both_sides([kit.ball("glow", (0.26, 0.42, 0.84), 0.09)]),
        *_wheels(kit, (0.52, -0.52), 0.42, 0.2),
    ]


def _wheels(kit: Kit, places: tuple[float, ...], half: float, r: float) -> list[Piece]:
    parts: list[Piece] = []
    for z in places:
        wheel = [
            *kit.post("dark", (0, 0, 0), 0.1, r, r),
            *kit.post("light", (0, 0.1, 0), 0.02, r * 0.5, r * 0.5),
        ]
        parts += both_sides(moved(rolled(wheel, -math.pi / 2), (half - 0.05, r, z)))
    return parts


def _triangle(*corners: tuple[float, float]) -> Points:
    return np.array(corners, dtype=np.float64)


def rocket(kit: Kit) -> list[Piece]:
    """A rocket on its flame."""
    profile = [(0.0, 0.3), (0.2, 0.3), (0.32, 0.7), (0.33, 1.1), (0.22, 1.55), (0.0, 2.0)]
    parts = [
        kit.turned("light", (0, 0, 0), profile),
        kit.turned("main", (0, 0.01, 0), [(0.24, 1.5), (0.12, 1.78), (0.0, 2.02)]),
        kit.turned("warm", (0, 0, 0), [(0.0, -0.25), (0.14, 0.05), (0.16, 0.3)]),
        kit.turned("glow", (0, 0, 0), [(0.0, -0.05), (0.08, 0.1), (0.1, 0.3)]),
    ]
    for i in range(3):
        fin = kit.board("accent", _triangle((0.26, 0.95), (0.22, 0.4), (0.62, 0.1)), 0.06)
        parts += yawed([fin], math.tau * i / 3 + 0.5)
    for y in (1.2, 0.85):
        parts.append(kit.ball("dark", (0, y, 0.29), (0.12, 0.12, 0.06)))
        parts.append(kit.ball("water", (0, y, 0.32), (0.09, 0.09, 0.05)))
    return parts
