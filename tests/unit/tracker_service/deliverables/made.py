"""A sitting of ten executions with texts in many scripts and with texts that mean harm."""

from __future__ import annotations

import asyncio
import hashlib
import io
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from tests.unit.tracker_service.builders import make_item, make_start
from tracker_service.export_workflow.deliverables.building import (
    DocumentSource,
    Provenance,
    media_of,
)
from tracker_service.export_workflow.deliverables.extraction import extract
from tracker_service.export_workflow.model import ChangeType, FieldChange
from tracker_service.export_workflow.summary.model import (
    Language,
    Method,
    Summary,
    SummaryMetadata,
)
from tracker_service.items import MediaRef
from tracker_service.records import ExecutionRecord, ExecutionState, ExecutionSummary

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.model import Template

TEXTS: Final = (
    "Eine Blume auf der Wiese",
    "꽃이 들판에 피어 있다",
    "زهرة في مرج جميل",
    "घास के मैदान में एक फूल",
    "🌸🐝 Eine Biene",
    "<script>alert('x')</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://example.org","Klick")',
    "| a | b |\n|---|---|\n# Titel\n1. eins\n- zwei\n[Link](javascript:alert(1)) ![](y) `c` *f* ~",
    "草原上的一朵花、蜂が来る",
    "@SUM(1+1)*cmd|' /C calc'!A0 \x07 &amp; \ud800",
)
START_US: Final = 1_760_000_000_000_000
MINUTE_US: Final = 60_000_000


class KeptMedia:
    """A store of media in memory."""

    def __init__(self) -> None:
        """Begin with none."""
        self.files: dict[str, bytes] = {}

    def keep_picture(self, colour: int) -> MediaRef:
        """Keep a picture of one colour."""
        buffer = io.BytesIO()
        Image.new("RGB", (320, 240), (colour * 23 % 256, 90, 160)).save(buffer, "PNG")
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        self.files[sha256] = data
        return MediaRef(f"{sha256}.png", sha256, len(data), "image/png", f"bild-{colour}.png")

    async def save(self, media: MediaRef, to: Path) -> bool:
        """See `MediaReader`."""
        if media.sha256 not in self.files:
            return False
        await asyncio.to_thread(to.write_bytes, self.files[media.sha256])
        return True


def make_record(number: int, media: MediaRef | None) -> ExecutionRecord:
    """Make an execution with an idea, a translation, a rewriting, an edit and a picture."""
    execution_id = f"execution-{number}"
    rewritten: Any = make_item(
        execution_id,
        4,
        "interception_iteration",
        stage=2,
        stage_iteration=1,
        content="Blüte brüllt die Sonne an und tanzt.",
        model_used="embedded/gemma-3-270m",
        run_duration_us=1_230_000,
    )
    items = (
        make_start(execution_id),
        make_item(execution_id, 2, "user_input_text", stage=1, content=TEXTS[number % len(TEXTS)]),
        make_item(execution_id, 3, "translation_result", stage=1, content="A flower"),
        rewritten,
        make_item(
            execution_id,
            5,
            "user_edit",
            stage=2,
            content="Blüte brüllt die Biene leise an und tanzt.",
            metadata={"of_item": rewritten.item_id},
        ),
        make_item(
            execution_id,
            6,
            "output_image",
            stage=4,
            loop_iteration=1,
            media_type="image",
            media=media,
            metadata={"seed": 2**60 + number},
        ),
        make_item(execution_id, 7, "pipeline_complete", stage=5),
    )
    summary = ExecutionSummary(
        execution_id=execution_id,
        config_name="dada",
        safety_level="kids",
        user_id="user-0123456789abcdef",
        session_id="session-0123456789abcdef",
        group_id="",
        parent_execution_id="",
        start_time_us=START_US + number * MINUTE_US,
        end_time_us=START_US + number * MINUTE_US + 5_250_000,
        state=ExecutionState.COMPLETED,
        epoch=1,
        last_sequence_number=7,
        item_count=7,
        complete=True,
        missing=(),
        error="",
        user_input="",
        plan_digest="",
        policy_version="",
        software_version="0.1.0",
        taxonomy_version="1.1",
        outputs_generated=1,
    )
    return ExecutionRecord(summary, items)


def make_data(media: KeptMedia, count: int = 10) -> dict[str, Any]:
    """Make the data of a sitting."""
    return extract([make_record(number, media.keep_picture(number)) for number in range(count)])


CHANGES: Final = (
    FieldChange(("executions", 0, "inputs", 0), ChangeType.MODIFICATION, "Blume", "Eine Blume"),
    FieldChange(("totals", "a.b"), ChangeType.ADDITION, None, 7),
    FieldChange(("remark",), ChangeType.DELETION, "=1+1", None),
)


def make_source(data: Any, template: Template, **fields: Any) -> DocumentSource:
    """Make what a document says; `fields` as in `DocumentSource`, else all files are shown."""
    values: dict[str, Any] = {
        "language": Language.GERMAN,
        "summary": Summary(
            "Zehn Läufe mit „dada“.\n\nZuerst: eine Blume.",
            SummaryMetadata(Method.GENERATIVE, "ollama/gemma3:4b", 1200, 300, 1.0),
        ),
        "provenance": Provenance(
            export_workflow_id="0199f7a0-0000-7000-8000-000000000001",
            document_id="selection-1",
            document_type="execution_selection",
            owner="user-fedcba9876543210",
            extraction_method="execution_records",
            version=1,
            created_us=START_US,
            software_version="0.1.0",
        ),
        "changes": CHANGES,
        "title": "Unsere Bilder",
    }
    if "media" not in fields:
        values["media"] = media_of(data)
    return DocumentSource(template=template, data=data, **(values | fields))
