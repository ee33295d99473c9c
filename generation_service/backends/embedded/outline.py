"""Closed outlines as point arrays: the vocabulary every motif is drawn with.

A motif lives in its own square, x and y from -1 to 1, y pointing down, standing on
y = 1. Everything is a polygon, so that one rasteriser serves both variants of the
renderer and a shape can be cut, printed, wobbled or torn without knowing what it shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Points = NDArray[np.float64]
"""Shape (n, 2): the corners of a closed polygon, x before y."""

Pair = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """One piece of a motif.

    Attributes:
        points: the outline in the motif's square.
        tone: which colour of the palette it takes (see `palette.Palette.tone`).
        opacity: 0 to 1.
    """

    points: Points
    tone: str
    opacity: float = 1.0


def polygon(*corners: Pair) -> Points:
    """A polygon with straight edges."""
    return np.array(corners, dtype=np.float64)


def path(text: str) -> list[Pair]:
    """Corners from text: `"0 -1, 0.5 0.5"` is two of them."""
    pairs = (corner.split() for corner in text.split(","))
    return [(float(x), float(y)) for x, y in pairs]


def ellipse(cx: float, cy: float, rx: float, ry: float | None = None, *, steps: int = 64) -> Points:
    """An ellipse, or a circle when `ry` is left out."""
    turn = np.linspace(0.0, 2.0 * math.pi, steps, endpoint=False)
    vertical = rx if ry is None else ry
    return np.stack([cx + rx * np.cos(turn), cy + vertical * np.sin(turn)], axis=1)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """An upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def smooth(corners: Sequence[Pair] | Points, *, steps: int = 10) -> Points:
    """A closed Catmull-Rom curve through `corners`."""
    knots = np.asarray(corners, dtype=np.float64)
    before, after, beyond = (np.roll(knots, shift, axis=0) for shift in (1, -1, -2))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (a[:, None, :] for a in (before, knots, after, beyond))
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.asarray(curve.reshape(-1, 2))


def curve(knots: Sequence[Pair], *, steps: int = 12) -> Points:
    """An open Catmull-Rom curve, as points along a line (for `ribbon`)."""
    inner = np.asarray(knots, dtype=np.float64)
    padded = np.vstack([2 * inner[0] - inner[1], inner, 2 * inner[-1] - inner[-2]])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i][:, None, :] for i in range(4))
    line = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.vstack([line.reshape(-1, 2), inner[-1]])


def ribbon(line: Points, start: float, end: float | None = None) -> Points:
    """A band along `line`, `start` wide at its beginning and `end` wide at its end."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    width = np.linspace(start, start if end is None else end, len(line))[:, None] / 2
    return np.vstack([line + across * width, (line - across * width)[::-1]])


def stroke(knots: Sequence[Pair], start: float, end: float | None = None) -> Points:
    """A smooth band through `knots`."""
    return ribbon(curve(knots), start, end)


def petal(angle: float, length: float, width: float, *, inner: float = 0.0) -> Points:
    """A petal that points away from the origin; `angle` in radians, 0 = up."""
    blade = smooth(
        [
            (0.0, -inner),
            (width * 0.62, -inner - (length - inner) * 0.52),
            (width * 0.42, -inner - (length - inner) * 0.9),
            (0.0, -length),
            (-width * 0.42, -inner - (length - inner) * 0.9),
            (-width * 0.62, -inner - (length - inner) * 0.52),
        ]
    )
    return rotated(blade, angle)


def leaf(x: float, y: float, angle: float, length: float, width: float) -> Points:
    """A pointed leaf growing from (x, y); `angle` in radians, 0 = up."""
    t = np.linspace(0.0, 1.0, 16)
    half = width * np.sin(np.pi * t**0.8) / 2
    right = np.stack([half, -length * t], axis=1)
    left = np.stack([-half, -length * t], axis=1)[::-1]
    return moved(rotated(np.vstack([right, left]), angle), x, y)


def star(cx: float, cy: float, outer: float, inner: float, rays: int, turn: float = 0.0) -> Points:
    """A star with `rays` points, the first one up."""
    angle = turn + np.arange(rays * 2) * math.pi / rays
    radius = np.where(np.arange(rays * 2) % 2 == 0, outer, inner)
    return np.stack([cx + radius * np.sin(angle), cy - radius * np.cos(angle)], axis=1)


def sector(
    cx: float, cy: float, outer: float, start: float, end: float, inner: float = 0.0
) -> Points:
    """A pie slice, or a piece of a ring when `inner` > 0; angles in radians, 0 = right."""
    angle = np.linspace(start, end, max(8, int(abs(end - start) * 16)))
    rim = np.stack([cx + outer * np.cos(angle), cy + outer * np.sin(angle)], axis=1)
    if inner <= 0:
        return np.vstack([rim, [[cx, cy]]])
    hub = np.stack([cx + inner * np.cos(angle), cy + inner * np.sin(angle)], axis=1)
    return np.vstack([rim, hub[::-1]])


def crescent(cx: float, cy: float, radius: float, bite: float) -> Points:
    """A waxing moon; `bite` is how far the inner circle is shifted, as a part of the radius."""
    outer = np.linspace(-math.pi / 2, math.pi / 2, 40)
    inner = outer[::-1]
    rim = np.stack([cx + radius * np.cos(outer), cy + radius * np.sin(outer)], axis=1)
    edge = np.stack([cx + radius * (1 - bite) * np.cos(inner), cy + radius * np.sin(inner)], axis=1)
    return np.vstack([rim, edge])


def rotated(points: Points, angle: float) -> Points:
    """Turned around the origin, clockwise on screen; radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def moved(points: Points, dx: float, dy: float) -> Points:
    """Shifted."""
    return np.asarray(points + np.array([dx, dy]))


def scaled(points: Points, sx: float, sy: float | None = None) -> Points:
    """Stretched from the origin; a negative factor mirrors."""
    return np.asarray(points * np.array([sx, sx if sy is None else sy]))


def placed(
    shapes: Iterable[Shape], dx: float, dy: float, size: float, *, turn: float = 0.0
) -> list[Shape]:
    """A whole group of shapes, scaled, turned and moved."""
    return [
        Shape(moved(rotated(scaled(s.points, size), turn), dx, dy), s.tone, s.opacity)
        for s in shapes
    ]
