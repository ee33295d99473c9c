"""Everything the renderer can draw, by name, with where in a landscape it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.embedded.motifs import (
    creatures,
    critters,
    figures,
    household,
    places,
    plants,
    sky,
    things,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from generation_service.backends.embedded.outline import Shape

SKY, GROUND, WATER, VEIL = "sky", "ground", "water", "veil"
"""Where a motif belongs: above the horizon, on the ground, in water, over everything."""


@dataclass(frozen=True)
class Motif:
    """A drawing recipe.

    Attributes:
        draw: gives the shapes in a square from -1 to 1; the same random stream, the same shapes.
        habitat: SKY, GROUND, WATER or VEIL.
        size: half its edge as a part of the picture's short side.
    """

    draw: Callable[[Random], list[Shape]]
    habitat: str
    size: float


MOTIFS: dict[str, Motif] = {
    "sun": Motif(sky.sun, SKY, 0.17),
    "moon": Motif(sky.moon, SKY, 0.18),
    "stars": Motif(sky.stars, SKY, 0.12),
    "cloud": Motif(sky.cloud, SKY, 0.16),
    "rain": Motif(sky.rain, VEIL, 0.5),
    "snow": Motif(sky.snow, VEIL, 0.5),
    "lightning": Motif(sky.lightning, SKY, 0.2),
    "rainbow": Motif(sky.rainbow, SKY, 0.42),
    "bird": Motif(sky.bird, SKY, 0.14),
    "butterfly": Motif(sky.butterfly, SKY, 0.11),
    "balloon": Motif(sky.balloon, SKY, 0.18),
    "rocket": Motif(sky.rocket, SKY, 0.2),
    "plane": Motif(sky.plane, SKY, 0.15),
    "planet": Motif(sky.planet, SKY, 0.18),
    "blossom": Motif(plants.blossom, GROUND, 0.17),
    "flower": Motif(plants.flower, GROUND, 0.25),
    "tulip": Motif(plants.tulip, GROUND, 0.22),
    "tree": Motif(plants.tree, GROUND, 0.28),
    "fir": Motif(plants.fir, GROUND, 0.24),
    "leaves": Motif(plants.leaves, GROUND, 0.22),
    "grass": Motif(plants.grass, GROUND, 0.13),
    "mushroom": Motif(plants.mushroom, GROUND, 0.16),
    "fruit": Motif(plants.fruit, GROUND, 0.15),
    "cactus": Motif(plants.cactus, GROUND, 0.22),
    "cat": Motif(creatures.cat, GROUND, 0.21),
    "dog": Motif(creatures.dog, GROUND, 0.2),
    "horse": Motif(creatures.horse, GROUND, 0.25),
    "rabbit": Motif(creatures.rabbit, GROUND, 0.18),
    "fish": Motif(creatures.fish, WATER, 0.16),
    "whale": Motif(creatures.whale, WATER, 0.25),
    "owl": Motif(creatures.owl, GROUND, 0.18),
    "elephant": Motif(creatures.elephant, GROUND, 0.26),
    "snake": Motif(creatures.snake, GROUND, 0.2),
    "dragon": Motif(creatures.dragon, GROUND, 0.27),
    "bee": Motif(creatures.bee, SKY, 0.1),
    "person": Motif(figures.person, GROUND, 0.23),
    "face": Motif(figures.face, GROUND, 0.27),
    "robot": Motif(figures.robot, GROUND, 0.24),
    "house": Motif(places.house, GROUND, 0.23),
    "tower": Motif(places.tower, GROUND, 0.3),
    "castle": Motif(places.castle, GROUND, 0.28),
    "bridge": Motif(places.bridge, WATER, 0.28),
    "boat": Motif(places.boat, WATER, 0.22),
    "train": Motif(places.train, GROUND, 0.25),
    "car": Motif(places.car, GROUND, 0.2),
    "bicycle": Motif(places.bicycle, GROUND, 0.21),
    "lighthouse": Motif(places.lighthouse, GROUND, 0.27),
    "windmill": Motif(places.windmill, GROUND, 0.26),
    "tent": Motif(places.tent, GROUND, 0.25),
    "heart": Motif(things.heart, SKY, 0.18),
    "eye": Motif(things.eye, SKY, 0.2),
    "hand": Motif(things.hand, GROUND, 0.22),
    "clock": Motif(things.clock, SKY, 0.18),
    "book": Motif(household.book, GROUND, 0.19),
    "umbrella": Motif(things.umbrella, GROUND, 0.22),
    "note": Motif(things.note, SKY, 0.14),
    "guitar": Motif(things.guitar, GROUND, 0.27),
    "gear": Motif(things.gear, GROUND, 0.22),
    "cup": Motif(household.cup, GROUND, 0.19),
    "key": Motif(household.key, GROUND, 0.18),
    "lamp": Motif(household.lamp, GROUND, 0.2),
    "fire": Motif(things.fire, GROUND, 0.21),
    "crown": Motif(things.crown, SKY, 0.16),
    "ball": Motif(things.ball, GROUND, 0.14),
    "bear": Motif(critters.bear, GROUND, 0.21),
    "frog": Motif(critters.frog, GROUND, 0.17),
    "snail": Motif(critters.snail, GROUND, 0.16),
    "spider": Motif(critters.spider, SKY, 0.13),
    "ghost": Motif(critters.ghost, GROUND, 0.2),
    "cake": Motif(household.cake, GROUND, 0.2),
    "icecream": Motif(household.icecream, GROUND, 0.19),
    "window": Motif(household.window, GROUND, 0.24),
    "hat": Motif(household.hat, GROUND, 0.18),
}
