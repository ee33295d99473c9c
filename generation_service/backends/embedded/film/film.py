"""The embedded film renderer: the collage of the picture renderer, animated for some seconds.

Its pieces are drawn once, each on a layer, and then moved: hills pass by at different speeds,
clouds drift, trees sway, rain falls. The last picture leads back to the first. An animated WebP,
since Pillow writes it; encoders for MP4 come as wheels of 36 to 68 MB with GPL libraries inside.
The same prompt, seed and settings give the same bytes.
"""

from __future__ import annotations

import io
import itertools
import math
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from generation_service.backends.embedded.canvas import PAINTED, Canvas
from generation_service.backends.embedded.film.camera import Camera
from generation_service.backends.embedded.film.stage import FilmStage
from generation_service.backends.embedded.layouts import collage, landscape, radial
from generation_service.backends.embedded.offers import film_frame_count
from generation_service.backends.embedded.palette import choose_palette
from generation_service.backends.embedded.picture import choose_layout
from generation_service.backends.embedded.reading import read_prompt, stream_seed
from generation_service.backends.embedded.texture import Textures
from generation_service.backends.embedded.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

_LAYOUTS = {
    "landscape": landscape.compose,
    "collage": collage.compose,
    # A grid of tiles has nothing that could move without leaving gaps.
    "geometric": radial.compose,
    "radial": radial.compose,
}
_MARGINS = (0.06, 0.02)
"""Sheet beside and above the film, which moves into view, as parts of its short side."""


def render_order(order: Mapping[str, Any]) -> bytes:
    """Make the film of an order; see `render_film`."""
    return render_film(
        order["prompt"],
        width=order["width"],
        height=order["height"],
        duration_seconds=order["duration_seconds"],
        fps=order["fps"],
        seed=order["seed"],
    )


def render_film(
    prompt: str, *, width: int, height: int, duration_seconds: float, fps: int, seed: int
) -> bytes:
    """Compose and animate the artwork.

    Args:
        prompt: English words; others only shape the film by their hash.
        width: Pixels.
        height: Pixels.
        duration_seconds: Length of one round; the film loops.
        fps: Pictures per second.
        seed: 64 bits; another seed arranges the same words anew.

    Returns:
        An animated WebP without any metadata.
    """
    reading = read_prompt(prompt)
    rng = Random(stream_seed(prompt, seed, "video"))
    palette = choose_palette(reading, rng)
    layout = choose_layout(reading, Variant.PAINTED, rng)
    beside, above = (math.ceil(part * min(width, height)) for part in _MARGINS)
    sheet = (width + 2 * beside, height + 2 * above)
    textures = Textures(rng.getrandbits(64), min(sheet))
    backdrop = Canvas(*sheet, palette.paper, textures, PAINTED)
    stage = FilmStage(backdrop, textures, palette, reading, rng)
    _LAYOUTS[layout](stage)
    ground = np.asarray(backdrop.finished(palette.paper, grain=0.03, slip=0))
    camera = Camera(ground, stage.actors(), (width, height), duration_seconds)
    frames = film_frame_count(duration_seconds, fps)
    return _webp([camera.shot(number / frames) for number in range(frames)], fps)


def _webp(frames: list[Image.Image], fps: int) -> bytes:
    """The file; moments are whole milliseconds, so their errors must not add up."""
    moments = [round(1000 * number / fps) for number in range(len(frames) + 1)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[after - now for now, after in itertools.pairwise(moments)],
        loop=0,
        quality=78,
        method=2,
    )
    return buffer.getvalue()
