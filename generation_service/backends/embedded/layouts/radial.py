"""Everything turns around one thing: rays, rings, and a wreath of the rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.motifs import MOTIFS
from generation_service.backends.embedded.outline import ellipse, moved, petal, polygon, sector
from generation_service.backends.embedded.palette import mix
from generation_service.backends.embedded.stage import Spot

if TYPE_CHECKING:
    from generation_service.backends.embedded.stage import Stage


def compose(stage: Stage) -> None:
    """Rays to the edge, rings inwards, the main thing in the middle."""
    rng = stage.rng
    x, y = stage.width * rng.uniform(0.46, 0.54), stage.height * rng.uniform(0.46, 0.54)
    _rays(stage, x, y)
    _wreath(stage, x, y)
    _corners(stage)
    _hub(stage, x, y)


def _rays(stage: Stage, x: float, y: float) -> None:
    palette, rng = stage.palette, stage.rng
    stage.wash(palette.sky, mix(palette.horizon, palette.sky, 0.4))
    count = rng.choice((16, 20, 24, 28))
    far = stage.width + stage.height
    bend = rng.uniform(-0.25, 0.25)
    tones = (
        palette.horizon,
        mix(palette.sky, palette.second, 0.45),
        mix(palette.warm, palette.horizon, 0.4),
    )
    stage.cue("rays", pivot=(x, y))
    for i in range(count):
        a, b = math.tau * i / count, math.tau * (i + 0.52) / count
        ray = polygon(
            (x, y),
            (x + 0.4 * math.cos(a + bend), y + 0.4 * math.sin(a + bend)),
            (x + far * math.cos(a), y + far * math.sin(a)),
            (x + far * math.cos(b), y + far * math.sin(b)),
            (x + 0.4 * math.cos(b + bend), y + 0.4 * math.sin(b + bend)),
        )
        stage.piece(ray, tones[i % 3], opacity=0.8)


def _wreath(stage: Stage, x: float, y: float) -> None:
    palette = stage.palette
    stage.cue("still", y=0.3)
    for r, tone in (
        (0.47, palette.second),
        (0.44, palette.paper),
        (0.43, mix(palette.water, palette.sky, 0.3)),
    ):
        stage.piece(ellipse(x, y, r, steps=160), tone, lift=1.0 if r == 0.47 else 0)
    marks = stage.reading.marks
    for ring, key in enumerate(marks[:3]):
        copies = 8 + 4 * ((key >> 5) % 3)
        far, size = 0.37 - 0.065 * ring, 0.036 - 0.006 * ring
        stage.cue("ring", y=0.4, pivot=(x, y))
        for i in range(copies):
            a = math.tau * (i + 0.5 * ring) / copies
            stage.mark(
                key,
                Spot(x + far * math.cos(a), y + far * math.sin(a), size, a + math.pi / 2),
                lift=0.6,
            )
    others = stage.reading.things[1:]
    if others:
        copies = max(8, 2 * len(others))
        copies += -copies % len(others)
        for i in range(copies):
            thing = others[i % len(others)]
            a = math.tau * i / copies + 0.2
            size = min(0.105, MOTIFS[thing.motif].size * 0.55) * thing.size
            stage.thing(
                thing,
                Spot(x + 0.37 * math.cos(a), y + 0.37 * math.sin(a), size, a + math.pi / 2),
                lift=1.1,
                rank=i,
            )


def _corners(stage: Stage) -> None:
    palette = stage.palette
    for i in range(4):
        corner_x, corner_y = (0.0 if i % 2 else stage.width), (0.0 if i < 2 else stage.height)
        stage.cue("float", y=0.9, pivot=(corner_x, corner_y))
        for k, tone in enumerate((palette.main, palette.warm, palette.accent)):
            stage.piece(ellipse(corner_x, corner_y, 0.19 - 0.05 * k, steps=90), tone, lift=0.8)


def _hub(stage: Stage, x: float, y: float) -> None:
    palette, rng = stage.palette, stage.rng
    petals = rng.choice((10, 12, 14))
    stage.cue("ring", y=0.5, pivot=(x, y))
    for i in range(petals):
        leaf = moved(petal(math.tau * i / petals, 0.3, 0.13, inner=0.1), x, y)
        stage.piece(leaf, palette.warm if i % 2 else palette.accent, lift=0.6)
    stage.cue("still", y=0.6)
    stage.piece(ellipse(x, y, 0.215, steps=120), palette.light, lift=1.0)
    stage.piece(sector(x, y, 0.2, 0.0, math.tau, 0.185), palette.main)
    if stage.reading.things:
        stage.thing(stage.reading.things[0], Spot(x, y, 0.17, 0.0), lift=1.2)
    else:
        stage.cue("wheel", y=0.6, pivot=(x, y))
        stage.emblem(Spot(x, y, 0.16))
