"""Animals, modelled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import smooth
from generation_service.backends.embedded.sculpture.kit import (
    arc,
    both_sides,
    moved,
    pitched,
    rolled,
    yawed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.sculpture.kit import Kit, Piece


@dataclass(frozen=True)
class _Build:
    """What tells four-legged animals apart; lengths in units of a two unit tall figure."""

    leg: float
    girth: float
    length: float
    head: float
    neck: float
    snout: float
    ear: tuple[float, float, float]
    """Half width, half height, tilt outwards."""
    tail: float
    belly: str = "light"


_BUILDS = {
    "cat": _Build(0.5, 0.3, 0.42, 0.36, 0.25, 0.1, (0.12, 0.17, 0.35), 0.95),
    "dog": _Build(0.55, 0.3, 0.5, 0.33, 0.3, 0.24, (0.1, 0.24, 1.5), 0.5),
    "horse": _Build(0.85, 0.33, 0.6, 0.25, 0.62, 0.3, (0.06, 0.14, 0.25), 0.7, "main"),
    "rabbit": _Build(0.26, 0.36, 0.36, 0.33, 0.22, 0.08, (0.09, 0.42, 0.2), 0.12),
    "elephant": _Build(0.6, 0.52, 0.55, 0.45, 0.22, 0.0, (0.08, 0.4, 1.25), 0.4, "main"),
    "bear": _Build(0.4, 0.46, 0.5, 0.4, 0.28, 0.16, (0.13, 0.13, 0.5), 0.1),
}


def _beast(kit: Kit, name: str) -> list[Piece]:
    build = _BUILDS[name]
    back, half = build.leg + build.girth, build.length
    parts = [
        kit.ball("main", (0, back, 0), (build.girth, build.girth, half + build.girth * 0.5)),
        kit.ball(
            build.belly,
            (0, back - build.girth * 0.2, 0.05),
            (build.girth * 0.8, build.girth * 0.88, half + build.girth * 0.3),
        ),
    ]
    foot = 0.09 + build.girth * 0.22
    for z in (-half * 0.8, half * 0.8):
        leg = [(build.girth * 0.55, y, z) for y in (foot * 0.7, build.leg, back)]
        parts += both_sides([kit.rope("main", leg, foot * 0.85, foot)])
        parts += both_sides([kit.ball("deep", (build.girth * 0.55, foot * 0.5, z + 0.04), foot)])
    chest, skull = (0.0, back + 0.1, half * 0.9), (0.0, back + build.neck, half + build.neck * 0.6)
    parts.append(kit.rope("main", [chest, skull], build.girth * 0.6, build.head * 0.7))
    parts += moved(_head(kit, build), skull)
    rump = (0.0, back + build.girth * 0.3, -half - build.girth * 0.3)
    tip = (0.0, rump[1] + build.tail * 0.6, rump[2] - build.tail * 0.3)
    bend = (0.0, rump[1] - 0.1, rump[2] - build.tail * 0.7)
    parts.append(kit.rope("deep", arc(rump, tip, bend), 0.07, 0.05))
    return parts


def _head(kit: Kit, build: _Build) -> list[Piece]:
    r = build.head
    parts = [kit.ball("main", (0, 0, 0), (r, r * 0.94, r * 0.95))]
    if build.snout:
        parts.append(
            kit.ball("light", (0, -r * 0.25, r * 0.75), (r * 0.5, r * 0.4, build.snout + 0.08))
        )
        parts.append(kit.ball("dark", (0, -r * 0.12, r * 0.78 + build.snout), r * 0.16))
    else:
        trunk = arc((0, -0.1, r * 0.8), (0, -0.75, r * 1.5), (0, -0.2, r * 1.8))
        parts.append(kit.rope("main", trunk, r * 0.34, 0.08))
        tusk = arc((0.17, -0.3, r * 0.8), (0.24, -0.35, r * 1.6), (0.24, -0.55, r * 1.2))
        parts += both_sides([kit.rope("light", tusk, 0.06, 0.02)])
    wide, tall, tilt = build.ear
    ear = [
        kit.ball("main", (0, tall * 0.8, 0), (wide, tall, 0.06)),
        kit.ball("accent", (0, tall * 0.8, 0.035), (wide * 0.6, tall * 0.7, 0.045)),
    ]
    parts += both_sides(moved(rolled(ear, -tilt), (r * 0.5, r * 0.68, 0)))
    eye = [
        kit.ball("light", (r * 0.42, r * 0.2, r * 0.78), r * 0.19),
        kit.ball("dark", (r * 0.45, r * 0.2, r * 0.89), r * 0.12),
    ]
    return [*parts, *both_sides(eye)]


def beasts() -> dict[str, Callable[[Kit], list[Piece]]]:
    """The four-legged animals by name."""

    def maker(name: str) -> Callable[[Kit], list[Piece]]:
        return lambda kit: _beast(kit, name)

    return {name: maker(name) for name in _BUILDS}


def bird(kit: Kit) -> list[Piece]:
    """In flight, wings up."""
    wing = kit.ball("accent", (0.5, 0, -0.05), (0.52, 0.04, 0.24))
    feather = kit.ball("second", (0.75, 0.0, -0.2), (0.4, 0.035, 0.14))
    eye = kit.ball("dark", (0.12, 0.98, 0.66), 0.04)
    return [
        kit.ball("main", (0, 0.8, 0), (0.24, 0.24, 0.5)),
        kit.ball("main", (0, 0.95, 0.55), 0.19),
        kit.ball("light", (0, 0.72, 0.12), (0.19, 0.18, 0.38)),
        *moved(pitched(kit.post("warm", (0, 0, 0), 0.24, 0.08, 0.0), math.pi / 2), (0, 0.94, 0.7)),
        kit.ball("second", (0, 0.84, -0.62), (0.16, 0.03, 0.28)),
        *both_sides(moved(rolled([wing, feather], 0.5), (0.12, 0.88, 0))),
        *both_sides([eye]),
    ]


def owl(kit: Kit) -> list[Piece]:
    """Upright, with large eyes."""
    eye = [
        kit.ball("light", (0.19, 1.22, 0.34), (0.19, 0.19, 0.1)),
        kit.ball("dark", (0.19, 1.22, 0.42), (0.1, 0.1, 0.06)),
    ]
    tuft = moved(rolled(kit.post("second", (0, 0, 0), 0.26, 0.1, 0.0), -0.4), (0.25, 1.45, 0.05))
    wing = kit.ball("second", (0.48, 0.7, -0.02), (0.1, 0.45, 0.28))
    beak = pitched(kit.post("warm", (0, 0, 0), 0.2, 0.07, 0.0), 2.0)
    return [
        kit.ball("main", (0, 0.68, 0), (0.5, 0.66, 0.42)),
        kit.ball("main", (0, 1.2, 0.02), (0.44, 0.4, 0.38)),
        kit.ball("light", (0, 0.6, 0.14), (0.36, 0.46, 0.34)),
        *moved(beak, (0, 1.12, 0.36)),
        *both_sides([*eye, *tuft, wing, kit.ball("warm", (0.18, 0.05, 0.2), (0.13, 0.07, 0.2))]),
    ]


def fish(kit: Kit) -> list[Piece]:
    """Swims to the front, tail and fins spread."""
    tail = smooth([(0.0, 0.0), (-0.42, 0.38), (-0.34, 0.0), (-0.42, -0.38)])
    fin = smooth([(0.25, 0.0), (-0.1, 0.38), (-0.3, 0.3), (-0.2, 0.0)])
    side = yawed(
        [kit.board("accent", tail, 0.05), kit.board("accent", fin, 0.05, (0.55, 0.36, 0))], 0
    )
    body = [
        kit.ball("main", (0.5, 0, 0), (0.62, 0.42, 0.26)),
        kit.ball("light", (0.56, -0.1, 0), (0.5, 0.32, 0.24)),
    ]
    stripes = [
        kit.ball("second", (0.25 + 0.26 * i, 0, 0), (0.05, 0.415 - 0.04 * abs(i - 1), 0.262))
        for i in range(3)
    ]
    eye = both_sides(
        [kit.ball("light", (0.2, 0.12, 0.9), 0.09), kit.ball("dark", (0.24, 0.12, 0.93), 0.06)]
    )
    turned = yawed([*body, *side, *stripes], -math.pi / 2)
    return moved([*turned, *eye], (0, 0.7, -0.2))


def whale(kit: Kit) -> list[Piece]:
    """A whale that blows."""
    fluke = kit.ball("deep", (0.32, 0, 0), (0.36, 0.05, 0.18))
    fin = kit.ball("deep", (0.3, 0, 0), (0.34, 0.05, 0.16))
    parts = [
        kit.ball("main", (0, 0.62, 0.2), (0.62, 0.58, 0.95)),
        kit.ball("light", (0, 0.5, 0.3), (0.55, 0.5, 0.88)),
        kit.rope("main", arc((0, 0.62, -0.5), (0, 1.1, -1.3), (0, 0.5, -1.2)), 0.42, 0.1),
        *both_sides(moved(rolled(yawed([fluke], 0.5), 0.25), (0, 1.12, -1.32))),
        *both_sides(moved(rolled(yawed([fin], 0.3), -0.5), (0.5, 0.35, 0.3))),
        *both_sides([kit.ball("dark", (0.52, 0.68, 0.72), 0.06)]),
    ]
    for side in (-0.35, 0.0, 0.35):
        jet = arc((0, 1.15, 0.35), (side, 1.6, 0.35), (side * 0.2, 1.75, 0.35))
        parts.append(kit.rope("water", jet, 0.04, 0.07))
    return parts


def snake(kit: Kit) -> list[Piece]:
    """Coiled, with its head up."""
    line = []
    for i in range(60):
        t = i / 59
        r = 0.7 - 0.42 * t
        a = t * 2.6 * math.tau
        line.append((r * math.cos(a), 0.14 + 0.5 * t + max(0.0, t - 0.85) * 4, r * math.sin(a)))
    x, y, z = line[-1]
    eye = kit.ball("dark", (0.1, 0.09, 0.2), 0.04)
    head = [kit.ball("accent", (0, 0, 0.1), (0.17, 0.13, 0.24)), *both_sides([eye])]
    head.append(kit.rope("warm", [(0, -0.02, 0.3), (0, 0.0, 0.4), (0, 0.05, 0.5)], 0.02, 0.01))
    return [kit.rope("main", line, 0.05, 0.13), *moved(head, (x, y, z))]


def butterfly(kit: Kit) -> list[Piece]:
    """Wings half open."""
    upper = smooth([(0, 0.1), (0.35, 0.85), (0.95, 0.8), (0.8, 0.1)])
    lower = smooth([(0, 0.0), (0.65, 0.0), (0.7, -0.6), (0.25, -0.7)])
    wing = [
        kit.board("main", upper, 0.05),
        kit.board("second", lower, 0.05),
        kit.ball("accent", (0.58, 0.5, 0), (0.18, 0.18, 0.05)),
        kit.ball("warm", (0.42, -0.35, 0), (0.13, 0.13, 0.05)),
    ]
    feeler = kit.rope("dark", arc((0.02, 0.4, 0), (0.25, 0.95, 0.1), (0.05, 0.8, 0)), 0.02, 0.03)
    body = kit.rope("dark", [(0, -0.5, 0), (0, 0, 0), (0, 0.45, 0)], 0.06, 0.09)
    return moved([*both_sides([*yawed(wing, 0.45), feeler]), body], (0, 0.95, 0))


def bee(kit: Kit) -> list[Piece]:
    """Round, striped, with glassy wings."""
    wing = kit.ball("haze", (0.35, 0, 0), (0.36, 0.03, 0.2))
    stripes = [
        kit.ball("dark" if i % 2 else "warm", (0, 0.8, -0.45 + 0.2 * i), (r, r, 0.16))
        for i, r in enumerate((0.2, 0.34, 0.4, 0.38, 0.3))
    ]
    eye = both_sides([kit.ball("dark", (0.13, 0.86, 0.62), 0.07)])
    head = kit.ball("warm", (0, 0.82, 0.5), 0.22)
    return [*stripes, head, *eye, *both_sides(moved(rolled([wing], 0.4), (0.1, 1.14, 0.05)))]


def snail(kit: Kit) -> list[Piece]:
    """A spiral house on a slow foot."""
    shell = [kit.hoop("main", (0, 0, 0), 0.36, 0.2), kit.ball("accent", (0, 0, 0), (0.3, 0.2, 0.3))]
    foot = [(0, 0.12, -0.7), (0, 0.12, 0), (0, 0.14, 0.5), (0, 0.3, 0.75), (0, 0.55, 0.85)]
    horn = kit.rope("tan", [(0.05, 0.6, 0.85), (0.1, 0.75, 0.9), (0.14, 0.9, 0.95)], 0.04, 0.03)
    eyes = both_sides([horn, kit.ball("dark", (0.15, 0.94, 0.96), 0.06)])
    upright = moved(rolled(shell, math.pi / 2), (0, 0.68, -0.05))
    return [kit.rope("tan", foot, 0.08, 0.17), *upright, *eyes]


def frog(kit: Kit) -> list[Piece]:
    """Sits and looks."""
    eye = [
        kit.ball("leaf", (0.24, 0.98, 0.3), 0.17),
        kit.ball("light", (0.26, 1.02, 0.4), 0.11),
        kit.ball("dark", (0.27, 1.03, 0.48), 0.06),
    ]
    thigh = kit.ball("deepleaf", (0.5, 0.32, -0.15), (0.22, 0.3, 0.4))
    arm = kit.rope("deepleaf", [(0.32, 0.5, 0.3), (0.42, 0.25, 0.45), (0.4, 0.06, 0.5)], 0.11, 0.09)
    return [
        kit.ball("leaf", (0, 0.5, 0), (0.5, 0.45, 0.55)),
        kit.ball("leaf", (0, 0.78, 0.25), (0.46, 0.28, 0.36)),
        kit.ball("light", (0, 0.42, 0.16), (0.4, 0.36, 0.46)),
        kit.ball("deep", (0, 0.72, 0.42), (0.36, 0.03, 0.22)),
        *both_sides([*eye, thigh, arm]),
    ]
