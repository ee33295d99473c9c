"""Where layouts work: a canvas in picture units, one palette, one stream of chance.

The short side of the picture is 1, the origin is top left. A layout says what lies where;
the stage knows how this variant cuts, paints or prints it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.motifs import MOTIFS
from generation_service.backends.embedded.motifs.abstract import BOLD_MARKS, MARKS, frond_ring
from generation_service.backends.embedded.outline import Shape, ellipse, moved, rotated, scaled
from generation_service.backends.embedded.palette import COLOURS, recast, with_main

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generation_service.backends.embedded.canvas import Canvas
    from generation_service.backends.embedded.outline import Points
    from generation_service.backends.embedded.palette import RGB, Palette
    from generation_service.backends.embedded.reading import Reading, Thing


@dataclass(frozen=True)
class Spot:
    """Where something goes: its middle, half its edge and its turn, in picture units."""

    x: float
    y: float
    size: float
    turn: float = 0.0
    mirrored: bool = False


class Stage:
    """Draws for one picture."""

    def __init__(self, canvas: Canvas, palette: Palette, reading: Reading, rng: Random) -> None:
        """Everything a layout needs."""
        self._canvas = canvas
        self.palette = palette
        self.reading = reading
        self.rng = rng
        self.width = canvas.width / canvas.short_side
        self.height = canvas.height / canvas.short_side
        self.is_print = canvas.finish.shadow == 0

    def cue(self, kind: str, *, y: float = 0.0, pivot: tuple[float, float] | None = None) -> None:
        """Say that what comes next belongs together, and what it is; only films listen.

        Args:
            kind: One of `film.motion.KINDS`.
            y: Where it stands, in picture units: lower is nearer.
            pivot: What it turns about; its foot when left out.
        """

    def wash(self, top: RGB, bottom: RGB) -> None:
        """Cover everything."""
        self._canvas.wash(top, bottom)

    def piece(
        self, points: Points, colour: RGB, *, opacity: float = 1.0, lift: float = 0.0
    ) -> None:
        """Lay one outline down; `lift` > 0 gives it a shadow."""
        pixels = self._pixels(points)
        if lift > 0:
            self._canvas.shadow([pixels], lift)
        self._canvas.fill(pixels, colour, opacity)

    def torn(self, points: Points, colour: RGB, *, lift: float = 1.0) -> None:
        """A torn paper: its white core shows along the edge."""
        if self.is_print:
            self.piece(points, colour, opacity=0.94)
            return
        rim = moved(self._tear(points, 0.006), 0.004, 0.004)
        self._canvas.shadow([self._pixels(rim)], lift)
        self._canvas.fill(self._pixels(rim), self.palette.light)
        self._canvas.fill(self._pixels(self._tear(points, 0.003)), colour)

    def screen(
        self, points: Points, colour: RGB, *, pitch: float = 0.014, weight: float = 0.5
    ) -> None:
        """A halftone area; `pitch` in picture units."""
        self._canvas.dots(
            points * self._canvas.short_side,
            colour,
            max(3.0, pitch * self._canvas.short_side),
            weight,
        )

    def thing(self, thing: Thing, spot: Spot, *, lift: float = 1.0, rank: int = 0) -> None:
        """Draw one specimen of a thing; those of another `rank` wear other colours."""
        palette = recast(self.palette, rank)
        if thing.colour is not None:
            palette = with_main(palette, COLOURS[thing.colour])
        self.shapes(MOTIFS[thing.motif].draw(self.rng), spot, palette=palette, lift=lift)

    def mark(self, key: int, spot: Spot, *, lift: float = 0.7, opacity: float = 1.0) -> None:
        """Draw the abstract mark of a word without a picture."""
        rng = Random(key)
        self.shapes(MARKS[key % len(MARKS)](rng), spot, lift=lift, opacity=opacity)

    def emblem(self, spot: Spot) -> None:
        """A sign made of all the words without a picture: one large, wreaths of the others."""
        marks = self.reading.marks or (self.rng.getrandbits(64),)
        edge = spot.size
        bold = BOLD_MARKS[marks[0] % len(BOLD_MARKS)](Random(marks[0]))
        self.shapes(
            [Shape(frond_ring(marks[0] % 5 + 9), "main")], Spot(spot.x, spot.y, edge * 1.05)
        )
        self.shapes([Shape(ellipse(0, 0, 0.8), "light")], Spot(spot.x, spot.y, edge), lift=0.6)
        self.shapes(bold, Spot(spot.x, spot.y, edge * 0.55, spot.turn), lift=1.1)
        for ring, key in enumerate(marks[1:4]):
            copies, far = (7, 9, 5)[ring], edge * (0.64, 0.92, 0.34)[ring]
            for i in range(copies):
                a = math.tau * i / copies + ring
                x, y = spot.x + far * math.cos(a), spot.y + far * math.sin(a)
                self.mark(key, Spot(x, y, edge * (0.17, 0.12, 0.1)[ring], a + math.pi / 2))
        if len(marks) > 4:
            self.mark(marks[4], Spot(spot.x, spot.y, edge * 0.24), lift=1.0)

    def shapes(
        self,
        shapes: Sequence[Shape],
        spot: Spot,
        *,
        palette: Palette | None = None,
        lift: float = 1.0,
        opacity: float = 1.0,
    ) -> None:
        """Draw a group of shapes as one piece."""
        tones = palette or self.palette
        placed = [(self._pixels(self._place(s.points, spot)), s) for s in shapes]
        solid = [points for points, shape in placed if shape.opacity > 0.5]
        self._canvas.shadow(solid, lift, reach=0.004 + 0.03 * spot.size)
        for points, shape in placed:
            self._canvas.fill(points, tones.tone(shape.tone), shape.opacity * opacity)

    def _place(self, points: Points, spot: Spot) -> Points:
        flipped = scaled(points, -spot.size if spot.mirrored else spot.size, spot.size)
        return moved(rotated(flipped, spot.turn), spot.x, spot.y)

    def _pixels(self, points: Points) -> Points:
        wobble = self._canvas.finish.wobble
        if wobble:
            points = warped(dense(points, 0.02), wobble, self.rng.random() * math.tau)
        return points * self._canvas.short_side

    def _tear(self, points: Points, depth: float) -> Points:
        fine = dense(points, 0.012)
        jitter = np.array([[self.rng.gauss(0, 1), self.rng.gauss(0, 1)] for _ in range(len(fine))])
        jitter = (jitter + np.roll(jitter, 1, axis=0)) / 2
        return warped(fine + jitter * depth * 0.35, depth, self.rng.random() * math.tau)


def dense(points: Points, step: float) -> Points:
    """The same outline with no edge longer than `step`."""
    after = np.roll(points, -1, axis=0)
    pieces = np.maximum(1, np.ceil(np.linalg.norm(after - points, axis=1) / step).astype(int))
    starts = np.repeat(points, pieces, axis=0)
    ends = np.repeat(after, pieces, axis=0)
    total = np.repeat(pieces, pieces)
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = ((np.arange(len(total)) - first) / total)[:, None]
    return np.asarray(starts + (ends - starts) * share)


def warped(points: Points, amount: float, phase: float) -> Points:
    """The outline as an unsteady hand would have cut it."""
    x, y = points[:, 0], points[:, 1]
    dx = np.sin(23 * y + phase) + 0.6 * np.sin(57 * y + 31 * x + 2 * phase)
    dy = np.sin(21 * x + 1.7 * phase) + 0.6 * np.sin(53 * x - 37 * y + phase)
    return points + amount * np.stack([dx, dy], axis=1)
