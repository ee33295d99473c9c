"""Solids as triangles: what every figure is built of.

Metres, y up, figures look towards +z, as glTF has it. Round things carry smooth normals, edged
ones a normal per face, so that no viewer has to guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generation_service.backends.embedded.outline import Points

Vertices = NDArray[np.float64]
"""Shape (n, 3)."""

Faces = NDArray[np.int64]
"""Shape (m, 3): corners of a triangle, counter-clockwise seen from outside."""

Spot3 = tuple[float, float, float]


@dataclass(frozen=True)
class Solid:
    """A piece of surface.

    Attributes:
        vertices: Its corners.
        faces: Its triangles.
        normals: One per corner, of length 1.
    """

    vertices: Vertices
    faces: Faces
    normals: Vertices

    def transformed(self, matrix: NDArray[np.float64], offset: Spot3) -> Solid:
        """Turned, stretched or mirrored by a 3 by 3 matrix, then moved."""
        normals = _unit(self.normals @ np.linalg.inv(matrix))
        faces = self.faces if np.linalg.det(matrix) > 0 else self.faces[:, ::-1]
        return Solid(self.vertices @ matrix.T + np.array(offset), faces, normals)


def smooth(vertices: Vertices, faces: Faces) -> Solid:
    """A rounded surface: each corner's normal is the mean of its faces'."""
    crosses = _crosses(vertices, faces)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], crosses)
    return Solid(vertices, faces, _unit(normals))


def edged(vertices: Vertices, faces: Faces) -> Solid:
    """A surface with sharp edges: faces share no corner."""
    normals = np.repeat(_unit(_crosses(vertices, faces)), 3, axis=0)
    return Solid(vertices[faces.ravel()], np.arange(faces.size).reshape(-1, 3), normals)


def lathe(profile: Sequence[tuple[float, float]], segments: int) -> Solid:
    """A profile of (radius, height), from bottom to top, turned about the upright axis."""
    angle = np.linspace(0, math.tau, segments, endpoint=False)
    ring = np.stack([np.cos(angle), np.zeros(segments), np.sin(angle)], axis=1)
    rows = [ring * [max(r, 1e-4), 1, max(r, 1e-4)] + [0, y, 0] for r, y in profile]
    return smooth(np.vstack(rows), _woven(len(profile), segments))


def ball(segments: int) -> Solid:
    """A sphere of radius 1 about the origin."""
    rings = max(4, segments // 2)
    turn = np.linspace(-math.pi / 2, math.pi / 2, rings + 1)
    return lathe([(math.cos(a), math.sin(a)) for a in turn], segments)


def disc(radius: float, y: float, segments: int, *, up: bool) -> Solid:
    """A flat round cap."""
    angle = np.linspace(0, math.tau, segments, endpoint=False)
    rim = np.stack([radius * np.cos(angle), np.full(segments, y), radius * np.sin(angle)], axis=1)
    after = (np.arange(segments) + 1) % segments
    order = (after, np.arange(segments)) if up else (np.arange(segments), after)
    faces = np.stack([np.full(segments, segments), *order], axis=1)
    return edged(np.vstack([rim, [[0, y, 0]]]), faces)


def block() -> Solid:
    """A cube of edge 1 whose foot's middle is the origin."""
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)]
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    return edged(np.array(corners), _halved(quads))


def wedge() -> Solid:
    """A roof: a triangle over x, its ridge along z; 1 wide, 1 high, 1 deep."""
    corners = [(x, y, z) for z in (-0.5, 0.5) for x, y in ((-0.5, 0.0), (0.5, 0.0), (0.0, 1.0))]
    faces = [(0, 2, 1), (3, 4, 5), *_halved(((0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5))).tolist()]
    return edged(np.array(corners), np.array(faces))


