"""Setting pages and making pictures fit for them; runs in a process made for it, never in ours."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Final

import typst
from PIL import Image

HERE: Final = Path(__file__).parent
MAX_PIXELS: Final = 64_000_000
"""Of a picture; larger ones are not decoded."""


def typeset(template: Path, folder: Path, target: Path) -> None:
    """Set pages.

    Args:
        template: The Typst file that sets them; may import `house.typ`.
        folder: Where its data and pictures are; nothing outside can be read.
        target: The PDF file to write.
    """
    for source in (template, HERE / "house.typ"):
        shutil.copy(source, folder)
    typst.compile(
        str(folder / template.name),
        output=str(target),
        format="pdf",
        root=str(folder),
        font_paths=[str(HERE / "fonts")],
        ignore_system_fonts=True,
    )


def draw(path: Path, longer_side: int) -> bool:
    """Make a picture fit for the page: `name.jpg` from `name.jpg.raw`.

    Args:
        path: The picture as it is kept, `name.jpg.raw`.
        longer_side: Most pixels of either side.

    Returns:
        Whether it is a picture at all.
    """
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image.thumbnail((longer_side, longer_side))
            flat = Image.new("RGB", image.size, "white")
            rgba = image.convert("RGBA")
            flat.paste(rgba, mask=rgba)
            flat.save(path.with_suffix(""), "JPEG", quality=88)
    except (OSError, ValueError, Warning, Image.DecompressionBombError):
        return False
    return True
