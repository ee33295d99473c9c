"""JSON: the document as it is, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Document


def write(document: Document, pictures: Mapping[str, Path], target: Path) -> None:
    """Write the form of the document; pictures stand in it by their SHA-256. See `Write`."""
    form = document.model_dump(mode="json")
    target.write_text(json.dumps(form, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
