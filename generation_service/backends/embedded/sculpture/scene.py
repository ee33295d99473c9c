"""The embedded 3D renderer: a small scene or sculpture modelled from the words of a prompt.

The main thing stands in the middle of a round plinth, the others around it, what flies hangs
above; words that nobody could model become abstract forms. The same prompt, seed and settings
give the same bytes.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

from generation_service.backends.embedded.motifs import MOTIFS, SKY, VEIL
from generation_service.backends.embedded.palette import (
    COLOURS,
    choose_palette,
    mix,
    recast,
    with_main,
)
from generation_service.backends.embedded.reading import read_prompt, stream_seed
from generation_service.backends.embedded.sculpture.abstract import form_of, monument
from generation_service.backends.embedded.sculpture.catalogue import figure
from generation_service.backends.embedded.sculpture.glb import Painted, to_glb
from generation_service.backends.embedded.sculpture.ground import lay_ground
from generation_service.backends.embedded.sculpture.kit import Kit, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from generation_service.backends.embedded.palette import RGB, Palette
    from generation_service.backends.embedded.reading import Reading, Thing
    from generation_service.backends.embedded.sculpture.kit import Piece
    from generation_service.backends.embedded.sculpture.solids import Spot3

MAX_FIGURES = 12
_PLINTH_RADIUS = 1.9


def render_order(order: Mapping[str, Any]) -> bytes:
    """Model the scene of an order; see `render_scene`."""
    return render_scene(order["prompt"], detail=order["detail"], seed=order["seed"])


def render_scene(prompt: str, *, detail: int, seed: int) -> bytes:
    """Model a scene.

    Args:
        prompt: English words; others only shape the scene by their hash.
        detail: How fine round things are, 1 (for old telephones) to 3.
        seed: 64 bits; another seed arranges the same words anew.

    Returns:
        A GLB file (glTF 2.0, binary): metres, y up, four metres across.
    """
    reading = read_prompt(prompt)
    rng = Random(stream_seed(prompt, seed, "model"))
    palette = choose_palette(reading, rng)
    kit = Kit(rng, detail)
    lands = reading.lands or (("meadow",) if reading.things else ())
    painted = _painted(lay_ground(kit, lands, _PLINTH_RADIUS), palette)
    if reading.things:
        painted += _things(kit, reading, palette)
        painted += _painted(_pebbles(kit, reading.marks), palette)
    else:
        marks = reading.marks or (rng.getrandbits(64), rng.getrandbits(64))
        painted += _painted(monument(kit, marks), palette)
    return to_glb(painted)


def _things(kit: Kit, reading: Reading, palette: Palette) -> list[Painted]:
    """The hero in the middle, the others before it, those of the sky above."""
    specimens = [
        (thing, rank)
        for rank, thing in enumerate(reading.things)
        for _ in range(thing.count)
        if MOTIFS[thing.motif].habitat != VEIL
    ][:MAX_FIGURES]
    painted: list[Painted] = []
    below = above = 0
    for i, (thing, rank) in enumerate(specimens):
        is_sky = MOTIFS[thing.motif].habitat == SKY
        if i == 0:
            at, size = (0.0, 0.3 if is_sky else 0.0, 0.0), 1.0
        elif is_sky:
            at, size = _in_the_air(kit, above), 0.45
            above += 1
        else:
            at, size = _in_front(below), 0.62
            below += 1
        size *= 0.95 * min(1.35, max(0.6, thing.size))
        pieces = moved(figure(kit, thing.motif), at, size)
        painted += _painted(pieces, _tones(palette, thing, rank + i))
        if is_sky:
            rod = kit.post("haze", (at[0], 0.0, at[2]), at[1] + size * 0.5, 0.015, 0.015)
            painted += _painted(rod, palette)
    for thing in reading.things:
        if MOTIFS[thing.motif].habitat == VEIL:
            painted += _painted(_drops(kit, thing.motif), palette)
    return painted


def _in_front(place: int) -> Spot3:
    """The land has its hills and woods at the back, so they stand in front, left and right."""
    angle = math.pi * (0.5 + 0.24 * (place // 2 + 1) * (1 if place % 2 else -1))
    return (1.3 * math.cos(angle), 0.0, 1.3 * math.sin(angle))


def _in_the_air(kit: Kit, place: int) -> Spot3:
    """Left, right, then at the back: no rod hides the hero."""
    angle = math.pi * ((0.06, 0.94, 1.3, 1.7, 1.15, 1.85, 1.5)[place % 7])
    far = kit.rng.uniform(1.0, 1.4)
    return (far * math.cos(angle), kit.rng.uniform(1.5, 2.1), far * math.sin(angle))


def _drops(kit: Kit, motif: str) -> list[Piece]:
    """Rain or snow, halted in the air."""
    parts = []
    for _ in range(60):
        a, far = kit.rng.uniform(0, math.tau), 1.8 * math.sqrt(kit.rng.random())
        spot = (far * math.cos(a), kit.rng.uniform(0.2, 2.8), far * math.sin(a))
        if motif == "snow":
            parts.append(kit.ball("light", spot, kit.rng.uniform(0.025, 0.05)))
        else:
            parts.append(kit.ball("water", spot, (0.018, 0.09, 0.018)))
    return parts


def _pebbles(kit: Kit, marks: tuple[int, ...]) -> list[Piece]:
    """Words without a figure lie at the plinth's edge as small forms."""
    parts: list[Piece] = []
    for i, key in enumerate(marks):
        angle = math.pi / 2 + math.tau * (i + 0.5) / len(marks)
        at = (1.65 * math.cos(angle), 0.0, 1.65 * math.sin(angle))
        parts += moved(form_of(kit, key), at, 0.13)
    return parts


def _tones(palette: Palette, thing: Thing, rank: int) -> Palette:
    if thing.colour is not None:
        return with_main(recast(palette, rank), COLOURS[thing.colour])
    return recast(palette, rank)


def _painted(pieces: Iterable[Piece], palette: Palette) -> list[Painted]:
    return [Painted(piece.solid, _colour(palette, piece.tone)) for piece in pieces]


def _colour(palette: Palette, tone: str) -> RGB:
    """The tone's colour; the darkest a little lighter, since shade comes on top of it."""
    colour = palette.tone(tone)
    return mix(colour, palette.light, 0.12) if tone == "dark" else colour
