"""Makes the file of a deliverable: `python -m …deliverables.process FOLDER FORMAT FILE`.

A process of its own, because decoders of pictures and typesetters take memory that a service
should get back, and because a broken picture must harm nobody else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tracker_service.export.crashing import crash_without_words
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.model import Document
from tracker_service.export_workflow.deliverables.pictures import drawn_pictures
from tracker_service.export_workflow.deliverables.writers import writer_of

DOCUMENT: Final = "document.json"


def main(folder: Path, form: DeliverableFormat, target: Path) -> None:
    """Make a file.

    Args:
        folder: Holds the document and its pictures.
        form: The format.
        target: The file to write, in that folder.
    """
    document = Document.model_validate_json((folder / DOCUMENT).read_bytes())
    writer_of(form)(document, drawn_pictures(folder), target)


if __name__ == "__main__":
    crash_without_words()
    main(Path(sys.argv[1]), DeliverableFormat(sys.argv[2]), Path(sys.argv[3]))
