"""What stands on the pages of a PDF: a record, told for somebody who was not there.

First the story in the order of the stages, with texts, verdicts, edits and pictures, then every
item with all its fields. Only data are made here; `record.typ` sets them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.archive import media_name
from tracker_service.export.facts import ITEM_COLUMNS, RECORD_COLUMNS, Kind, plain_text, rows_of
from tracker_service.export.provenance import is_verdict, sources_of
from tracker_service.metadata import read_metadata, text_of
from tracker_service.records import ExecutionState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.items import ExecutionItem, MediaRef
    from tracker_service.records import ExecutionRecord

MAX_TEXT: Final = 20_000
"""Code points of one text that are set; the rest is in every other format."""
MAX_DIFF_WORDS: Final = 2_000
_LONG_WORD: Final = re.compile(r"[^\s\u200b]{24}(?=[^\s\u200b])")
_STAGE_PREFIX: Final = re.compile(r"^(stage\d_|pipeline_(?=input))")
_TITLES: Final = (
    (1, "The idea"),
    (2, "Rewriting"),
    (3, "Outputs"),
    (5, "End"),
)
_HIDDEN: Final = frozenset({"pipeline_start", "stage_transition"})
_IN_HEADING: Final = frozenset({"sequence_number", "timestamp", "item_type"})
_LONG_FACTS: Final = frozenset({"content", "file_path", "media_sha256", "metadata"})
_USUAL: Final = (("late", False), ("metadata", "{}"), ("erased", False))
"""What goes without saying."""
_STATES: Final = {
    ExecutionState.COMPLETED: ("Completed", "good"),
    ExecutionState.BLOCKED: ("Blocked by a verdict", "bad"),
    ExecutionState.FAILED: ("Failed", "bad"),
    ExecutionState.CANCELLED: ("Cancelled", ""),
    ExecutionState.INTERRUPTED: ("Interrupted", "bad"),
    ExecutionState.RUNNING: ("Still running when it was exported", ""),
    ExecutionState.AWAITING_EDIT: ("Waiting for an edit when it was exported", ""),
}


def pages_of(record: ExecutionRecord) -> dict[str, Any]:
    """Return the data of a record's pages, as JSON values for `record.typ`."""
    summary = record.summary
    state, tone = _STATES[summary.state]
    rows = list(rows_of(record))
    width = len(RECORD_COLUMNS)
    known = dict(zip((column.name for column in RECORD_COLUMNS), rows[0][:width], strict=True))
    facts = [
        [column.name.replace("_", " "), broken(plain_text(known[column.name], column.kind))]
        for column in RECORD_COLUMNS
        if known[column.name] not in (None, ()) and (column.name, known[column.name]) not in _USUAL
    ]
    return {
        "title": summary.config_name or "Execution",
        "state": state + (f": {summary.error}" if summary.error else ""),
        "tone": tone,
        "when": _when(summary.start_time_us, summary.end_time_us),
        "facts": facts,
        "gap": _gap(record),
        "sections": _sections(record),
        "items": [
            _item_facts(item, row[width:]) for item, row in zip(record.items, rows, strict=False)
        ],
    }


def _gap(record: ExecutionRecord) -> str:
    missing = record.summary.missing
    if record.summary.erased:
        return "The content of this execution was erased; what is left are ids, types and times."
    if not missing:
        return ""
    numbers = ", ".join(map(str, missing[:20])) + (" …" if len(missing) > 20 else "")
    return f"This record is not complete. Items that never arrived: {numbers}."


def _sections(record: ExecutionRecord) -> list[dict[str, Any]]:
    sources = sources_of(record.items)
    sections = []
    for index, (first, title) in enumerate(_TITLES):
        last = _TITLES[index + 1][0] if index + 1 < len(_TITLES) else 6
        steps = [
            _step(item, sources.get(item.item_id, ()))
            for item in record.items
            if first <= _told_in(item) < last and item.item_type not in _HIDDEN
        ]
        if steps:
            sections.append({"title": title, "steps": steps})
    return sections


def _told_in(item: ExecutionItem) -> int:
    return 5 if item.item_type.startswith("pipeline_") and item.stage == 5 else item.stage


def _step(item: ExecutionItem, sources: Sequence[ExecutionItem]) -> dict[str, Any]:
    metadata = read_metadata(item.metadata_json)
    step: dict[str, Any] = {
        "kind": "text",
        "head": _head(item),
        "tail": _tail(item),
        "note": "",
        "paragraphs": paragraphs(item.content or ""),
        "diff": [],
    }
    if item.media is not None:
        step |= {"kind": "file", **_file(item.media)}
        step["note"] += _parameters(metadata)
    elif is_verdict(item):
        step |= {"kind": "verdict", **_verdict(item, metadata)}
    elif item.item_type == "user_edit" and sources:
        step["diff"] = differences(sources[0].content or "", item.content or "")
    elif not item.content:
        step |= {"kind": "verdict", "tone": "", "note": _plain_note(metadata)}
    return step


