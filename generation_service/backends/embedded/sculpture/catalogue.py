"""Every motif as a figure: modelled where there is a model, else cut out of boards.

A cut-out is the drawing of the picture renderer in plywood: each of its shapes a board, one
before the other. So whatever can be drawn can be put into a scene.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from generation_service.backends.embedded.motifs import MOTIFS
from generation_service.backends.embedded.sculpture import animals, figures, places, plants
from generation_service.backends.embedded.sculpture.kit import mirrored, moved, yawed

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.outline import Points
    from generation_service.backends.embedded.sculpture.kit import Kit, Piece

_BOARD_DEPTH = 0.16
_MAX_CORNERS = 48

FIGURES: dict[str, Callable[[Kit], list[Piece]]] = {
    "tree": plants.tree,
    "fir": plants.fir,
    "flower": plants.flower,
    "blossom": plants.flower,
    "tulip": plants.tulip,
    "mushroom": plants.mushroom,
    "cactus": plants.cactus,
    "fruit": plants.fruit,
    "grass": plants.grass,
    "leaves": figures.leaf_heap,
    **animals.beasts(),
    "bird": animals.bird,
    "owl": animals.owl,
    "fish": animals.fish,
    "whale": animals.whale,
    "snake": animals.snake,
    "butterfly": animals.butterfly,
    "bee": animals.bee,
    "snail": animals.snail,
    "frog": animals.frog,
    "house": places.house,
    "tower": places.tower,
    "castle": places.castle,
    "lighthouse": places.lighthouse,
    "windmill": places.windmill,
    "tent": places.tent,
    "bridge": places.bridge,
    "boat": places.boat,
    "train": places.train,
    "car": places.car,
    "rocket": places.rocket,
    "person": figures.person,
    "robot": figures.robot,
    "ghost": figures.ghost,
    "sun": figures.sun,
    "moon": figures.moon,
    "stars": figures.stars,
    "cloud": figures.cloud,
    "lightning": figures.lightning,
    "rainbow": figures.rainbow,
    "planet": figures.planet,
    "balloon": figures.balloon,
    "heart": figures.heart,
    "crown": figures.crown,
    "ball": figures.ball,
    "fire": figures.fire,
    "gear": figures.gear,
}


def figure(kit: Kit, motif: str) -> list[Piece]:
    """One specimen of a motif; half of them look a little to the other side."""
    parts = FIGURES[motif](kit) if motif in FIGURES else _cut_out(kit, motif)
    turn = kit.rng.uniform(0.15, 0.5)
    return yawed(mirrored(parts), -turn) if kit.rng.random() < 0.5 else yawed(parts, turn)


def _cut_out(kit: Kit, motif: str) -> list[Piece]:
    """The drawing in boards; what is drawn later stands further out, on both sides."""
    shapes = [shape for shape in MOTIFS[motif].draw(kit.rng) if shape.opacity > 0.5]
    parts = []
    for rank, shape in enumerate(shapes):
        depth = _BOARD_DEPTH + 0.5 * rank / (len(shapes) + 6)
        parts.append(kit.board(shape.tone, _upright(shape.points), depth, (0, 1, 0)))
    return moved(parts, (0, 0, 0))


def _upright(points: Points) -> Points:
    """An outline with y up and no more corners than one sees."""
    step = max(1, -(-len(points) // _MAX_CORNERS))
    kept = points[::step] * [1.0, -1.0]
    distinct = np.linalg.norm(kept - np.roll(kept, 1, axis=0), axis=1) > 1e-6
    return np.asarray(kept[distinct] if distinct.sum() >= 3 else kept)
