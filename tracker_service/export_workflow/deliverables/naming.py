"""File names that are safe on every system and still tell what is inside."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from tracker_service.export.facts import time_text
from tracker_service.export_workflow.texts import words

if TYPE_CHECKING:
    from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
    from tracker_service.export_workflow.deliverables.model import Document

MAX_TITLE: Final = 60
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_NOT_PLAIN: Final = re.compile(r"[^a-z0-9]+")


def filename_of(document: Document, form: DeliverableFormat) -> str:
    """Return a name such as `unsere-bilder-learning-journey-2026-11-20.pdf`.

    Lower-case ASCII letters, digits and hyphens; never a name that a system has reserved, since
    template and day always stand behind the title. A title that only names the template is left
    out.
    """
    is_own = document.title != words(document.language).titles[document.template]
    composed = unicodedata.normalize("NFC", document.title).lower().translate(_GERMAN)
    ascii_only = unicodedata.normalize("NFKD", composed).encode("ascii", "ignore").decode("ascii")
    title = _NOT_PLAIN.sub("-", ascii_only)[:MAX_TITLE].strip("-")
    template = document.template.value.replace("_", "-")
    day = time_text(document.created_us)[:10]
    return "-".join(part for part in (title if is_own else "", template, day) if part) + form.suffix
