"""Sets the pages that `PdfWriter` has collected: `python -m …pdf_process FOLDER PDF`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from tracker_service.export.crashing import crash_without_words
from tracker_service.export.typesetting import HERE, draw, typeset

LONGER_SIDE: Final = 1_400
"""Pixels of a picture on the page: 200 dpi over the width of the text."""


def main(folder: Path, target: Path) -> None:
    """Set the pages in `folder` into the file `target`."""
    pictures = folder.glob("*.raw")
    drawn = {path.name.removesuffix(".raw") for path in pictures if draw(path, LONGER_SIDE)}
    for name in json.loads((folder / "export.json").read_text(encoding="utf-8"))["records"]:
        _forget_missing(folder / name, drawn)
    typeset(HERE / "record.typ", folder, target)


def _forget_missing(path: Path, drawn: set[str]) -> None:
    """Let files that are no pictures, or not to be had, stand as names."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for section in record["sections"]:
        for step in section["steps"]:
            if step.get("picture") not in drawn:
                step["picture"] = None
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    crash_without_words()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
