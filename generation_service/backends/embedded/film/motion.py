"""How things move: every motion returns to its start when the film does, so that it can loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

TILE = 0.62
"""Edge of the square of rain or snow that is repeated over the sheet, in picture units."""


@dataclass(frozen=True)
class Motion:
    """What a piece does in one round; amounts in picture units and radians.

    Attributes:
        dx: How far it goes to each side.
        dy: How far up and down.
        turn: How far it tips to each side.
        shear: How far its top bends to each side, as a part of its height.
        stretch: By how much it grows taller and shorter, as a part.
        fade: By how much it pales, 0 to 1.
        beats: How often in a second, about.
        is_hop: Up and down is a hop: off the ground and on it.
        spins: Whole turns in a round.
    """

    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    shear: float = 0.0
    stretch: float = 0.0
    fade: float = 0.0
    beats: float = 0.25
    is_hop: bool = False
    spins: int = 0


@dataclass(frozen=True)
class Pose:
    """Where a piece is at one moment; see `Motion`."""

    dx: float
    dy: float
    turn: float
    shear: float
    stretch: float
    opacity: float


KINDS: dict[str, Motion] = {
    "still": Motion(),
    "land": Motion(),
    "wood": Motion(shear=0.012),
    "wave": Motion(dx=0.022, dy=0.006, beats=0.4),
    "haze": Motion(dx=0.045),
    "twinkle": Motion(fade=0.45, beats=0.5),
    "hang": Motion(turn=0.13, beats=0.5),
    "paper": Motion(dx=0.012, dy=0.012, turn=0.05),
    "float": Motion(dx=0.01, dy=0.022, turn=0.09, beats=0.4),
    "wheel": Motion(spins=1),
    "rays": Motion(turn=0.035),
    "ring": Motion(turn=0.3),
    "cloud": Motion(dx=0.07, dy=0.008),
    "sun": Motion(dx=0.02, dy=0.03, turn=0.22, stretch=0.03),
    "glow": Motion(fade=0.25, stretch=0.04, turn=0.08, beats=0.6),
    "flash": Motion(fade=0.85, beats=0.5),
    "flier": Motion(dx=0.05, dy=0.045, turn=0.16, beats=0.5),
    "flutter": Motion(dx=0.06, dy=0.06, turn=0.3, stretch=0.16, beats=1.2),
    "plant": Motion(shear=0.085, turn=0.02, beats=0.4),
    "breath": Motion(stretch=0.045, shear=0.02, beats=0.7),
    "hop": Motion(dy=0.06, stretch=0.05, is_hop=True, beats=1.0),
    "dance": Motion(turn=0.1, dy=0.025, is_hop=True, beats=1.0),
    "swim": Motion(dx=0.045, dy=0.025, turn=0.12, beats=0.5),
    "float_on": Motion(dy=0.014, turn=0.07, dx=0.02, beats=0.5),
    "drive": Motion(dx=0.06, dy=0.004, beats=0.25),
    "flame": Motion(stretch=0.1, shear=0.07, beats=1.6),
    "rain": Motion(),
    "snow": Motion(dx=0.02),
}

_BY_MOTIF = {
    "cloud": "cloud",
    "sun": "sun",
    "moon": "glow",
    "stars": "glow",
    "planet": "float",
    "lightning": "flash",
    "rainbow": "still",
    "balloon": "float",
    "gear": "wheel",
    "fire": "flame",
    "lamp": "glow",
    "rain": "rain",
    "snow": "snow",
}
_FAMILIES = {
    "flier": ("bird", "plane", "rocket", "owl", "ghost"),
    "flutter": ("butterfly", "bee"),
    "plant": (
        *("blossom", "flower", "tulip", "tree", "fir", "leaves", "grass", "mushroom", "cactus"),
        *("umbrella", "tent", "spider"),
    ),
    "breath": ("cat", "dog", "horse", "elephant", "snake", "dragon", "face", "bear", "snail"),
    "hop": ("rabbit", "frog", "ball", "heart", "fruit"),
    "dance": ("person", "robot", "guitar", "note", "clock", "hat"),
    "swim": ("fish", "whale"),
    "float_on": ("boat",),
    "drive": ("car", "train", "bicycle"),
    "still": ("house", "tower", "castle", "bridge", "lighthouse", "window", "book", "cake"),
}


def kind_of(motif: str) -> str:
    """How a motif moves; what is not known floats a little."""
    if motif in _BY_MOTIF:
        return _BY_MOTIF[motif]
    return next((kind for kind, family in _FAMILIES.items() if motif in family), "float")


def pose(motion: Motion, *, moment: float, phase: float, seconds: float) -> Pose:
    """Where a piece is.

    Args:
        motion: What it does.
        moment: Share of the film that has passed, 0 to 1.
        phase: Where in its motion it starts, 0 to 1.
        seconds: The film's length; motions take place a whole number of times in it.
    """
    times = max(1, round(motion.beats * seconds))
    angle = math.tau * (times * moment + phase)
    swing, cross = math.sin(angle), math.cos(angle)
    lift = abs(math.sin(angle / 2 if times % 2 == 0 else angle)) if motion.is_hop else 0.0
    return Pose(
        dx=motion.dx * cross,
        dy=-motion.dy * lift if motion.is_hop else motion.dy * swing,
        turn=motion.turn * swing + math.tau * motion.spins * moment,
        shear=motion.shear * swing,
        stretch=1 + motion.stretch * (lift - 0.5 if motion.is_hop else cross),
        opacity=1 - motion.fade * (0.5 - 0.5 * cross),
    )
