"""Run folders of the predecessor, the AI4ArtsEd DevServer.

Its recorders wrote four layouts over the years, always with a `metadata.json`:

1. `01_input.txt … 06_output_image.png` beside it;
2. `input_text.txt`, `transformed_text.txt` and `output_image.png`, without a list of entities;
3. `<date>/<device>/<run>/` with `A_input.txt …` and the passes in `prompting_process/001_….txt`;
4. the same with the results in `final/`.

What the list of entities leaves out is found by the names of the files.
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.json_form import canonical_metadata
from tracker_service.importing.completing import Draft, completed
from tracker_service.importing.ids import derived_id, execution_id_of
from tracker_service.importing.json_records import facts_of, time_us
from tracker_service.importing.model import ForeignRecord, JsonObject, MediaFiles, UnreadableError
from tracker_service.items import MEDIA_TYPES, ExecutionItem, MediaRef
from tracker_service.records import ExecutionState
from tracker_service.taxonomy import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

METADATA: Final = "metadata.json"
_NUMBERED: Final = re.compile(r"(?:.*/)?(\d+|[A-Z]\d*)_([A-Za-z0-9_]+)\.(\w+)$")
_PLAIN: Final = {"input_text": "input", "transformed_text": "interception"}
_NO_TYPE: Final = re.compile(r"[^a-z0-9_]+")
_KNOWN: Final = {
    "input": (1, "user_input_text"),
    "translation": (1, "translation_result"),
    "safety": (1, "stage1_safety_check"),
    "stage1_safety": (1, "stage1_safety_check"),
    "interception": (2, "interception_final"),
    "optimized_prompt": (2, "optimization_result"),
    "generation_prompt": (2, "optimization_result"),
    "safety_pre_output": (3, "stage3_safety_check"),
    "error": (5, "pipeline_error"),
}


@dataclass(frozen=True, slots=True)
class Entity:
    """A file of a run.

    Attributes:
        kind: What the recorder called it, such as `interception`.
        name: Its path below the run's folder.
        time_us: When it was written; None: not known.
        metadata: What else was noted about it.
    """

    kind: str
    name: str
    time_us: int | None
    metadata: JsonObject

    @property
    def is_pass(self) -> bool:
        """Whether it belongs to the passes of the rewriting."""
        return self.name.startswith("prompting_process/")


def read_run(
    metadata: Any, texts: Mapping[str, str], names: Iterable[str], source: str, files: MediaFiles
) -> ForeignRecord:
    """Read a run.

    Args:
        metadata: The content of `metadata.json`.
        texts: Contents of its text and JSON files, by their paths below the folder.
        names: Paths of all its files below the folder.
        source: The folder, for the report.
        files: Has the other files, under `<source>/<path>`.

    Raises:
        UnreadableError: NO_RECORD or NO_ITEMS.
    """
    if not isinstance(metadata, dict) or not (metadata.get("run_id") or "entities" in metadata):
        raise UnreadableError("NO_RECORD", "metadata.json is not that of a run.")
    run_id = str(metadata.get("run_id") or source.rstrip("/").rpartition("/")[2])
    start_us = time_us(metadata.get("timestamp") or metadata.get("start_time")) or 0
    draft = Draft(source, execution_id_of(run_id), facts_of(metadata), files=files)
    counts: Counter[str] = Counter()
    for entity in _entities(metadata, sorted(names)):
        item = _item(draft, entity, texts.get(entity.name), counts, start_us)
        draft.items.append(item)
        if item.media is not None:
            draft.media[item.item_id] = f"{source}/{entity.name}" if source else entity.name
    if not draft.items:
        raise UnreadableError("NO_ITEMS", "The run has no files.")
    draft.items.sort(key=lambda item: (item.item_type == "pipeline_error", item.stage))
    draft.items = [
        replace(item, sequence_number=index) for index, item in enumerate(draft.items, 1)
    ]
    draft.state = _state(metadata, draft.items)
    return completed(draft)


def _entities(metadata: JsonObject, names: list[str]) -> list[Entity]:
    listed = metadata.get("entities")
    found = []
    told = [
        *(listed if isinstance(listed, list) else []),
        *(metadata.get("prompting_process") or []),
    ]
    for one in told:
        name = _existing(str(one.get("filename", "")), names) if isinstance(one, dict) else None
        if name is not None:
            noted = one.get("metadata")
            kind = str(one.get("type") or "unknown")
            moment_us = time_us(one.get("timestamp"))
            found.append(Entity(kind, name, moment_us, noted if isinstance(noted, dict) else {}))
    known = {entity.name for entity in found} | {METADATA}
    found += [Entity(_kind_of(name), name, None, {}) for name in names if name not in known]
    return found


def _existing(name: str, names: list[str]) -> str | None:
    """Return where a listed file lies; recorders moved files without telling their list."""
    places = (name, f"final/{name}", f"prompting_process/{name}", name.rpartition("/")[2])
    return next((place for place in places if place in names), None)


def _kind_of(name: str) -> str:
    found = _NUMBERED.match(name)
    if found is not None:
        return found[2]
    stem = name.rpartition("/")[2].partition(".")[0]
    return _PLAIN.get(stem, stem)


def _item(
    draft: Draft, entity: Entity, text: str | None, counts: Counter[str], start_us: int
) -> ExecutionItem:
    stage, item_type = _place(entity)
    counts[item_type] += 1
    count = counts[item_type]
    rule = RULES.get(item_type)
    noted = dict(entity.metadata)
    content = text
    if text is not None and entity.name.endswith(".json"):
        content, value = None, _json(text)
        noted |= value if isinstance(value, dict) else {"value": value}
    noted["imported"] = {"type": entity.kind, "file": entity.name}
    moment_us = entity.time_us or start_us
    media = None if text is not None else _media(entity.name)
    return ExecutionItem(
        item_id=derived_id(moment_us, draft.execution_id, entity.name),
        execution_id=draft.execution_id,
        epoch=1,
        sequence_number=1,
        occur_time_us=moment_us,
        stage=stage,
        stage_iteration=count if rule is not None and rule.needs_stage_iteration else None,
        loop_iteration=count if rule is not None and rule.needs_loop_iteration else None,
        media_type=_media_type(item_type, media),
        item_type=item_type,
        content=content,
        media=media,
        config_used=_noted(noted, "config", "config_used"),
        model_used=_noted(noted, "model_used", "model"),
        backend_used=_noted(noted, "backend_used", "backend"),
        backend_job_id=_noted(noted, "prompt_id"),
        run_duration_us=None,
        metadata_json=canonical_metadata(noted),
    )


def _place(entity: Entity) -> tuple[int, str]:
    kind = _NO_TYPE.sub("_", entity.kind.lower())[:64] or "unknown"
    if entity.is_pass and kind == "interception":
        return 2, "interception_iteration"
    if kind in _KNOWN and not (entity.is_pass and kind == "input"):
        return _KNOWN[kind]
    if kind in RULES:
        return min(RULES[kind].stages), kind
    return (2, "pipeline_input_text") if kind == "input" else (2, kind)


def _media(name: str) -> MediaRef:
    mime_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return MediaRef(f"imported/{name}"[:1024], "", 0, mime_type, name.rpartition("/")[2][:256])


def _media_type(item_type: str, media: MediaRef | None) -> str:
    ending = item_type.removeprefix("output_")
    if item_type.startswith("output_") and ending in MEDIA_TYPES:
        return ending
    if media is None:
        return "text"
    kind = media.mime_type.partition("/")[0]
    return kind if kind in MEDIA_TYPES else ""


def _state(metadata: JsonObject, items: list[ExecutionItem]) -> ExecutionState | None:
    if any(item.item_type == "pipeline_error" for item in items):
        return None  # the item itself says so
    at = metadata.get("current_state")
    step = str(at.get("step")) if isinstance(at, dict) else str(metadata.get("status") or "")
    made = any(item.item_type.startswith("output_") for item in items)
    done = made or step.lower() in ("complete", "completed", "pipeline_complete")
    return ExecutionState.COMPLETED if done else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _noted(noted: JsonObject, *keys: str) -> str:
    found = (noted.get(key) for key in keys)
    return next((value[:256] for value in found if isinstance(value, str)), "")
