"""The land under the horizon: hills, sea, mountains, a skyline, a wood, dunes, a planet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.motifs import plants
from generation_service.backends.embedded.outline import (
    Points,
    box,
    ellipse,
    polygon,
    ribbon,
    sector,
)
from generation_service.backends.embedded.palette import RGB, mix
from generation_service.backends.embedded.stage import Spot

if TYPE_CHECKING:
    from generation_service.backends.embedded.stage import Stage


def lay(stage: Stage, horizon: float) -> None:
    """Everything between the horizon and the lower edge."""
    lands = stage.reading.lands or ("hills",)
    if "mountain" in lands:
        _mountains(stage, horizon)
    if "city" in lands:
        _skyline(stage, horizon)
    if "forest" in lands:
        _treeline(stage, horizon)
    front = next(
        (land for land in lands if land in _FRONTS), "meadow" if lands[0] != "city" else "street"
    )
    _FRONTS[front](stage, horizon)


def _hill(stage: Stage, top: float, swing: float, lean: float) -> Points:
    """A rolling edge across the whole width, filled to the bottom."""
    x = np.linspace(-0.05, stage.width + 0.05, 80)
    phase, beat = stage.rng.random() * math.tau, stage.rng.uniform(2.0, 4.5)
    y = top + swing * np.sin(beat * x + phase) + swing * 0.4 * np.sin(beat * 2.3 * x + phase * 2)
    y = y + lean * (x - stage.width / 2)
    floor = [[stage.width + 0.05, stage.height + 0.05], [-0.05, stage.height + 0.05]]
    return np.vstack([np.stack([x, y], axis=1), floor])


def _round_hill(stage: Stage, top: float) -> Points:
    """A hill of the printing kind: one great circle."""
    r = stage.rng.uniform(0.7, 1.3)
    return ellipse(stage.rng.uniform(0, stage.width), top + r, r * 1.25, r, steps=160)


def _layers(stage: Stage, horizon: float, colours: list[RGB], swing: float) -> None:
    depth = stage.height - horizon
    for i, colour in enumerate(colours):
        top = horizon + depth * (0.02 + 0.9 * (i / len(colours)) ** 1.15)
        stage.cue("land", y=top)
        if stage.is_print:
            stage.piece(box(-0.1, top + 0.05, stage.width + 0.1, stage.height + 0.1), colour)
            for _ in range(2):
                stage.piece(_round_hill(stage, top - 0.02), colour)
            stage.screen(_round_hill(stage, top + 0.03), stage.palette.dark, weight=0.16)
        else:
            lean = stage.rng.uniform(-0.1, 0.1)
            stage.piece(_hill(stage, top, swing, lean), colour, lift=0.9)


def _meadow(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    far = mix(palette.ground, palette.horizon, 0.45)
    colours = [
        far,
        palette.ground,
        mix(palette.ground, palette.leaf, 0.55),
        mix(palette.leaf, palette.dark, 0.12),
    ]
    _layers(stage, horizon, colours, 0.03)
    depth = stage.height - horizon
    stage.cue("land", y=horizon + depth * 0.7)
    for i in range(34):
        t = (i / 34) ** 0.8
        x, y = rng.uniform(0, stage.width), horizon + depth * (0.18 + 0.8 * t)
        if i % 3 == 0:
            stage.shapes(plants.grass(rng), Spot(x, y, 0.018 + 0.03 * t), lift=0.3)
        elif i % 3 == 1:
            stage.shapes(plants.blossom(rng), Spot(x, y, 0.007 + 0.014 * t), lift=0.4)
        else:
            tone = rng.choice((palette.main, palette.light, palette.warm, palette.accent))
            stage.piece(ellipse(x, y, 0.003 + 0.005 * t, steps=14), tone)


def _sea(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    deep = mix(palette.water, palette.dark, 0.3)
    stage.cue("land", y=horizon)
    stage.piece(box(-0.1, horizon, stage.width + 0.1, stage.height + 0.1), palette.water)
    rows = 9
    for i in range(rows):
        t = i / rows
        top = horizon + (stage.height - horizon) * t**1.2 + 0.02
        crest = 0.006 + 0.016 * t
        stage.cue("wave", y=top)
        x = np.linspace(-0.05, stage.width + 0.05, 160)
        y = top - crest * np.abs(np.sin(x * (16 - 9 * t) + rng.random() * 6))
        floor = [[stage.width + 0.05, stage.height + 0.1], [-0.05, stage.height + 0.1]]
        tone = mix(
            palette.water if i % 2 else mix(palette.water, palette.light, 0.25), deep, t * 0.8
        )
        stage.piece(np.vstack([np.stack([x, y], axis=1), floor]), tone, lift=0.55)
        if i % 3 == 1:
            start = rng.uniform(0, stage.width * 0.7)
            foam = np.stack([np.linspace(start, start + 0.3, 20), np.full(20, top + 0.014)], axis=1)
            stage.piece(ribbon(foam, 0.008 * (0.5 + t), 0.001), palette.light, opacity=0.7)


def _dunes(stage: Stage, horizon: float) -> None:
    palette = stage.palette
    sand = mix(palette.ground, palette.warm, 0.35)
    colours = [
        mix(sand, palette.horizon, 0.4),
        sand,
        mix(sand, palette.main, 0.25),
        mix(sand, palette.dark, 0.22),
    ]
    _layers(stage, horizon, colours, 0.05)


def _street(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    top = horizon + (stage.height - horizon) * 0.42
    stage.cue("land", y=top)
    stage.piece(
        box(-0.1, top, stage.width + 0.1, stage.height + 0.1),
        mix(palette.dark, palette.ground, 0.45),
        lift=0.8,
    )
    stage.piece(
        box(-0.1, top + 0.02, stage.width + 0.1, top + 0.045),
        mix(palette.light, palette.ground, 0.4),
    )
    middle = (top + stage.height) / 2 + 0.02
    for i in range(9):
        x = stage.width * i / 8 + rng.uniform(-0.01, 0.01)
        stage.piece(
            polygon(
                (x, middle),
                (x + 0.07, middle),
                (x + 0.06, middle + 0.018),
                (x - 0.01, middle + 0.018),
            ),
            palette.light,
            opacity=0.85,
        )


def _outer_space(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    x, r = stage.width * rng.uniform(0.3, 0.7), stage.width * 0.85
    top = horizon + (stage.height - horizon) * 0.35
    stage.cue("land", y=top)
    stage.piece(
        ellipse(x, top + r, r * 1.04, steps=160), mix(palette.water, palette.sky, 0.5), opacity=0.5
    )
    stage.piece(
        ellipse(x, top + r + 0.01, r, steps=160), mix(palette.ground, palette.second, 0.4), lift=1.0
    )
    for _ in range(9):
        cx, cy, s = (
            rng.uniform(0, stage.width),
            rng.uniform(top + 0.1, stage.height),
            rng.uniform(0.015, 0.06),
        )
        stage.piece(
            ellipse(cx, cy, s * 1.6, s * 0.7), mix(palette.ground, palette.dark, 0.35), opacity=0.8
        )
        stage.piece(
            ellipse(cx + 0.004, cy + 0.006, s * 1.4, s * 0.55),
            mix(palette.ground, palette.second, 0.55),
            opacity=0.8,
        )


def _mountains(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    peaks = [
        (stage.width * (i + 0.5) / 4 + rng.uniform(-0.1, 0.1), rng.uniform(0.2, 0.44))
        for i in range(4)
    ]
    for x, tall in sorted(peaks, key=lambda peak: -peak[1]):
        half = tall * rng.uniform(0.65, 0.9)
        stage.cue("land", y=horizon * (1.2 - tall))
        foot, top = horizon + 0.09, horizon + 0.06 - tall
        stone = mix(palette.second, palette.horizon, rng.uniform(0.15, 0.45))
        ridge = (x + half * 0.12, horizon + 0.02 - tall * 0.45)
        stage.piece(polygon((x - half, foot), (x, top), (x + half, foot)), stone, lift=0.9)
        stage.piece(
            polygon((x, top), (x + half, foot), (x + half * 0.1, foot), ridge),
            mix(stone, palette.dark, 0.25),
        )
        cut, snow = 0.28, half * 0.28
        tooth = top + tall * cut
        stage.piece(
            polygon(
                (x, top),
                (x + snow, tooth),
                (x + snow * 0.4, tooth - 0.02),
                (x + 0.005, tooth + 0.03),
                (x - snow * 0.45, tooth - 0.015),
                (x - snow, tooth),
            ),
            palette.light,
        )


def _skyline(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    floor = horizon + (stage.height - horizon) * 0.5
    for row, veil in ((0, 0.6), (1, 0.25)):
        stage.cue("land", y=horizon * (0.8 + 0.2 * row))
        x = -0.05
        while x < stage.width:
            wide, tall = rng.uniform(0.06, 0.13), rng.uniform(0.2, 0.5) - row * 0.1
            wall = mix(
                rng.choice((palette.second, palette.main, palette.water, palette.dark)),
                palette.horizon,
                veil,
            )
            top = horizon + 0.08 * row + 0.04 - tall
            stage.piece(box(x, top, x + wide, floor), wall, lift=0.6)
            _windows(stage, x, top, wide, floor, veil)
            x += wide + rng.uniform(-0.015, 0.01)


def _windows(stage: Stage, x: float, top: float, wide: float, floor: float, veil: float) -> None:
    lit = mix(stage.palette.tone("glow"), stage.palette.horizon, veil * 0.5)
    step = 0.028
    for row in range(int((floor - top) / step) - 1):
        for column in range(int(wide / step)):
            if stage.rng.random() < 0.45:
                left, high = x + 0.01 + column * step, top + 0.014 + row * step
                stage.piece(box(left, high, left + 0.013, high + 0.015), lit, opacity=0.9)


def _treeline(stage: Stage, horizon: float) -> None:
    palette, rng = stage.palette, stage.rng
    for row, veil in ((0, 0.55), (1, 0.25)):
        count = 13
        stage.cue("wood", y=horizon * (0.85 + 0.15 * row))
        for i in range(count):
            x = stage.width * (i + rng.random()) / count
            size = rng.uniform(0.1, 0.19)
            tone = mix(mix(palette.leaf, palette.dark, 0.15 * (i % 3)), palette.horizon, veil)
            y = horizon + 0.05 + 0.05 * row - size
            for k in range(3):
                top, half = y - size + 0.5 * size * k, size * (0.3 + 0.14 * k)
                stage.piece(
                    polygon((x, top), (x + half, top + size * 0.85), (x - half, top + size * 0.85)),
                    mix(tone, palette.light, 0.05 * (2 - k)),
                    lift=0.35 if k == 0 else 0,
                )
    stage.cue("land", y=horizon)
    stage.piece(
        sector(stage.width / 2, horizon + 2.05, 2.0, math.pi, math.tau),
        mix(palette.ground, palette.leaf, 0.5),
    )


_FRONTS = {
    "meadow": _meadow,
    "sea": _sea,
    "desert": _dunes,
    "space": _outer_space,
    "street": _street,
}
