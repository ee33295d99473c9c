"""The sculptor's kit: solids in a colour, put where they belong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.sculpture import solids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from numpy.typing import NDArray

    from generation_service.backends.embedded.outline import Points
    from generation_service.backends.embedded.sculpture.solids import Solid, Spot3

_SEGMENTS = {1: 8, 2: 16, 3: 28}


@dataclass(frozen=True)
class Piece:
    """A solid and the tone of the palette that it takes (see `palette.Palette.tone`)."""

    solid: Solid
    tone: str


class Kit:
    """Makes pieces; a figure stands on y = 0, is about two units tall and looks towards +z."""

    def __init__(self, rng: Random, detail: int) -> None:
        """The figure's chances, and how fine round things are, 1 to 3."""
        self.rng = rng
        self.segments = _SEGMENTS[detail]
        self._ball = solids.ball(self.segments)

    def ball(self, tone: str, at: Spot3, size: float | Spot3) -> Piece:
        """A ball or an ellipsoid about `at`; `size` is its radius, or one per axis."""
        radii = (size, size, size) if isinstance(size, int | float) else size
        return Piece(self._ball.transformed(np.diag(radii), at), tone)

    def box(self, tone: str, at: Spot3, size: Spot3) -> Piece:
        """An upright box; `at` is the middle of its foot."""
        return Piece(solids.block().transformed(np.diag(size), at), tone)

    def roof(self, tone: str, at: Spot3, size: Spot3) -> Piece:
        """A gable roof with its ridge along z; `at` is the middle of its foot."""
        return Piece(solids.wedge().transformed(np.diag(size), at), tone)

    def post(self, tone: str, at: Spot3, height: float, bottom: float, top: float) -> list[Piece]:
        """A cylinder, or a cone; `at` is the middle of its foot."""
        side = solids.lathe([(bottom, 0.0), (top, height)], self.segments)
        parts = [side, solids.disc(bottom, 0.0, self.segments, up=False)]
        if top > 0.001:
            parts.append(solids.disc(top, height, self.segments, up=True))
        return [Piece(part.transformed(np.eye(3), at), tone) for part in parts]

    def turned(self, tone: str, at: Spot3, profile: Sequence[tuple[float, float]]) -> Piece:
        """A profile of (radius, height) on the lathe."""
        return Piece(solids.lathe(profile, self.segments).transformed(np.eye(3), at), tone)

    def rope(self, tone: str, line: Sequence[Spot3], start: float, end: float) -> Piece:
        """A round tube along a line."""
        return Piece(solids.rope(line, start, end, max(6, self.segments // 2)), tone)

    def hoop(self, tone: str, at: Spot3, radius: float, thickness: float) -> Piece:
        """A ring that lies flat."""
        ring = solids.ring(radius, thickness, self.segments)
        return Piece(ring.transformed(np.eye(3), at), tone)

    def board(self, tone: str, outline: Points, depth: float, at: Spot3 = (0, 0, 0)) -> Piece:
        """An outline, x to the right and y up, cut out of a board."""
        return Piece(solids.slab(outline, depth).transformed(np.eye(3), at), tone)


def moved(pieces: Iterable[Piece], at: Spot3, size: float = 1.0) -> list[Piece]:
    """Scaled about the origin, then moved."""
    matrix = np.eye(3) * size
    return [Piece(piece.solid.transformed(matrix, at), piece.tone) for piece in pieces]


def yawed(pieces: Iterable[Piece], angle: float) -> list[Piece]:
    """Turned about the upright axis."""
    return _turned(pieces, 0, 2, -angle)


def pitched(pieces: Iterable[Piece], angle: float) -> list[Piece]:
    """Tipped forward, about the axis that runs from left to right."""
    return _turned(pieces, 1, 2, angle)


def rolled(pieces: Iterable[Piece], angle: float) -> list[Piece]:
    """Tipped to the left, about the axis that it looks along."""
    return _turned(pieces, 0, 1, angle)


def mirrored(pieces: Iterable[Piece]) -> list[Piece]:
    """Left and right exchanged."""
    matrix = np.diag([-1.0, 1.0, 1.0])
    return [Piece(piece.solid.transformed(matrix, (0, 0, 0)), piece.tone) for piece in pieces]


def both_sides(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces and their mirror images."""
    once = list(pieces)
    return [*once, *mirrored(once)]


def extent(pieces: Iterable[Piece]) -> tuple[float, float]:
    """Lowest and highest y."""
    heights = np.concatenate([piece.solid.vertices[:, 1] for piece in pieces])
    return float(heights.min()), float(heights.max())


def arc(start: Spot3, end: Spot3, bend: Spot3, *, steps: int = 8) -> list[Spot3]:
    """A line from start to end that leans towards `bend` in its middle."""
    t = np.linspace(0, 1, steps)[:, None]
    a, b, c = np.array(start), np.array(bend), np.array(end)
    line = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    return [(float(x), float(y), float(z)) for x, y, z in line]


def _turned(pieces: Iterable[Piece], first: int, second: int, angle: float) -> list[Piece]:
    cos, sin = math.cos(angle), math.sin(angle)
    matrix: NDArray[np.float64] = np.eye(3)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return [Piece(piece.solid.transformed(matrix, (0, 0, 0)), piece.tone) for piece in pieces]
