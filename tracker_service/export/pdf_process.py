"""Sets the pages that `PdfWriter` has collected: `python -m …pdf_process FOLDER PDF`."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any, Final

import typst
from PIL import Image

HERE: Final = Path(__file__).parent
MAX_PIXELS: Final = 64_000_000
"""Of a picture; larger ones are not decoded."""
LONGER_SIDE: Final = 1_400
"""Pixels of a picture on the page: 200 dpi over the width of the text."""


def main(folder: Path, target: Path) -> None:
    """Set the pages in `folder` into the file `target`."""
    drawn = {path.name.removesuffix(".raw") for path in folder.glob("*.raw") if draw(path)}
    for name in json.loads((folder / "export.json").read_text(encoding="utf-8"))["records"]:
        _forget_missing(folder / name, drawn)
    shutil.copy(HERE / "record.typ", folder)
    typst.compile(
        str(folder / "record.typ"),
        output=str(target),
        format="pdf",
        root=str(folder),
        font_paths=[str(HERE / "fonts")],
    )


def draw(path: Path) -> bool:
    """Make a picture fit for the page; False: it is none."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image.thumbnail((LONGER_SIDE, LONGER_SIDE))
            flat = Image.new("RGB", image.size, "white")
            rgba = image.convert("RGBA")
            flat.paste(rgba, mask=rgba)
            flat.save(path.with_suffix(""), "JPEG", quality=88)
    except (OSError, ValueError, Warning, Image.DecompressionBombError):
        return False
    return True


def _forget_missing(path: Path, drawn: set[str]) -> None:
    """Let files that are no pictures, or not to be had, stand as names."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for section in record["sections"]:
        for step in section["steps"]:
            if step.get("picture") not in drawn:
                step["picture"] = None
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
