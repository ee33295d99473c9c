"""Transparent sheets: what a picture lays on one canvas, a film lays on many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from generation_service.backends.embedded.canvas import Canvas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generation_service.backends.embedded.canvas import Finish, Patch, Picture
    from generation_service.backends.embedded.texture import Textures

_BLACK = (0.0, 0.0, 0.0)
_GRAIN = 0.03


@dataclass(frozen=True)
class Cutout:
    """A piece of paper, cut out.

    Attributes:
        image: Mode RGBa: colours multiplied with opacity, which is what one may stretch.
        left: Where it lies on the sheet, in pixels.
        top: See `left`.
    """

    image: Image.Image
    left: int
    top: int


class Layer(Canvas):
    """A canvas that remembers where nothing was laid."""

    def __init__(self, width: int, height: int, textures: Textures, finish: Finish) -> None:
        """An empty sheet of so many pixels."""
        super().__init__(width, height, _BLACK, textures, finish)
        self._opacity = np.zeros((height, width), dtype=np.float32)

    def cut_out(self) -> Cutout | None:
        """What lies on the sheet; None when nothing does."""
        rows = np.flatnonzero((self._opacity > 1 / 255).any(axis=1))
        columns = np.flatnonzero((self._opacity > 1 / 255).any(axis=0))
        if not len(rows) or not len(columns):
            return None
        # A clear rim of two pixels keeps the edges soft when the piece is turned.
        top, bottom = max(0, rows[0] - 2), min(self.height, rows[-1] + 3)
        left, right = max(0, columns[0] - 2), min(self.width, columns[-1] + 3)
        area = slice(int(top), int(bottom)), slice(int(left), int(right))
        tooth = 1 + self._cut(self._textures.grain, *area)[..., None] * np.float32(_GRAIN)
        opacity = self._opacity[area][..., None]
        colour = np.minimum(np.clip(self._pixels[area] * tooth, 0, 1), opacity)
        data = np.concatenate([colour, opacity], axis=2) * 255 + 0.5
        return Cutout(rgba(data.astype(np.uint8)), int(left), int(top))

    def _lay(self, patch: Patch, paint: Picture, cover: NDArray[np.float32]) -> None:
        super()._lay(patch, paint, cover)
        self._hide(patch, cover)

    def _darken(self, patch: Patch) -> None:
        super()._darken(patch)
        self._hide(patch, patch.cover)

    def _hide(self, patch: Patch, cover: NDArray[np.float32]) -> None:
        area = self._opacity[patch.rows, patch.columns]
        area += (1 - area) * cover


def rgba(data: NDArray[np.uint8]) -> Image.Image:
    """Pixels whose colours are multiplied with their opacity as a picture of mode RGBa."""
    height, width, _ = data.shape
    return Image.frombytes("RGBa", (width, height), data.tobytes())