def _head(item: ExecutionItem) -> str:
    name = _STAGE_PREFIX.sub("", item.item_type).replace("_", " ")
    parts = [name.upper() if item.content or item.media else name.capitalize()]
    if item.stage_iteration is not None:
        parts.append(f"pass {item.stage_iteration}")
    if item.loop_iteration is not None:
        parts.append(f"output {item.loop_iteration}")
    if item.late:
        parts.append("late")
    return " · ".join(parts)


def _tail(item: ExecutionItem) -> str:
    parts = (item.model_used, _duration(item.run_duration_us), f"#{item.sequence_number}")
    return " · ".join(part for part in parts if part)


def _duration(run_us: int | None) -> str:
    if run_us is None:
        return ""
    return f"{run_us / 1e3:.1f} ms" if run_us < 100_000 else f"{run_us / 1e6:.2f} s"


def _file(media: MediaRef) -> dict[str, Any]:
    is_picture = media.mime_type.startswith("image/") and bool(media.sha256)
    return {
        "picture": picture_name(media) if is_picture else None,
        "width": 44,
        "name": media.filename or media.uri.rpartition("/")[2],
        "note": f"{media.filename or media.mime_type} · {media.size_bytes:,} bytes · "
        f"SHA-256 {broken(media.sha256)}",
    }


def _parameters(metadata: dict[str, Any]) -> str:
    told = [
        f"{key} {value}"
        for key, value in metadata.items()
        if isinstance(value, int | float | str)
        and not isinstance(value, bool)
        and len(str(value)) < 40
    ]
    return f" · {' · '.join(told)}" if told else ""


def _verdict(item: ExecutionItem, metadata: dict[str, Any]) -> dict[str, Any]:
    decision = text_of(metadata, "decision").lower()
    is_bad = item.item_type.endswith("_blocked") or decision in ("block", "blocked", "unavailable")
    told = [
        f"{key.replace('_', ' ')}: {_told(metadata[key])}"
        for key in ("decision", "layer", "blocked_reason", "educational_message")
        if metadata.get(key)
    ]
    tone = "bad" if is_bad else "good" if decision else ""
    return {"tone": tone, "note": " · ".join(told)}


def _told(value: Any) -> str:
    """A message to the person may be told in several languages."""
    return " / ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def _plain_note(metadata: dict[str, Any]) -> str:
    told = [
        f"{key.replace('_', ' ')}: {value}"
        for key, value in metadata.items()
        if isinstance(value, int | float | str) and len(str(value)) <= 80
    ]
    return broken(" · ".join(told[:8]))


def _item_facts(item: ExecutionItem, values: Sequence[Any]) -> dict[str, Any]:
    facts = [
        (column.name, broken(_cut(plain_text(value, column.kind))))
        for column, value in zip(ITEM_COLUMNS, values, strict=True)
        if value is not None
        and column.name not in _IN_HEADING
        and (column.name, value) not in _USUAL
    ]
    return {
        "number": item.sequence_number,
        "type": item.item_type,
        "time": plain_text(item.occur_time_us, Kind.TIME),
        "short": [fact for fact in facts if fact[0] not in _LONG_FACTS],
        "long": [fact for fact in facts if fact[0] in _LONG_FACTS],
    }


# --- texts ---------------------------------------------------------------------------------------


def picture_name(media: MediaRef) -> str:
    """Return the name of a picture beside the pages."""
    return media_name(media).replace("/", "-") + ".jpg"


def paragraphs(text: str) -> list[dict[str, Any]]:
    """Split a text into paragraphs, each with its direction."""
    return [
        {"text": broken(part), "rtl": is_right_to_left(part)}
        for part in _cut(text).splitlines()
        if part.strip()
    ]


def is_right_to_left(text: str) -> bool:
    """Tell the direction of a paragraph by its first letter that has one (Unicode, UAX 9, P2)."""
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def broken(text: str) -> str:
    """Let very long words break by zero-width spaces, and show tabs, which have no glyph."""
    return _LONG_WORD.sub(lambda found: f"{found[0]}\u200b", text.replace("\t", "    "))


def differences(before: str, after: str) -> list[dict[str, str]]:
    """Return what an edit kept, added and removed, word by word; empty: too long to tell."""
    old, new = (re.findall(r"\s+|\S+\s*", text) for text in (before, after))
    if max(len(old), len(new)) > MAX_DIFF_WORDS:
        return []
    parts = []
    for tag, *span in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        begin, end, new_begin, new_end = span
        if tag == "equal":
            parts.append({"kind": "kept", "text": "".join(old[begin:end])})
            continue
        if end > begin:
            parts.append({"kind": "removed", "text": "".join(old[begin:end])})
        if new_end > new_begin:
            parts.append({"kind": "added", "text": "".join(new[new_begin:new_end])})
    return parts


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]} … [cut; {len(text):,} characters in all, see the JSON export]"


def _when(start_us: int | None, end_us: int | None) -> str:
    if start_us is None:
        return "time not known"
    text = plain_text(start_us, Kind.TIME)
    seconds = "" if end_us is None else f" · {(end_us - start_us) / 1e6:.1f} s"
    return f"{text[:10]} {text[11:19]} UTC{seconds}"
