"""Puts the pieces of a film together, one picture at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from generation_service.backends.embedded.film.motion import KINDS, TILE, pose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generation_service.backends.embedded.film.motion import Pose
    from generation_service.backends.embedded.film.stage import Actor

_PAN = 0.034
"""How far the nearest layer goes to each side while the camera moves, in picture units."""

_Matrix = tuple[float, float, float, float, float, float]


class Camera:
    """Looks at the middle of the sheet, and sways a little from side to side."""

    def __init__(
        self,
        ground: NDArray[np.uint8],
        actors: list[Actor],
        size: tuple[int, int],
        seconds: float,
    ) -> None:
        """Build the camera.

        Args:
            ground: The backdrop, shape (height, width, 3), larger than the film.
            actors: Far to near.
            size: Of the film, width and height in pixels.
            seconds: Of the film.
        """
        self._ground = ground
        self._actors = actors
        self._size = size
        self._seconds = seconds
        self._left = (ground.shape[1] - size[0]) // 2
        self._top = (ground.shape[0] - size[1]) // 2
        self._unit = min(ground.shape[:2])

    def shot(self, moment: float) -> Image.Image:
        """The picture at a moment, 0 to 1."""
        width, height = self._size
        ground = self._ground[self._top : self._top + height, self._left : self._left + width]
        frame = ground.astype(np.uint16)
        pan = _PAN * self._unit * math.sin(math.tau * moment)
        for actor in self._actors:
            if actor.kind in ("rain", "snow"):
                self._precipitate(frame, actor, moment)
                continue
            phase = actor.phase if actor.kind not in ("land", "wood") else 0.0
            now = pose(KINDS[actor.kind], moment=moment, phase=phase, seconds=self._seconds)
            self._show(frame, actor, now, pan * actor.depth**1.5)
        return Image.fromarray(frame.astype(np.uint8), mode="RGB")

    def _show(self, frame: NDArray[np.uint16], actor: Actor, now: Pose, pan: float) -> None:
        """Move a piece and lay it on the frame."""
        cutout = actor.cutout
        px, py = actor.pivot[0] - self._left, actor.pivot[1] - self._top
        offset = (px + now.dx * self._unit + pan, py + now.dy * self._unit)
        forward = _forward(now)
        corners = _corners(cutout.left - self._left - px, cutout.top - self._top - py, cutout.image)
        moved = corners @ np.array(forward).T + offset
        left, top = (max(0, math.floor(v)) for v in moved.min(axis=0))
        right, bottom = (
            min(limit, math.ceil(v) + 1)
            for limit, v in zip(self._size, moved.max(axis=0), strict=True)
        )
        if left >= right or top >= bottom:
            return
        origin = (cutout.left - self._left, cutout.top - self._top)
        matrix = _backward(forward, offset, (px, py), origin, (left, top))
        piece = cutout.image.transform(
            (right - left, bottom - top),
            Image.Transform.AFFINE,
            matrix,
            resample=Image.Resampling.BILINEAR,
        )
        _lay(frame[top:bottom, left:right], piece, now.opacity)

    def _precipitate(self, frame: NDArray[np.uint16], actor: Actor, moment: float) -> None:
        """Rain or snow: one square of it again and again, far and near."""
        for scale, share in ((0.55, 0.6), (1.0, 1.0)):
            image = actor.cutout.image
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BILINEAR)
            tile = round(TILE * self._unit * scale)
            dx, dy = self._fall(actor.kind, moment, share)
            for row in range(-2, self._size[1] // tile + 2):
                for column in range(-2, self._size[0] // tile + 2):
                    x = round(tile * (column + dx % 1.0))
                    y = round(tile * (row + dy % 1.0))
                    _paste(frame, image, x, y, share)

    def _fall(self, kind: str, moment: float, share: float) -> tuple[float, float]:
        """How many squares it has gone, sideways and down; whole numbers at the end."""
        if kind == "rain":
            fives = max(1, round(self._seconds * 0.6 * share))
            return -fives * moment, 5 * fives * moment
        falls = max(1, round(self._seconds * 0.45 * share))
        return 0.12 * math.sin(math.tau * moment), falls * moment


def _forward(now: Pose) -> tuple[tuple[float, float], tuple[float, float]]:
    """Stretch, then shear, then turn, about the origin; y points down."""
    cos, sin = math.cos(now.turn), math.sin(now.turn)
    wide, tall = 1 / math.sqrt(now.stretch), now.stretch
    # x' = wide * x - shear * y: what lies above the pivot (y < 0) bends to the right.
    a, b, d = wide, -now.shear, tall
    return ((cos * a, cos * b - sin * d), (sin * a, sin * b + cos * d))


def _corners(left: float, top: float, image: Image.Image) -> NDArray[np.float64]:
    right, bottom = left + image.width, top + image.height
    return np.array([(left, top), (right, top), (left, bottom), (right, bottom)])


def _backward(
    forward: tuple[tuple[float, float], tuple[float, float]],
    offset: tuple[float, float],
    pivot: tuple[float, float],
    origin: tuple[float, float],
    corner: tuple[float, float],
) -> _Matrix:
    """From a pixel of the frame's part at `corner` to a pixel of the piece at `origin`."""
    (a, b), (c, d) = forward
    det = a * d - b * c
    ia, ib, ic, id_ = d / det, -b / det, -c / det, a / det
    x, y = corner[0] - offset[0], corner[1] - offset[1]
    return (
        ia,
        ib,
        ia * x + ib * y + pivot[0] - origin[0],
        ic,
        id_,
        ic * x + id_ * y + pivot[1] - origin[1],
    )


def _paste(frame: NDArray[np.uint16], image: Image.Image, x: int, y: int, opacity: float) -> None:
    left, top = max(0, x), max(0, y)
    right = min(frame.shape[1], x + image.width)
    bottom = min(frame.shape[0], y + image.height)
    if left < right and top < bottom:
        part = image.crop((left - x, top - y, right - x, bottom - y))
        _lay(frame[top:bottom, left:right], part, opacity)


def _lay(area: NDArray[np.uint16], piece: Image.Image, opacity: float) -> None:
    """Lay a piece of mode RGBa over a part of the frame."""
    height, width, _ = area.shape
    data = np.frombuffer(piece.tobytes(), np.uint8).reshape(height, width, 4).astype(np.uint16)
    if opacity < 1:
        data = (data * np.uint16(round(opacity * 256))) // np.uint16(256)
    behind = area * (np.uint16(255) - data[..., 3:])
    area[:] = data[..., :3] + (behind + np.uint16(127)) // np.uint16(255)
