"""Seamless surfaces: brush streaks, blotches and paper grain.

Noise is shaped in the frequency domain, which makes every tile periodic: a shape may cut
its piece anywhere without a seam.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.float32]
"""Shape (edge, edge), mean 0, standard deviation 1."""

_STREAK_ANGLES = (0.0, 0.55, 1.35, 2.3)


class Textures:
    """The surfaces of one picture, all from one seed."""

    def __init__(self, seed: int, short_side: int) -> None:
        """Make the tiles.

        Args:
            seed: 64 bits.
            short_side: of the picture in pixels; textures scale with it.
        """
        self._noise = np.random.Generator(np.random.PCG64(seed))
        self._edge = 256 if short_side <= 320 else 512
        self._scale = max(short_side / 768.0, 0.25)
        self.streaks = [self._streak(angle) for angle in _STREAK_ANGLES]
        self.blotch = self._blotch(34.0)
        self.cloudy = self._blotch(110.0)
        self.grain = self._blotch(1.1)

    def cut(self, tile: Tile, rows: slice, columns: slice, offset: int) -> Tile:
        """A piece of `tile` for a region of the picture; `offset` shifts where it is cut."""
        r = (np.arange(rows.start, rows.stop) + offset) % self._edge
        c = (np.arange(columns.start, columns.stop) + offset * 7) % self._edge
        return np.asarray(tile[np.ix_(r, c)], dtype=np.float32)

    def _frequencies(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        fy = np.asarray(np.fft.fftfreq(self._edge)[:, None], dtype=np.float64)
        fx = np.asarray(np.fft.rfftfreq(self._edge)[None, :], dtype=np.float64)
        return fx, fy

    def _shaped(self, weight: NDArray[np.float64]) -> Tile:
        white = np.fft.rfft2(self._noise.standard_normal((self._edge, self._edge)))
        tile = np.fft.irfft2(white * weight, s=(self._edge, self._edge))
        tile -= tile.mean()
        return np.asarray(tile / max(float(tile.std()), 1e-9), dtype=np.float32)

    def _blotch(self, pixels: float) -> Tile:
        fx, fy = self._frequencies()
        reach = pixels * self._scale
        return self._shaped(np.exp(-((fx**2 + fy**2) * (reach * math.pi) ** 2) / 2))

    def _streak(self, angle: float) -> Tile:
        """Bristle marks: long along `angle`, fine across it."""
        fx, fy = self._frequencies()
        along = fx * math.cos(angle) + fy * math.sin(angle)
        across = -fx * math.sin(angle) + fy * math.cos(angle)
        long, fine = 60.0 * self._scale, 1.6 * self._scale
        return self._shaped(
            np.exp(-((along * long * math.pi) ** 2 + (across * fine * math.pi) ** 2) / 2)
        )
