"""What an export leaves out or hides: pseudonyms for ids, no media, no free text.

A record is shaped before any writer sees it, so that no format can forget to.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.json_form import canonical_metadata
from tracker_service.metadata import read_finite_metadata
from tracker_service.records import ExecutionRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracker_service.items import ExecutionItem, MediaRef
    from tracker_service.records import ExecutionSummary

PSEUDONYM_DIGITS: Final = 16
_NAMED: Final = ("group", "session", "user")

# Texts under these keys are names, codes and versions of ours; any other text may be a person's.
_CODES_TEXT: Final = """
backend blocked_reason categories cfg codec config_name decision detected_language error_stage
error_type from from_lang from_stage group_id id key kind lang layer level mime_type model of_item
output_config parent_execution_id plan_digest policy_version reason risk_level role safety_level
sampler scheduler session_id sha256 software_version source_language stages_completed
target_language taxonomy_version to to_lang to_stage user_id workflow_sha256
"""
_CODES: Final = frozenset(_CODES_TEXT.split())


@dataclass(frozen=True, slots=True)
class Shape:
    """What an export shows.

    Attributes:
        pseudonymise: Users, sessions and groups stand under keyed hashes.
        drop_media: No files, no references to any.
        drop_text: No texts of people or models.
    """

    pseudonymise: bool = False
    drop_media: bool = False
    drop_text: bool = False


class Shaper:
    """Makes records into what an export shows."""

    def __init__(self, shape: Shape, pseudonym_key: bytes) -> None:
        """Shape records.

        Args:
            shape: What is shown.
            pseudonym_key: Key of the pseudonyms; the same key gives the same ones. Kept by the
                deployment, apart from the data.
        """
        self._shape = shape
        self._key = pseudonym_key

    def shaped(self, record: ExecutionRecord) -> ExecutionRecord:
        """Return what the export shows of `record`."""
        if self._shape == Shape():
            return record
        known = self.pseudonyms(record.summary)
        items = tuple(self.item(item, known) for item in record.items)
        return ExecutionRecord(self.summary(record.summary), items)

    def summary(self, summary: ExecutionSummary) -> ExecutionSummary:
        """Return what the export shows of an execution without its items."""
        if self._shape.pseudonymise:
            hidden = {kind: self.pseudonym(kind, name) for kind, name in _names(summary).items()}
            summary = replace(
                summary,
                user_id=hidden.get("user", ""),
                session_id=hidden.get("session", ""),
                group_id=hidden.get("group", ""),
            )
        return replace(summary, user_input="") if self._shape.drop_text else summary

    def pseudonyms(self, summary: ExecutionSummary) -> dict[str, str]:
        """Return the names that an execution holds, with what stands in their places."""
        if not self._shape.pseudonymise:
            return {}
        return {real: self.pseudonym(kind, real) for kind, real in _names(summary).items()}

    def pseudonym(self, kind: str, real: str) -> str:
        """Return what stands for a name.

        Args:
            kind: What it names: `user`, `session` or `group`.
            real: The name.
        """
        digest = hmac.new(self._key, f"{kind}:{real}".encode(), hashlib.sha256).hexdigest()
        return f"{kind}-{digest[:PSEUDONYM_DIGITS]}"

    def item(self, item: ExecutionItem, known: Mapping[str, str]) -> ExecutionItem:
        """Return what the export shows of an item.

        Args:
            item: The item.
            known: The names that its execution holds; see `pseudonyms`.
        """
        shape = self._shape
        metadata_json = item.metadata_json
        if known and any(real in metadata_json for real in known):
            metadata_json = _mapped(metadata_json, partial(self._hidden, known))
        if shape.drop_text and metadata_json:
            metadata_json = _mapped(
                metadata_json, lambda key, text: text if key in _CODES else None
            )
        return item._replace(
            content=None if shape.drop_text else item.content,
            media=None if shape.drop_media or item.media is None else _nameless(item.media),
            metadata_json=metadata_json,
        )

    def _hidden(self, known: Mapping[str, str], key: str, text: str) -> str:
        """Hide a name; where a person and their session have the same, the key tells which."""
        if text not in known:
            return text
        kind = key.removesuffix("_id")
        return self.pseudonym(kind, text) if kind in _NAMED else known[text]


def _names(summary: ExecutionSummary) -> dict[str, str]:
    """Return the names that an execution has, by what they name."""
    names = {kind: str(getattr(summary, f"{kind}_id")) for kind in _NAMED}
    return {kind: real for kind, real in names.items() if real}


def _nameless(media: MediaRef) -> MediaRef:
    """A file's name is a text that a person gave."""
    return media._replace(filename="")


def _mapped(metadata_json: str, change: Callable[[str, str], str | None]) -> str:
    return canonical_metadata(_changed("", read_finite_metadata(metadata_json), change))


def _changed(key: str, value: Any, change: Callable[[str, str], str | None]) -> Any:
    """Return JSON with every text changed; `key` is that of the nearest object."""
    if isinstance(value, str):
        return change(key, value)
    if isinstance(value, dict):
        return {name: _changed(name, inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_changed(key, inner, change) for inner in value]
    return value
