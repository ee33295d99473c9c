"""The embedded picture renderer: a generative artwork composed from the words of a prompt.

It is no image model and does not pretend to be one: it knows some hundred words, cuts and
prints what they name, and lets every other word leave an abstract mark. Two variants share
motifs and layouts and differ in hand: `picture-a` paints and pastes paper, `picture-b`
prints flat inks. The same prompt, seed and size give the same bytes.
"""

from __future__ import annotations

import io
from random import Random
from typing import TYPE_CHECKING, Any

from generation_service.backends.embedded.canvas import PAINTED, PRINTED, Canvas
from generation_service.backends.embedded.layouts import collage, landscape, radial, tiles
from generation_service.backends.embedded.palette import choose_palette
from generation_service.backends.embedded.reading import Reading, read_prompt, stream_seed
from generation_service.backends.embedded.stage import Stage
from generation_service.backends.embedded.texture import Textures
from generation_service.backends.embedded.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PIL import Image

_LAYOUTS: dict[str, Callable[[Stage], None]] = {
    "landscape": landscape.compose,
    "collage": collage.compose,
    "geometric": tiles.compose,
    "radial": radial.compose,
}


def render_order(order: Mapping[str, Any]) -> bytes:
    """Compose the artwork of an order; see `render_picture`."""
    return render_picture(
        Variant(order["model"]),
        order["prompt"],
        width=order["width"],
        height=order["height"],
        seed=order["seed"],
    )


def render_picture(variant: Variant, prompt: str, *, width: int, height: int, seed: int) -> bytes:
    """Compose the artwork.

    Args:
        variant: the hand.
        prompt: English words; others only shape the picture by their hash.
        width: pixels, MIN_EDGE to MAX_EDGE.
        height: pixels, MIN_EDGE to MAX_EDGE.
        seed: 64 bits; another seed arranges the same words anew.

    Returns:
        A PNG without any metadata.
    """
    reading = read_prompt(prompt)
    rng = Random(stream_seed(prompt, seed, variant.value))
    palette = choose_palette(reading, rng)
    layout = choose_layout(reading, variant, rng)
    textures = Textures(rng.getrandbits(64), min(width, height))
    printed = variant is Variant.PRINTED
    finish = PRINTED if printed else PAINTED
    canvas = Canvas(width, height, palette.paper, textures, finish)
    _LAYOUTS[layout](Stage(canvas, palette, reading, rng))
    slip = max(1, round(min(width, height) / 640)) if printed else 0
    return _png(canvas.finished(palette.paper, grain=0.022 if printed else 0.03, slip=slip))


def choose_layout(reading: Reading, variant: Variant, rng: Random) -> str:
    """The composition that the words ask for, else one that suits the hand."""
    if reading.layouts:
        return reading.layouts[0]
    if reading.lands or len(reading.things) >= 2:
        return "landscape" if variant is Variant.PAINTED or rng.random() < 0.5 else "geometric"
    if reading.things:
        return rng.choice(("landscape", "landscape", "radial"))
    return rng.choice(("collage", "radial", "geometric"))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
