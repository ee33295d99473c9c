"""A place under a sky: far things small and pale, near things large and plain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.layouts import grounds
from generation_service.backends.embedded.motifs import GROUND, MOTIFS, SKY, VEIL, WATER
from generation_service.backends.embedded.outline import ellipse, stroke
from generation_service.backends.embedded.palette import mix
from generation_service.backends.embedded.stage import Spot

if TYPE_CHECKING:
    from generation_service.backends.embedded.reading import Thing
    from generation_service.backends.embedded.stage import Stage


def compose(stage: Stage) -> None:
    """Sky, land, then everything that the prompt names, far to near."""
    horizon = stage.height * stage.rng.uniform(0.5, 0.62)
    _sky(stage, horizon)
    ranked = list(enumerate(stage.reading.things))
    above = [entry for entry in ranked if MOTIFS[entry[1].motif].habitat == SKY]
    below = [entry for entry in ranked if MOTIFS[entry[1].motif].habitat in (GROUND, WATER)]
    columns = _spread(stage, sum(thing.count for _, thing in below))
    _mobile(stage, horizon)
    _place_above(stage, above, horizon, columns[-1] if below else None)
    grounds.lay(stage, horizon)
    _place_below(stage, below, horizon, columns)
    for _, thing in ranked:
        if MOTIFS[thing.motif].habitat == VEIL:
            _veil(stage, thing)


def _sky(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    stage.wash(palette.sky, palette.horizon)
    if stage.is_print:
        _sky_disc(stage, horizon)
        return
    stage.cue("haze")
    for _ in range(rng.randint(7, 11)):
        y = rng.uniform(0.02, horizon)
        x = rng.uniform(0, stage.width)
        long, thick = rng.uniform(0.3, 0.8), rng.uniform(0.02, 0.05)
        tint = mix(
            palette.sky,
            rng.choice((palette.light, palette.horizon, palette.accent)),
            rng.uniform(0.18, 0.42),
        )
        stage.piece(ellipse(x, y, long, thick), tint, opacity=rng.uniform(0.25, 0.5))
    if palette.is_night:
        stage.cue("twinkle")
        for _ in range(70):
            dot = ellipse(
                rng.uniform(0, stage.width),
                rng.uniform(0, horizon),
                rng.uniform(0.0012, 0.0045),
                steps=10,
            )
            stage.piece(dot, palette.tone("glow"), opacity=rng.uniform(0.4, 1.0))


def _sky_disc(stage: Stage, horizon: float) -> None:
    """The great disc that a poster hangs behind its subject."""
    palette, rng = stage.palette, stage.rng
    x, r = stage.width * rng.choice((0.36, 0.5, 0.64)), rng.uniform(0.28, 0.4)
    y = horizon - r * rng.uniform(0.2, 0.75)
    tone = (
        mix(palette.warm, palette.horizon, 0.35)
        if not palette.is_night
        else mix(palette.sky, palette.water, 0.5)
    )
    stage.piece(ellipse(x, y, r, steps=128), tone, opacity=0.95)
    stage.screen(ellipse(x, y, r, steps=128), palette.accent, weight=0.32)
    for i in range(rng.randint(2, 4)):
        high = 0.07 + 0.085 * i
        band = np.array(
            [(0, high), (stage.width, high), (stage.width, high + 0.018), (0, high + 0.018)]
        )
        stage.piece(band, mix(palette.sky, palette.light, 0.45), opacity=0.7)


def _place_above(
    stage: Stage, things: list[tuple[int, Thing]], horizon: float, taken: float | None
) -> None:
    """Things of the sky, clear of the column that the main thing below has `taken`."""
    rng = stage.rng
    total = sum(thing.count for _, thing in things)
    columns = _clear(stage, total, taken)
    for place, (rank, thing) in enumerate(things):
        for i in range(thing.count):
            size = MOTIFS[thing.motif].size * thing.size
            size *= 1.7 if taken is None and place == 0 else 1.0
            size *= (1.0 if i == 0 else rng.uniform(0.6, 0.9)) / math.sqrt(1 + 0.12 * (total - 1))
            if thing.motif == "rainbow":
                spot = Spot(stage.width * rng.uniform(0.4, 0.6), horizon - size * 0.55, size)
            else:
                top = min(size * 0.95 + 0.02, horizon * 0.6)
                y = rng.uniform(top, max(top + 0.01, horizon * 0.9 - size))
                spot = Spot(columns.pop(), y, size, rng.uniform(-0.12, 0.12), rng.random() < 0.4)
            stage.thing(thing, spot, lift=0.9, rank=rank + i)


def _clear(stage: Stage, count: int, taken: float | None) -> list[float]:
    """`count` places from left to right that leave out the middle of a taken column."""
    rng = stage.rng
    if count == 0:
        return []
    gap = 0.0 if taken is None else 0.3
    free = stage.width - gap - 0.2
    places = []
    for i in range(count):
        x = 0.1 + free * (i + 0.5 + rng.uniform(-0.15, 0.15)) / count
        places.append(x + gap if taken is not None and x > taken - gap / 2 else x)
    if taken is not None and count == 1:
        places = [stage.width - taken + rng.uniform(-0.06, 0.06)]
    return places


def _mobile(stage: Stage, horizon: float) -> None:
    """Words without a picture hang from the upper edge on threads."""
    rng = stage.rng
    marks = stage.reading.marks
    thread = stage.palette.light if stage.palette.is_night else stage.palette.dark
    for i, key in enumerate(marks):
        x = stage.width * (i + 0.5 + rng.uniform(-0.3, 0.3)) / len(marks)
        y = horizon * (0.12 + 0.3 * ((i * 0.618 + (key >> 20) % 100 / 250) % 1.0))
        size = 0.028 + 0.024 * ((key >> 8) % 100) / 100
        stage.cue("hang", pivot=(x, -0.02))
        stage.piece(stroke([(x, -0.02), (x + 0.002, y - size)], 0.0022), thread, opacity=0.7)
        stage.mark(key, Spot(x, y, size, rng.uniform(-0.4, 0.4)), lift=1.2)


def _place_below(
    stage: Stage, things: list[tuple[int, Thing]], horizon: float, columns: list[float]
) -> None:
    rng = stage.rng
    total = len(columns)
    room = 1.5 if total <= 1 else 1.15 if total <= 3 else 0.88 if total <= 5 else 0.7
    planned: list[tuple[float, int, Thing, Spot]] = []
    for place, (rank, thing) in enumerate(things):
        for i in range(thing.count):
            depth = 1.0 if place == 0 and i == 0 else rng.uniform(0.3, 0.85)
            foot = horizon + (stage.height - horizon) * (0.2 + 0.74 * depth)
            size = MOTIFS[thing.motif].size * thing.size * room * (0.5 + 0.5 * depth)
            size = min(size, foot * 0.47)
            x = min(max(columns.pop(), size * 1.03), stage.width - size * 1.03)
            spot = Spot(x, foot - size, size, rng.uniform(-0.04, 0.04), rng.random() < 0.4)
            planned.append((foot, rank + i, thing, spot))
    for _, rank, thing, spot in sorted(planned, key=lambda entry: entry[0]):
        stage.thing(thing, spot, rank=rank)


def _spread(stage: Stage, count: int) -> list[float]:
    """`count` places from left to right; the last one (popped first) near the golden section."""
    rng = stage.rng
    if count == 0:
        return []
    places = [
        stage.width * (i + 0.5) / count + rng.uniform(-0.15, 0.15) * stage.width / count
        for i in range(count)
    ]
    golden = stage.width * rng.choice((0.382, 0.618))
    places.sort(key=lambda x: -abs(x - golden))
    if count == 1:
        places = [golden]
    return places


def _veil(stage: Stage, thing: Thing) -> None:
    """Rain or snow lies over the whole picture."""
    step = 0.62
    for row in range(math.ceil(stage.height / step)):
        for column in range(math.ceil(stage.width / step)):
            spot = Spot((column + 0.5) * step, (row + 0.5) * step, step * 0.5, 0.0)
            stage.thing(thing, spot, lift=0.35)