def rope(line: Sequence[Spot3], start: float, end: float, segments: int) -> Solid:
    """A round tube along a line, from one radius to another, with rounded ends."""
    knots = np.asarray(line, dtype=np.float64)
    along = _unit(np.gradient(knots, axis=0))
    side = _unit(np.cross(along, _aside(along)))
    up = np.cross(side, along)
    angle = np.linspace(0, math.tau, segments, endpoint=False)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None]
    radius = np.linspace(start, end, len(knots))[:, None, None]
    body = (knots[:, None] + ring * radius).reshape(-1, 3)
    first = np.repeat((knots[0] - along[0] * start * 0.6)[None], segments, axis=0)
    last = np.repeat((knots[-1] + along[-1] * end * 0.6)[None], segments, axis=0)
    return smooth(np.vstack([first, body, last]), _woven(len(knots) + 2, segments))


def ring(radius: float, thickness: float, segments: int) -> Solid:
    """A torus that lies flat about the origin."""
    turn = np.linspace(0, math.tau, max(6, segments // 2), endpoint=False)
    profile = [(radius + thickness * math.cos(a), thickness * math.sin(a)) for a in turn]
    return lathe([*profile, profile[0]], segments)


def slab(outline: Points, depth: float) -> Solid:
    """An outline, x to the right and y up, cut out of a board; its middle lies at z = 0."""
    flat = outline if _area(outline) > 0 else outline[::-1]
    cut = triangles(flat)
    count = len(flat)
    front = np.column_stack([flat, np.full(count, depth / 2)])
    back = np.column_stack([flat, np.full(count, -depth / 2)])
    here, after = np.arange(count), (np.arange(count) + 1) % count
    rim = np.vstack(
        [
            np.stack([here, here + count, after], axis=1),
            np.stack([after, here + count, after + count], axis=1),
        ]
    )
    faces = np.vstack([cut, cut[:, ::-1] + count, rim])
    return edged(np.vstack([front, back]), faces)


def triangles(outline: Points) -> Faces:
    """A simple polygon, counter-clockwise, cut into triangles by clipping its ears."""
    left = list(range(len(outline)))
    cut: list[tuple[int, int, int]] = []
    while len(left) > 3:
        ear = next((i for i in range(len(left)) if _is_ear(outline, left, i)), 0)
        cut.append((left[ear - 1], left[ear], left[(ear + 1) % len(left)]))
        del left[ear]
    return np.array([*cut, tuple(left)], dtype=np.int64)


def _is_ear(outline: Points, left: list[int], i: int) -> bool:
    a, b, c = (outline[left[k % len(left)]] for k in (i - 1, i, i + 1))
    if _cross2(b - a, c - b) <= 1e-12:
        return False
    others = outline[
        [k for k in left if k not in (left[i - 1], left[i], left[(i + 1) % len(left)])]
    ]
    inside = np.ones(len(others), dtype=bool)
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= _cross2(end - start, others - start) > -1e-12
    return not inside.any()


def _cross2(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def _area(outline: Points) -> float:
    return float(np.sum(_cross2(outline, np.roll(outline, -1, axis=0)))) / 2


def _woven(rows: int, segments: int) -> Faces:
    """Triangles between rings of corners that lie one above the other."""
    row = np.arange(rows - 1)[:, None] * segments
    here = np.arange(segments)[None, :]
    after = (here + 1) % segments
    a, b, c, d = row + here, row + after, row + segments + here, row + segments + after
    faces = np.stack([np.stack([a, c, b], axis=-1), np.stack([b, c, d], axis=-1)])
    return np.asarray(faces.reshape(-1, 3))


def _halved(quads: Sequence[tuple[int, int, int, int]]) -> Faces:
    return np.array([half for a, b, c, d in quads for half in ((a, b, c), (a, c, d))])


def _crosses(vertices: Vertices, faces: Faces) -> Vertices:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return np.asarray(np.cross(b - a, c - a))


def _aside(along: Vertices) -> Vertices:
    """A direction that no part of a line runs in."""
    axes = np.eye(3)[np.argmin(np.abs(along).max(axis=0))]
    return np.asarray(np.broadcast_to(axes, along.shape))


def _unit(vectors: Vertices) -> Vertices:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(lengths > 1e-12, vectors / np.maximum(lengths, 1e-12), [0.0, 1.0, 0.0])
