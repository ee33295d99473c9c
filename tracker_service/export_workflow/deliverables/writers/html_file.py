"""HTML: one file that shows everything anywhere, offline, and runs nothing."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tracker_service.export_workflow.deliverables.model import cell_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Document


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Fill `document.html`; pictures are inside the file. See `Write`."""

    def picture_data(sha256: str) -> str | None:
        path = pictures.get(sha256)
        return None if path is None else base64.b64encode(path.read_bytes()).decode("ascii")

    # Piece by piece, since with its pictures a page may be large.
    with target.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_template().generate(document=document, picture_data=picture_data))


@lru_cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["cell"] = cell_text
    return environment.get_template("document.html")
