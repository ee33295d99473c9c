"""A field of square tiles: quarter circles, stripes, dots, and things in frames of colour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.embedded.outline import (
    box,
    ellipse,
    polygon,
    sector,
)
from generation_service.backends.embedded.palette import lightness, mix
from generation_service.backends.embedded.stage import Spot

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.palette import RGB
    from generation_service.backends.embedded.stage import Stage


@dataclass(frozen=True)
class _Tile:
    x: float
    y: float
    edge: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.x + self.edge / 2, self.y + self.edge / 2)


def compose(stage: Stage) -> None:
    """A margin of paper, a grid, one large tile for the main thing, the rest by chance."""
    palette, rng = stage.palette, stage.rng
    stage.wash(palette.paper, palette.paper)
    margin = 0.045
    columns = rng.choice((4, 5)) if stage.width < 1.4 else round(stage.width * 4.5)
    edge = (stage.width - 2 * margin) / columns
    rows = max(1, int((stage.height - 2 * margin + 1e-6) / edge))
    top = (stage.height - rows * edge) / 2
    free = {(c, r) for c in range(columns) for r in range(rows)}
    frames = _frames(stage, columns, rows, free)
    for column, row in sorted(free):
        _pattern(stage, _Tile(margin + column * edge, top + row * edge, edge), (column, row))
    for rank, (column, row, span) in enumerate(frames):
        _framed(stage, _Tile(margin + column * edge, top + row * edge, edge * span), rank)


def _frames(
    stage: Stage, columns: int, rows: int, free: set[tuple[int, int]]
) -> list[tuple[int, int, int]]:
    """Places for the things: the first gets a large square, the others one tile each."""
    rng = stage.rng
    frames: list[tuple[int, int, int]] = []
    wanted = max(1, min(len(_subjects(stage)), columns * rows // 3))
    for rank in range(wanted):
        span = min((3 if columns > 4 else 2) if rank == 0 else 1, rows, columns)
        spots = [
            (c, r)
            for c in range(columns - span + 1)
            for r in range(rows - span + 1)
            if all((c + i, r + j) in free for i in range(span) for j in range(span))
        ]
        if not spots:
            break
        column, row = rng.choice(spots)
        free -= {(column + i, row + j) for i in range(span) for j in range(span)}
        frames.append((column, row, span))
    return frames


def _subjects(stage: Stage) -> list[int]:
    """One entry per specimen to frame: an index into the things, or -1 - index of a mark."""
    things = stage.reading.things
    order = list(range(len(things)))
    extra = [i for i, thing in enumerate(things) for _ in range(thing.count - 1)]
    marks = [-1 - i for i in range(min(3, len(stage.reading.marks)))]
    return (order + extra + marks)[:9]


def _ground(stage: Stage, place: tuple[int, int]) -> RGB:
    palette = stage.palette
    tones = (
        palette.paper,
        palette.main,
        palette.sky,
        palette.second,
        palette.warm,
        palette.ground,
        palette.dark,
        palette.accent,
    )
    return tones[(place[0] * 3 + place[1] * 5 + stage.rng.randrange(3)) % len(tones)]


def _figure(stage: Stage, ground: RGB) -> RGB:
    """An ink that stands out from `ground`."""
    inks = [*stage.palette.inks, stage.palette.dark, stage.palette.light]
    stage.rng.shuffle(inks)
    return max(
        inks[:4], key=lambda ink: abs(lightness(ink) - lightness(ground)) + 0.15 * (ink != ground)
    )


def _pattern(stage: Stage, tile: _Tile, place: tuple[int, int]) -> None:
    ground = _ground(stage, place)
    stage.piece(box(tile.x, tile.y, tile.x + tile.edge, tile.y + tile.edge), ground, lift=0.25)
    stage.rng.choice(_PATTERNS)(stage, tile, ground)


def _framed(stage: Stage, tile: _Tile, rank: int) -> None:
    palette = stage.palette
    x, y = tile.middle
    ground = (
        mix(palette.sky, palette.horizon, 0.4)
        if rank == 0
        else (palette.paper, palette.horizon, palette.light)[rank % 3]
    )
    stage.piece(box(tile.x, tile.y, tile.x + tile.edge, tile.y + tile.edge), ground, lift=0.5)
    if rank == 0:
        stage.piece(
            ellipse(x, y, tile.edge * 0.44, steps=140), mix(palette.warm, palette.light, 0.15)
        )
        half = sector(x, y, tile.edge * 0.44, 0, math.pi)
        stage.screen(half, palette.accent, weight=0.45)
        stage.piece(sector(x, y, tile.edge * 0.485, 0, math.tau, tile.edge * 0.465), palette.main)
    subject = _subjects(stage)[rank] if _subjects(stage) else None
    spot = Spot(x, y, tile.edge * (0.37 if rank == 0 else 0.42))
    if subject is None or (rank == 0 and subject < 0):
        stage.emblem(spot)
    elif subject >= 0:
        stage.thing(stage.reading.things[subject], spot, lift=0.8, rank=rank)
    else:
        stage.mark(stage.reading.marks[-1 - subject], spot)


def _quarter(stage: Stage, tile: _Tile, ground: RGB) -> None:
    corner = stage.rng.randrange(4)
    x, y = tile.x + tile.edge * (corner in (1, 2)), tile.y + tile.edge * (corner in (2, 3))
    start = (0.0, 0.5, 1.0, 1.5)[corner] * math.pi
    for part in (1.0, 0.66, 0.33):
        colour = _figure(stage, ground)
        stage.piece(sector(x, y, tile.edge * part, start, start + math.pi / 2), colour)
        ground = colour


def _halves(stage: Stage, tile: _Tile, ground: RGB) -> None:
    x, y = tile.middle
    start = stage.rng.choice((0.0, 0.5, 1.0, 1.5)) * math.pi
    stage.piece(sector(x, y, tile.edge / 2, start, start + math.pi), _figure(stage, ground))
    stage.piece(
        sector(x, y, tile.edge / 4, start + math.pi, start + math.tau), _figure(stage, ground)
    )


def _rings(stage: Stage, tile: _Tile, ground: RGB) -> None:
    x, y = tile.middle
    for part in (0.46, 0.32, 0.18):
        colour = _figure(stage, ground)
        stage.piece(ellipse(x, y, tile.edge * part), colour)
        ground = colour


def _stripes(stage: Stage, tile: _Tile, ground: RGB) -> None:
    colour, lying = _figure(stage, ground), stage.rng.random() < 0.5
    count = stage.rng.choice((4, 5, 6))
    step = tile.edge / count
    for i in range(count):
        a, b = i * step, i * step + step * 0.52
        if lying:
            stage.piece(box(tile.x, tile.y + a, tile.x + tile.edge, tile.y + b), colour)
        else:
            stage.piece(box(tile.x + a, tile.y, tile.x + b, tile.y + tile.edge), colour)


def _triangles(stage: Stage, tile: _Tile, ground: RGB) -> None:
    x, y, e = tile.x, tile.y, tile.edge
    colour, other = _figure(stage, ground), _figure(stage, ground)
    if stage.rng.random() < 0.5:
        stage.piece(polygon((x, y), (x + e, y), (x, y + e)), colour)
        stage.piece(polygon((x + e, y + e), (x + e, y + e / 2), (x + e / 2, y + e)), other)
    else:
        stage.piece(polygon((x, y + e), (x + e / 2, y), (x + e, y + e)), colour)
        stage.piece(polygon((x + e / 2, y), (x + e, y + e), (x + e / 2, y + e)), other)


def _grid(stage: Stage, tile: _Tile, ground: RGB) -> None:
    colour, count = _figure(stage, ground), stage.rng.choice((3, 4, 5))
    step = tile.edge / count
    for i in range(count):
        for j in range(count):
            r = step * (0.16 + 0.22 * (i + j) / (2 * count - 2))
            stage.piece(
                ellipse(tile.x + (i + 0.5) * step, tile.y + (j + 0.5) * step, r, steps=28), colour
            )


def _petals(stage: Stage, tile: _Tile, ground: RGB) -> None:
    """Four leaves between four quarter circles, as on old floor tiles."""
    colour = _figure(stage, ground)
    x, y = tile.middle
    e = tile.edge / 2
    for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        steps = [i / 14 * math.pi / 2 for i in range(15)]
        near = [(x + sx * e * math.sin(t), y + sy * e * (1 - math.cos(t))) for t in steps]
        back = [(x + sx * e * (1 - math.cos(t)), y + sy * e * math.sin(t)) for t in reversed(steps)]
        stage.piece(polygon(*near, *back), colour)
    stage.piece(ellipse(x, y, e * 0.2), _figure(stage, colour))


def _screened(stage: Stage, tile: _Tile, ground: RGB) -> None:
    x, y = tile.middle
    stage.screen(
        box(tile.x, tile.y, tile.x + tile.edge, tile.y + tile.edge),
        _figure(stage, ground),
        weight=0.5,
    )
    stage.piece(ellipse(x, y, tile.edge * 0.27), _figure(stage, ground))


_PATTERNS: tuple[Callable[[Stage, _Tile, RGB], None], ...] = (
    _quarter,
    _quarter,
    _halves,
    _rings,
    _stripes,
    _triangles,
    _grid,
    _petals,
    _screened,
)
