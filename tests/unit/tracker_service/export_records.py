"""Three records that exports are tested with: several outputs, a blocked one, an erased one."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from tests.unit.tracker_service.builders import make_item
from tracker_service.export.json_form import canonical_metadata
from tracker_service.items import ExecutionItem, MediaRef
from tracker_service.records import (
    ExecutionRecord,
    ExecutionState,
    ExecutionSummary,
    count_outputs,
    input_texts,
)

if TYPE_CHECKING:
    from pathlib import Path

START_US = 1_763_000_000_123_456
IDEA = "Eine Blume auf der Wiese 🌸 – 들판의 꽃, زهرة في المرج, घास के मैदान में एक फूल"
REWRITTEN = (
    "A flower of newspaper cuttings stands in a field of noise.\n\nIts petals say «Dada» in "
    "seven alphabets: Größe, Ωμέγα, Цветок, 花, 꽃, زهرة, फूल."
)


def picture(colour: str) -> bytes:
    """Return a small PNG."""
    data = io.BytesIO()
    image = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    image.paste(colour, (8, 8, 48, 48))
    image.save(data, "PNG")
    return data.getvalue()


PICTURES = {hashlib.sha256(data).hexdigest(): data for data in map(picture, ("red", "teal"))}


def reference(sha256: str, filename: str = "blume.png") -> MediaRef:
    """Return how items refer to a picture."""
    size = len(PICTURES[sha256])
    return MediaRef(f"media/{sha256[:2]}/{sha256}.png", sha256, size, "image/png", filename)


class FolderMedia:
    """Media as the neighbour would give them; those that are not in `files` are missing."""

    def __init__(self, files: dict[str, bytes]) -> None:
        """Give these, by their hash."""
        self._files = files

    async def save(self, media: MediaRef, to: Path) -> bool:
        """See `MediaReader`."""
        data = self._files.get(media.sha256)
        if data is not None:
            await asyncio.to_thread(to.write_bytes, data)
        return data is not None


class _Story:
    """Items of one execution, numbered as they are told."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.items: list[ExecutionItem] = []

    def tell(self, item_type: str, stage: int, **fields: Any) -> None:
        """Add an item."""
        number = len(self.items) + 1
        if "metadata" in fields:
            fields["metadata_json"] = canonical_metadata(fields.pop("metadata"))
        values = {"occur_time_us": START_US + number * 250_000, "stage": stage} | fields
        self.items.append(make_item(self.execution_id, number, item_type, **values))


def multi_output() -> ExecutionRecord:
    """A run with two passes of interception, an edit and two pictures."""
    story = _Story("0190f1c2-7a11-7000-8000-000000000001")
    facts = {"config_name": "dada", "safety_level": "kids", "user_id": "anna"}
    facts |= {"session_id": "s-anna", "group_id": "7b", "software_version": "0.1.0"}
    story.tell("pipeline_start", 0, metadata=facts)
    story.tell("user_input_text", 1, media_type="text", content=IDEA)
    verdict = {"decision": "allow", "safety_level": "kids", "categories": [], "layer": "terms"}
    story.tell("stage1_safety_check", 1, metadata=verdict, run_duration_us=842)
    story.tell("pipeline_input_text", 2, media_type="text", content=IDEA)
    made: dict[str, Any] = {"media_type": "text", "model_used": "embedded/gemma3-270m"}
    made |= {"backend_used": "embedded", "config_used": "dada", "run_duration_us": 1_234_567}
    for number, text in enumerate(("A flower of paper.", '=HYPERLINK("x") of noise'), 1):
        story.tell("interception_iteration", 2, stage_iteration=number, content=text, **made)
    story.tell("interception_final", 2, content=REWRITTEN, **made)
    edited = REWRITTEN.replace("newspaper cuttings", "old tickets")
    of_item = story.items[-1].item_id
    story.tell("user_edit", 2, media_type="text", content=edited, metadata={"of_item": of_item})
    for output, sha256 in enumerate(PICTURES, 1):
        story.tell("stage3_safety_check", 3, loop_iteration=output, metadata=verdict)
        story.tell(
            "output_image",
            4,
            loop_iteration=output,
            media_type="image",
            media=reference(sha256, "blume „1“.png"),
            model_used="sdxl:1.0",
            backend_used="comfyui",
            backend_job_id=f"job-{output}",
            run_duration_us=4_000_001,
            metadata={"seed": 2**63 + output, "steps": 20, "cfg_scale": 7.5, "loras": []},
        )
    end = {"total_duration_seconds": 9.5, "outputs_generated": 2, "stages_completed": [1, 2, 3, 4]}
    story.tell("pipeline_complete", 5, metadata=end)
    late = story.items[2]._replace(item_id=make_item("e", 1).item_id, late=True, epoch=1)
    record = record_of(story.items, state=ExecutionState.COMPLETED, policy_version="2026-01")
    return ExecutionRecord(replace(record.summary, item_count=14), (*record.items, late))


def blocked() -> ExecutionRecord:
    """A run that a verdict ended, with texts that spreadsheets would run, and a gap."""
    story = _Story("0190f1c2-7a11-7000-8000-000000000002")
    facts = {"config_name": "bauhaus", "safety_level": "kids", "user_id": "berta"}
    story.tell("pipeline_start", 0, metadata=facts | {"session_id": "s-berta"})
    story.tell("user_input_text", 1, media_type="text", content='@SUM(1+1)\tund "Anführung"')
    reason = {"blocked_reason": "violence", "blocked_term": "-x", "educational_message": "Lass uns"}
    story.tell("stage1_blocked", 1, content="+Das geht hier nicht.", metadata=reason)
    story.tell("pipeline_blocked", 5, metadata={"outputs_generated": 0})
    items = [*story.items[:3], story.items[3]._replace(sequence_number=5)]
    return record_of(items, state=ExecutionState.BLOCKED, missing=(4,), complete=False)


def erased() -> ExecutionRecord:
    """What is left of a person's run: numbers and times."""
    story = _Story("0190f1c2-7a11-7000-8000-000000000003")
    for item_type, stage in (("pipeline_start", 0), ("user_input_text", 1), ("pipeline_error", 2)):
        story.tell(item_type, stage, metadata_json="")
    return record_of(story.items, state=ExecutionState.FAILED, error="BACKEND_FAILED", erased=True)


def record_of(items: list[ExecutionItem], **fields: Any) -> ExecutionRecord:
    """Make a record whose summary says what a store would say."""
    start = json.loads(items[0].metadata_json or "{}")
    texts = input_texts(items)
    values: dict[str, Any] = {
        "execution_id": items[0].execution_id,
        "config_name": start.get("config_name", ""),
        "safety_level": start.get("safety_level", ""),
        "user_id": start.get("user_id", ""),
        "session_id": start.get("session_id", ""),
        "group_id": start.get("group_id", ""),
        "parent_execution_id": "",
        "start_time_us": items[0].occur_time_us,
        "end_time_us": items[-1].occur_time_us,
        "epoch": 1,
        "last_sequence_number": items[-1].sequence_number,
        "item_count": len(items),
        "complete": True,
        "missing": (),
        "error": "",
        "user_input": texts[0][:200] if texts else "",
        "plan_digest": "",
        "policy_version": "",
        "software_version": start.get("software_version", ""),
        "taxonomy_version": "1.1",
        "outputs_generated": count_outputs(items),
        "state": ExecutionState.COMPLETED,
    }
    return ExecutionRecord(ExecutionSummary(**(values | fields)), tuple(items))


def all_three() -> list[ExecutionRecord]:
    """Return the three."""
    return [multi_output(), blocked(), erased()]
