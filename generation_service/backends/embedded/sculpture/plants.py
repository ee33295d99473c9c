"""Things that grow, modelled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.sculpture.kit import arc, moved, pitched, rolled, yawed

if TYPE_CHECKING:
    from generation_service.backends.embedded.sculpture.kit import Kit, Piece


def tree(kit: Kit) -> list[Piece]:
    """A trunk that forks under a crown of balls, with fruit in it."""
    rng = kit.rng
    parts = [kit.rope("trunk", arc((0, 0, 0), (0.05, 1.1, 0), (-0.12, 0.6, 0.05)), 0.17, 0.1)]
    crown = [(0.0, 1.5, 0.0, 0.52)]
    for i in range(5):
        a = math.tau * i / 5 + rng.uniform(-0.3, 0.3)
        x, z, y = 0.42 * math.cos(a), 0.42 * math.sin(a), rng.uniform(1.1, 1.45)
        crown.append((x, y, z, rng.uniform(0.3, 0.42)))
        parts.append(kit.rope("trunk", arc((0, 0.75, 0), (x, y, z), (0, 1.1, 0)), 0.08, 0.04))
    for i, (x, y, z, r) in enumerate(crown):
        parts.append(kit.ball("leaf" if i % 2 == 0 else "deepleaf", (x, y, z), (r, r * 0.92, r)))
    for i in range(7):
        x, y, z, r = crown[i % len(crown)]
        a, up = rng.uniform(0, math.tau), rng.uniform(-0.4, 0.5)
        far = r * math.cos(up)
        spot = (x + far * math.cos(a), y + r * 0.92 * math.sin(up), z + far * math.sin(a))
        parts.append(kit.ball("accent", spot, 0.07))
    return parts


def fir(kit: Kit) -> list[Piece]:
    """Four cones on a short trunk."""
    parts = kit.post("trunk", (0, 0, 0), 0.4, 0.12, 0.1)
    for i in range(4):
        foot, r = 0.28 + 0.4 * i, 0.62 - 0.13 * i
        parts += kit.post("deepleaf" if i % 2 == 0 else "leaf", (0, foot, 0), 0.62, r, 0.0)
    return parts


def flower(kit: Kit) -> list[Piece]:
    """A large head that looks a little upwards, on a stem with two leaves."""
    petals = kit.rng.choice((8, 10, 12))
    head: list[Piece] = []
    for i in range(petals):
        petal = kit.ball("main" if i % 2 == 0 else "accent", (0, 0.42, 0), (0.15, 0.3, 0.05))
        head += rolled([petal], math.tau * i / petals)
    head.append(kit.ball("warm", (0, 0, 0.02), (0.25, 0.25, 0.13)))
    parts = [kit.rope("leaf", arc((0, 0, 0), (0, 1.4, 0), (0.16, 0.7, 0)), 0.06, 0.05)]
    parts += moved(pitched(head, -0.25), (0, 1.4, 0.04))
    for side in (-1, 1):
        leaf = kit.ball("deepleaf", (0, 0.3, 0), (0.1, 0.32, 0.03))
        parts += moved(rolled([leaf], -side * 0.95), (0.06 * side, 0.35, 0))
    return parts


def tulip(kit: Kit) -> list[Piece]:
    """A cup of petals."""
    parts = [kit.rope("leaf", arc((0, 0, 0), (0, 1.3, 0), (0.08, 0.7, 0)), 0.05, 0.05)]
    for i in range(6):
        petal = kit.ball("main" if i % 2 else "accent", (0, 0.26, 0.17), (0.17, 0.34, 0.06))
        parts += moved(yawed([petal], math.tau * i / 6), (0, 1.28, 0))
    for side in (-1, 1):
        blade = kit.ball("deepleaf", (0, 0.45, 0), (0.09, 0.46, 0.03))
        parts += moved(rolled([blade], -side * 0.35), (0.03 * side, 0, 0))
    return parts


def mushroom(kit: Kit) -> list[Piece]:
    """A spotted cap."""
    profile = [(0.0, 1.5), (0.3, 1.44), (0.62, 1.2), (0.75, 0.86), (0.66, 0.8), (0.2, 0.92)]
    parts = [
        kit.turned("light", (0, 0, 0), [(0.26, 0), (0.2, 0.2), (0.17, 0.6), (0.2, 1.0)]),
        kit.turned("main", (0, 0, 0), profile[::-1]),
    ]
    for i in range(9):
        a, t = i * 2.4, 0.25 + 0.6 * (i % 3) / 2
        r, y = 0.75 * math.sin(t * 1.35), 0.86 + 0.62 * math.cos(t * 1.5)
        parts.append(kit.ball("light", (r * math.cos(a), y, r * math.sin(a)), (0.09, 0.07, 0.09)))
    return parts


def cactus(kit: Kit) -> list[Piece]:
    """A column with two arms, in bloom."""
    parts = [
        kit.rope("leaf", [(0, 0, 0), (0, 0.8, 0), (0, 1.6, 0)], 0.26, 0.22),
        kit.rope("leaf", arc((0.1, 0.6, 0), (0.6, 1.25, 0), (0.72, 0.5, 0)), 0.13, 0.12),
        kit.rope("leaf", arc((-0.1, 0.8, 0), (-0.55, 1.5, 0), (-0.7, 0.7, 0)), 0.13, 0.11),
    ]
    for x, y in ((0, 1.78), (0.6, 1.36), (-0.55, 1.6)):
        parts.append(kit.ball("accent", (x, y, 0), (0.12, 0.08, 0.12)))
        parts.append(kit.ball("warm", (x, y + 0.06, 0), 0.05))
    return parts


def fruit(kit: Kit) -> list[Piece]:
    """An apple with its leaf."""
    profile = [(0.0, 0.12), (0.3, 0.0), (0.62, 0.28), (0.74, 0.72), (0.6, 1.14), (0.28, 1.28)]
    leaf = kit.ball("leaf", (0.22, 0, 0), (0.24, 0.04, 0.12))
    return [
        kit.turned("main", (0, 0, 0), [*profile, (0.0, 1.14)]),
        kit.rope("trunk", arc((0, 1.14, 0), (0.1, 1.6, 0), (0, 1.4, 0)), 0.04, 0.05),
        *moved(rolled([leaf], 0.4), (0.06, 1.42, 0)),
    ]


def grass(kit: Kit) -> list[Piece]:
    """A tuft."""
    parts = []
    for i in range(14):
        a, lean = i * 2.4, kit.rng.uniform(0.15, 0.5)
        tall = kit.rng.uniform(0.7, 1.3)
        tip = (lean * math.cos(a), tall, lean * math.sin(a))
        foot = (0.1 * math.cos(a), 0.0, 0.1 * math.sin(a))
        line = arc(foot, tip, (foot[0], tall * 0.6, foot[2]))
        parts.append(kit.rope("leaf" if i % 2 else "deepleaf", line, 0.045, 0.01))
    return parts
