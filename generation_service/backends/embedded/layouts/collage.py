"""Cut, torn, pasted: papers at odd angles, newsprint, things at the wrong size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generation_service.backends.embedded.motifs import MOTIFS
from generation_service.backends.embedded.outline import (
    Points,
    box,
    ellipse,
    moved,
    polygon,
    rotated,
    sector,
)
from generation_service.backends.embedded.palette import mix
from generation_service.backends.embedded.stage import Spot

if TYPE_CHECKING:
    from generation_service.backends.embedded.palette import RGB
    from generation_service.backends.embedded.stage import Stage


def compose(stage: Stage) -> None:
    """Papers first, then the great circle, bars, newsprint, and the things on top."""
    palette, rng = stage.palette, stage.rng
    stage.wash(mix(palette.paper, palette.sky, 0.25), palette.paper)
    _papers(stage)
    x, y = stage.width * rng.uniform(0.35, 0.65), stage.height * rng.uniform(0.35, 0.6)
    _great_circle(stage, x, y)
    _bars(stage)
    _newsprint(stage)
    _things(stage, x, y)
    _marks(stage)


def _sheet(stage: Stage, x: float, y: float, wide: float, tall: float, turn: float) -> Points:
    rng = stage.rng
    corners = [
        (sx * wide / 2 * rng.uniform(0.9, 1.1), sy * tall / 2 * rng.uniform(0.9, 1.1))
        for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return moved(rotated(polygon(*corners), turn), x, y)


def _papers(stage: Stage) -> None:
    rng, palette = stage.rng, stage.palette
    tones: list[RGB] = [*palette.inks, palette.sky, palette.ground, palette.dark]
    rng.shuffle(tones)
    for i in range(6):
        x = stage.width * ((i % 3) + rng.uniform(0.2, 0.8)) / 3
        y = stage.height * ((i // 3) + rng.uniform(0.2, 0.8)) / 2
        tone = mix(tones[i], palette.paper, rng.uniform(0.0, 0.35))
        stage.cue("paper", y=0.3 * i / 6, pivot=(x, y))
        stage.torn(
            _sheet(
                stage, x, y, rng.uniform(0.35, 0.7), rng.uniform(0.3, 0.65), rng.uniform(-0.5, 0.5)
            ),
            tone,
        )


def _great_circle(stage: Stage, x: float, y: float) -> None:
    rng, palette = stage.rng, stage.palette
    r = rng.uniform(0.27, 0.36)
    stage.cue("wheel", pivot=(x, y))
    stage.piece(ellipse(x, y, r, steps=140), palette.warm, lift=1.2)
    start = rng.random() * math.tau
    stage.piece(sector(x, y, r, start, start + math.pi), mix(palette.accent, palette.warm, 0.25))
    stage.screen(sector(x, y, r, start + 0.4, start + 1.9), palette.dark, weight=0.34)


def _bars(stage: Stage) -> None:
    rng, palette = stage.rng, stage.palette
    turn = rng.uniform(-0.9, -0.3) if rng.random() < 0.5 else rng.uniform(0.3, 0.9)
    for i in range(3):
        x, y = stage.width * rng.uniform(0.15, 0.85), stage.height * rng.uniform(0.15, 0.85)
        bar = moved(
            rotated(box(-rng.uniform(0.25, 0.5), -0.012 - 0.01 * i, 0.45, 0.012 + 0.008 * i), turn),
            x,
            y,
        )
        stage.cue("paper", y=0.5, pivot=(x, y))
        stage.piece(bar, (palette.dark, palette.main, palette.light)[i], lift=0.9)
    x, y = stage.width * rng.uniform(0.1, 0.9), stage.height * rng.uniform(0.1, 0.9)
    stage.cue("paper", y=0.5, pivot=(x, y))
    for i in range(12):
        square = box(
            -0.2 + 0.034 * i, 0 if i % 2 else -0.034, -0.166 + 0.034 * i, 0.034 if i % 2 else 0
        )
        stage.piece(moved(rotated(square, turn + math.pi / 2), x, y), palette.dark, opacity=0.92)


def _newsprint(stage: Stage) -> None:
    """Columns of lines that look like type and say nothing."""
    rng, palette = stage.rng, stage.palette
    for _ in range(2):
        x, y = stage.width * rng.uniform(0.15, 0.85), stage.height * rng.uniform(0.15, 0.85)
        turn = rng.uniform(-0.6, 0.6)
        stage.cue("paper", y=0.6, pivot=(x, y))
        sheet = moved(rotated(box(-0.13, -0.16, 0.13, 0.16), turn), x, y)
        stage.torn(sheet, mix(palette.paper, palette.light, 0.5))
        for row in range(11):
            top = -0.135 + row * 0.025
            left = -0.11
            while left < 0.09:
                wide = rng.uniform(0.012, 0.05)
                tall = 0.02 if row == 0 else 0.009
                word = box(left, top, min(left + wide, 0.112), top + tall)
                stage.piece(moved(rotated(word, turn), x, y), palette.dark, opacity=0.82)
                left += wide + 0.008


def _things(stage: Stage, x: float, y: float) -> None:
    rng = stage.rng
    specimens = [thing for thing in stage.reading.things for _ in range(min(thing.count, 4))]
    start = rng.random() * math.tau
    for i, thing in reversed(list(enumerate(specimens))):
        size = MOTIFS[thing.motif].size * thing.size * rng.uniform(0.75, 1.25)
        if i == 0:
            spot = Spot(x, y, min(0.44, size * 1.7), rng.uniform(-0.25, 0.25), rng.random() < 0.5)
        else:
            angle, far = start + i * 2.4, rng.uniform(0.3, 0.42)
            spot = Spot(
                min(max(x + far * stage.width * math.cos(angle), 0.1), stage.width - 0.1),
                min(max(y + far * stage.height * math.sin(angle), 0.1), stage.height - 0.1),
                min(size, 0.24),
                rng.uniform(-0.9, 0.9),
                rng.random() < 0.5,
            )
        stage.thing(thing, spot, lift=1.5, rank=i)


def _marks(stage: Stage) -> None:
    rng = stage.rng
    if not stage.reading.things:
        stage.cue("float", y=0.7, pivot=(stage.width / 2, stage.height / 2))
        stage.emblem(Spot(stage.width / 2, stage.height / 2, 0.34, rng.uniform(-0.4, 0.4)))
    for i, key in enumerate(stage.reading.marks):
        size = 0.035 + 0.06 * ((key >> 8) % 100) / 100
        x = stage.width * ((i * 0.618 + rng.uniform(0, 0.15)) % 0.92 + 0.04)
        y = stage.height * ((i * 0.382 + rng.uniform(0, 0.25)) % 0.92 + 0.04)
        stage.cue("float", y=0.9, pivot=(x, y))
        stage.mark(key, Spot(x, y, size, rng.uniform(-math.pi, math.pi)), lift=1.1)
