"""The plinth, and the land on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.sculpture.kit import moved
from generation_service.backends.embedded.sculpture.plants import fir, grass

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.sculpture.kit import Kit, Piece


def lay_ground(kit: Kit, lands: tuple[str, ...], radius: float) -> list[Piece]:
    """A round plinth whose top, at y = 0, is the land that the words call for."""
    top = {"sea": "water", "desert": "warm", "space": "sky", "city": "second"}
    tone = next((top[land] for land in lands if land in top), "ground")
    parts = [
        *kit.post("trunk", (0, -0.32, 0), 0.2, radius * 0.96, radius),
        *kit.post(tone, (0, -0.12, 0), 0.12, radius, radius * 0.985),
    ]
    for land in lands:
        parts += _LANDS.get(land, _bare)(kit, radius)
    return parts


def _bare(kit: Kit, radius: float) -> list[Piece]:
    return []


def _meadow(kit: Kit, radius: float) -> list[Piece]:
    parts: list[Piece] = []
    for i in range(16):
        x, z = _scattered(kit, i, 16, radius)
        if i % 4 == 0:
            parts += moved(grass(kit), (x, 0, z), 0.16)
        else:
            parts += kit.post("leaf", (x, 0, z), 0.08, 0.012, 0.01)
            parts.append(
                kit.ball(("main", "warm", "light")[i % 3], (x, 0.1, z), (0.05, 0.03, 0.05))
            )
    return parts


def _sea(kit: Kit, radius: float) -> list[Piece]:
    """Rings of swell with some foam."""
    parts = []
    for i in range(1, 6):
        r = radius * i / 6
        parts.append(kit.hoop("water" if i % 2 else "haze", (0, -0.035, 0), r, 0.06))
    for i in range(10):
        x, z = _scattered(kit, i, 10, radius)
        parts.append(kit.ball("light", (x, 0.02, z), (0.12, 0.02, 0.05)))
    return parts


def _mountain(kit: Kit, radius: float) -> list[Piece]:
    parts: list[Piece] = []
    for i in range(5):
        a = math.pi * (1.12 + 0.76 * i / 4)
        tall, wide = kit.rng.uniform(1.0, 1.9), kit.rng.uniform(0.45, 0.6)
        x, z = (radius - 0.45) * math.cos(a), (radius - 0.45) * math.sin(a)
        parts += kit.post("second", (x, 0, z), tall * 0.72, wide, wide * 0.28)
        parts += kit.post("light", (x, tall * 0.72, z), tall * 0.28, wide * 0.285, 0.0)
    return parts


def _forest(kit: Kit, radius: float) -> list[Piece]:
    parts: list[Piece] = []
    for i in range(9):
        a = math.pi * (1.02 + 0.96 * i / 8)
        far = radius - kit.rng.uniform(0.3, 0.6)
        size = kit.rng.uniform(0.5, 0.85)
        parts += moved(fir(kit), (far * math.cos(a), 0, far * math.sin(a)), size)
    return parts


def _city(kit: Kit, radius: float) -> list[Piece]:
    parts: list[Piece] = []
    for i in range(11):
        a = math.pi * (1.0 + i / 10)
        far, tall = radius - kit.rng.uniform(0.25, 0.5), kit.rng.uniform(0.5, 1.7)
        x, z, wide = far * math.cos(a), far * math.sin(a), kit.rng.uniform(0.26, 0.4)
        parts.append(kit.box(("main", "water", "accent")[i % 3], (x, 0, z), (wide, tall, wide)))
        for storey in range(int(tall / 0.22)):
            y = 0.08 + 0.22 * storey
            parts.append(kit.box("glow", (x, y, z), (wide * 0.6, 0.1, wide + 0.02)))
    return parts


def _desert(kit: Kit, radius: float) -> list[Piece]:
    parts = []
    for i in range(7):
        x, z = _scattered(kit, i, 7, radius * 0.9)
        wide = kit.rng.uniform(0.3, 0.55)
        parts.append(
            kit.ball("warm", (x, -0.05, z), (wide, kit.rng.uniform(0.12, 0.22), wide * 0.7))
        )
    return parts


def _space(kit: Kit, radius: float) -> list[Piece]:
    parts: list[Piece] = []
    for i in range(26):
        a, far = i * 2.4, kit.rng.uniform(0.6, 1.0) * radius
        spot = (far * math.cos(a), kit.rng.uniform(0.3, 2.8), far * math.sin(a))
        parts.append(kit.ball("glow" if i % 3 else "warm", spot, kit.rng.uniform(0.015, 0.04)))
    for i in range(6):
        x, z = _scattered(kit, i, 6, radius * 0.85)
        parts.append(kit.hoop("haze", (x, 0, z), kit.rng.uniform(0.08, 0.2), 0.03))
    return parts


def _scattered(kit: Kit, i: int, count: int, radius: float) -> tuple[float, float]:
    """Places all over the plinth but for its middle."""
    a = i * 2.39996 + kit.rng.uniform(-0.2, 0.2)
    far = radius * 0.93 * math.sqrt(0.2 + 0.8 * (i + 0.5) / count)
    return far * math.cos(a), far * math.sin(a)


_LANDS: dict[str, Callable[[Kit, float], list[Piece]]] = {
    "meadow": _meadow,
    "sea": _sea,
    "mountain": _mountain,
    "forest": _forest,
    "city": _city,
    "desert": _desert,
    "space": _space,
}
