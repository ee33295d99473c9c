"""The sheet: fills outlines with paint or ink, in pixels, with soft edges and shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from generation_service.backends.embedded.outline import moved

if TYPE_CHECKING:
    from generation_service.backends.embedded.outline import Points
    from generation_service.backends.embedded.palette import RGB
    from generation_service.backends.embedded.texture import Textures, Tile

_OVERSAMPLING = 3
Picture = NDArray[np.float32]
"""Shape (height, width, 3), sRGB from 0 to 1."""


@dataclass(frozen=True)
class Finish:
    """How a surface takes colour.

    Attributes:
        streak: strength of brush marks.
        blotch: strength of slow changes in lightness.
        speckle: share of the surface where the ink did not take, as a strength 0 to 1.
        wobble: how far the scissors miss the line, as a part of the picture's short side.
        shadow: darkness under raised paper, 0 to 1.
    """

    streak: float
    blotch: float
    speckle: float
    wobble: float
    shadow: float


PAINTED = Finish(streak=0.055, blotch=0.04, speckle=0.0, wobble=0.0026, shadow=0.34)
PRINTED = Finish(streak=0.0, blotch=0.012, speckle=0.55, wobble=0.0, shadow=0.0)


@dataclass(frozen=True)
class Patch:
    """A part of the sheet, and how far each of its pixels is covered, 0 to 1."""

    rows: slice
    columns: slice
    cover: NDArray[np.float32]


class Canvas:
    """A picture in the making; coordinates are pixels, x before y."""

    def __init__(
        self, width: int, height: int, ground: RGB, textures: Textures, finish: Finish
    ) -> None:
        """Lay out a sheet of `width` by `height` pixels in the colour `ground`."""
        self.width = width
        self.height = height
        self.finish = finish
        self.short_side = min(width, height)
        self._textures = textures
        self._pixels = np.empty((height, width, 3), dtype=np.float32)
        self._pixels[:] = np.asarray(ground, dtype=np.float32)
        self._cuts = 0

    def wash(self, top: RGB, bottom: RGB) -> None:
        """Cover the sheet from one colour to another, with broad uneven strokes."""
        rows, columns = slice(0, self.height), slice(0, self.width)
        share = np.linspace(0.0, 1.0, self.height, dtype=np.float32)[:, None]
        if self.finish.streak:
            drift = self._cut(self._textures.cloudy, rows, columns) * 0.07
            share = np.clip(
                share + drift + self._cut(self._textures.streaks[0], rows, columns) * 0.03, 0, 1
            )
        share = np.broadcast_to(share, (self.height, self.width))[..., None]
        first, last = np.asarray(top, np.float32), np.asarray(bottom, np.float32)
        self._pixels = first + (last - first) * share
        surface = self._surface(rows, columns, 0.6)
        if surface is not None:
            self._pixels *= surface

    def fill(self, points: Points, colour: RGB, opacity: float = 1.0) -> None:
        """Fill an outline."""
        patch = self._cover(points)
        if patch is None:
            return
        cover = patch.cover * opacity
        if self.finish.speckle:
            cover = cover * self._ink(patch)
        paint: Picture | NDArray[np.float32] = np.asarray(colour, dtype=np.float32)
        surface = self._surface(patch.rows, patch.columns, 1.0)
        if surface is not None:
            paint = paint * surface
        self._lay(patch, paint, cover)

    def dots(self, points: Points, colour: RGB, pitch: float, weight: float) -> None:
        """Fill an outline with a halftone screen of `pitch` pixels; `weight` 0 to 1."""
        patch = self._cover(points)
        if patch is None:
            return
        y = np.arange(patch.rows.start, patch.rows.stop, dtype=np.float32)[:, None]
        x = np.arange(patch.columns.start, patch.columns.stop, dtype=np.float32)[None, :]
        u, v = (x + y) * (0.7071 / pitch), (x - y) * (0.7071 / pitch)
        far = np.hypot(u - np.round(u), v - np.round(v)) * pitch
        screen = np.clip(weight * 0.62 * pitch - far + 0.5, 0.0, 1.0).astype(np.float32)
        self._lay(patch, np.asarray(colour, np.float32), patch.cover * screen)

    def shadow(self, outlines: list[Points], strength: float = 1.0, reach: float = 0.011) -> None:
        """Darken below and right of pieces of paper that lie on the sheet."""
        depth = self.finish.shadow * strength
        if depth <= 0 or not outlines:
            return
        shift = max(1.0, reach * self.short_side)
        pad = int(shift * 4) + 2
        bounds = self._bounds(np.vstack(outlines) + shift, pad)
        if bounds is None:
            return
        left, top, right, bottom = bounds
        mask = Image.new("L", (right - left, bottom - top), 0)
        draw = ImageDraw.Draw(mask)
        for points in outlines:
            shifted = moved(points, shift * 0.7 - left, shift - top)
            draw.polygon(shifted.ravel().tolist(), fill=255)
        blurred = mask.filter(ImageFilter.GaussianBlur(shift * 0.9))
        cover = np.asarray(blurred, dtype=np.float32) * np.float32(depth / 255.0)
        self._darken(Patch(slice(top, bottom), slice(left, right), cover))

    def finished(self, paper: RGB, *, grain: float, slip: int) -> Image.Image:
        """The picture with paper grain; `slip` is the registration error of the inks in pixels."""
        pixels = self._pixels
        if slip:
            pixels = pixels.copy()
            pixels[..., 0] = np.roll(self._pixels[..., 0], slip, axis=1)
            pixels[..., 2] = np.roll(self._pixels[..., 2], -slip, axis=0)
        rows, columns = slice(0, self.height), slice(0, self.width)
        tooth = self._cut(self._textures.grain, rows, columns) * grain
        tooth += self._cut(self._textures.cloudy, rows, columns) * (grain * 0.5)
        pixels = pixels * (1.0 + tooth[..., None])
        tint = 0.93 + 0.07 * np.asarray(paper, dtype=np.float32)
        data = np.clip(pixels * tint * 255.0 + 0.5, 0, 255).astype(np.uint8)
        return Image.fromarray(data, mode="RGB")

    def _lay(self, patch: Patch, paint: Picture, cover: NDArray[np.float32]) -> None:
        """Put paint on, as opaque as `cover` says."""
        area = self._pixels[patch.rows, patch.columns]
        area += (paint - area) * cover[..., None]

    def _darken(self, patch: Patch) -> None:
        """Let a warm shadow fall."""
        tint = np.array([1.0, 0.98, 0.9], dtype=np.float32)
        self._pixels[patch.rows, patch.columns] *= 1.0 - patch.cover[..., None] * tint

    def _bounds(self, points: Points, pad: int) -> tuple[int, int, int, int] | None:
        low, high = points.min(axis=0), points.max(axis=0)
        left, top = max(0, int(low[0]) - pad), max(0, int(low[1]) - pad)
        right = min(self.width, int(high[0]) + pad + 1)
        bottom = min(self.height, int(high[1]) + pad + 1)
        return (left, top, right, bottom) if left < right and top < bottom else None

    def _cover(self, points: Points) -> Patch | None:
        bounds = self._bounds(points, 1)
        if bounds is None:
            return None
        left, top, right, bottom = bounds
        n = _OVERSAMPLING
        mask = Image.new("L", ((right - left) * n, (bottom - top) * n), 0)
        corners = ((points - [left, top]) * n).ravel().tolist()
        ImageDraw.Draw(mask).polygon(corners, fill=255)
        cover = np.asarray(mask.reduce(n), dtype=np.float32) / 255.0
        return Patch(slice(top, bottom), slice(left, right), cover)

    def _surface(self, rows: slice, columns: slice, strength: float) -> NDArray[np.float32] | None:
        """Factor per pixel, shape (h, w, 1): brush marks and blotches of a fresh stroke."""
        if not self.finish.streak and not self.finish.blotch:
            return None
        self._cuts += 1
        factor = self._cut(self._textures.blotch, rows, columns) * (self.finish.blotch * strength)
        if self.finish.streak:
            tile = self._textures.streaks[self._cuts % len(self._textures.streaks)]
            factor = factor + self._cut(tile, rows, columns) * (self.finish.streak * strength)
        return np.asarray(1.0 + factor[..., None], dtype=np.float32)

    def _ink(self, patch: Patch) -> NDArray[np.float32]:
        """How well a printed area took its ink, per pixel."""
        grain = self._cut(self._textures.grain, patch.rows, patch.columns)
        cloudy = self._cut(self._textures.blotch, patch.rows, patch.columns)
        starved = np.clip(grain + cloudy * 0.5 - 1.75, 0.0, 1.0) * self.finish.speckle
        return np.asarray(1.0 - starved, dtype=np.float32)

    def _cut(self, tile: Tile, rows: slice, columns: slice) -> Tile:
        return self._textures.cut(tile, rows, columns, 131 * self._cuts)
