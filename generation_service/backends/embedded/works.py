"""From an order to a file: finds the renderer and loads it when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from generation_service.backends.embedded.offers import OFFERS

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAKERS = {
    "image": ("picture", "render_order"),
    "audio": ("sound.soundscape", "render_order"),
    "music": ("music.piece", "render_order"),
    "video": ("film.film", "render_order"),
    "3d": ("sculpture.scene", "render_order"),
}


def make_work(order: Mapping[str, object]) -> bytes:
    """Make the file of an order.

    Args:
        order: `model`, `prompt`, `seed` and the model's settings, as planned.

    Raises:
        KeyError: There is no such model, or a setting is missing.
    """
    module, maker = _MAKERS[OFFERS[str(order["model"])].media_type]
    # Loaded late: who never asks for a sculpture does not pay for its libraries.
    render = getattr(import_module(f"generation_service.backends.embedded.{module}"), maker)
    data: bytes = render(order)
    return data
