"""A stage that gives each group of pieces a layer of its own, and notes how it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.embedded.canvas import PAINTED, Canvas
from generation_service.backends.embedded.film.layers import Cutout, Layer
from generation_service.backends.embedded.film.motion import KINDS, TILE, kind_of
from generation_service.backends.embedded.motifs import MOTIFS, VEIL
from generation_service.backends.embedded.stage import Spot, Stage

if TYPE_CHECKING:
    from random import Random

    from generation_service.backends.embedded.palette import Palette
    from generation_service.backends.embedded.reading import Reading, Thing
    from generation_service.backends.embedded.texture import Textures

_TILE_MIDDLE = 0.5


@dataclass(frozen=True)
class Actor:
    """A piece that moves.

    Attributes:
        kind: How; one of `motion.KINDS`.
        cutout: The piece.
        pivot: What it turns about, in pixels of the sheet.
        depth: 0 far to 1 near; near pieces pass by faster.
        phase: Where in its motion it starts, 0 to 1.
    """

    kind: str
    cutout: Cutout
    pivot: tuple[float, float]
    depth: float
    phase: float


@dataclass(frozen=True)
class _Cue:
    kind: str
    y: float
    pivot: tuple[float, float] | None


class FilmStage(Stage):
    """Draws like a `Stage`; afterwards `actors` has everything that was drawn, far to near."""

    def __init__(
        self, backdrop: Canvas, textures: Textures, palette: Palette, reading: Reading, rng: Random
    ) -> None:
        """Everything that a layout needs; the wash goes to the backdrop."""
        super().__init__(backdrop, palette, reading, rng)
        self._textures = textures
        self._cue: _Cue | None = None
        self._veils: set[str] = set()
        self._actors: list[Actor] = []

    def actors(self) -> list[Actor]:
        """What was drawn since the wash, in order."""
        self._finish()
        self._cue = None
        return self._actors

    def cue(self, kind: str, *, y: float = 0.0, pivot: tuple[float, float] | None = None) -> None:
        """See `Stage.cue`."""
        self._finish()
        self._cue = _Cue(kind, y, pivot)
        self._canvas = Layer(self._canvas.width, self._canvas.height, self._textures, PAINTED)

    def thing(self, thing: Thing, spot: Spot, *, lift: float = 1.0, rank: int = 0) -> None:
        """See `Stage.thing`; each is an actor, and a veil is drawn once, to be repeated."""
        if MOTIFS[thing.motif].habitat == VEIL:
            if thing.motif in self._veils:
                return
            self._veils.add(thing.motif)
            spot = Spot(_TILE_MIDDLE, _TILE_MIDDLE, TILE / 2)
        kind = kind_of(thing.motif)
        hangs = kind in ("sun", "glow", "wheel", "flier", "flutter", "float", "swim", "cloud")
        foot = (spot.x, spot.y if hangs else spot.y + spot.size)
        self.cue(kind, y=spot.y + spot.size, pivot=foot)
        super().thing(thing, spot, lift=lift, rank=rank)
        self.cue("still", y=spot.y + spot.size)

    def _finish(self) -> None:
        if self._cue is None or not isinstance(self._canvas, Layer):
            return
        cutout = self._canvas.cut_out()
        if cutout is None:
            return
        scale = self._canvas.short_side
        middle = cutout.left + cutout.image.width / 2
        pivot = self._cue.pivot
        self._actors.append(
            Actor(
                kind=self._cue.kind if self._cue.kind in KINDS else "still",
                cutout=cutout,
                pivot=(pivot[0] * scale, pivot[1] * scale)
                if pivot
                else (middle, cutout.top + cutout.image.height),
                depth=min(1.0, max(0.0, self._cue.y / self.height)),
                phase=(len(self._actors) * 0.382) % 1.0,
            )
        )
