"""Limits of texts and numbers that come from outside, and the refusals for them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from servicekit.errors import InvalidArgumentError
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.model import Template
from tracker_service.export_workflow.summary.model import Language

if TYPE_CHECKING:
    from tracker_service.export_workflow.model import Preferences

MAX_NAME: Final = 128
MAX_INSTRUCTIONS: Final = 2_000
MAX_SUMMARY: Final = 20_000
MAX_PROVENANCE_BYTES: Final = 64 * 1024
MAX_CHANGES_BYTES: Final = 1024 * 1024
MAX_VERSIONS: Final = 100
"""Versions of the data, and deliverables, of one workflow."""
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


def check_id(text: str, field: str) -> str:
    """Return a UUID in its usual spelling.

    Raises:
        InvalidArgumentError: INVALID_ID.
    """
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise InvalidArgumentError("INVALID_ID", f"`{field}` must be a UUID.", field=field) from exc


def check_text(text: str, limit: int, field: str) -> str:
    """Return a text that is not too long.

    Raises:
        InvalidArgumentError: TEXT_TOO_LONG.
    """
    if len(text) > limit:
        raise InvalidArgumentError(
            "TEXT_TOO_LONG", f"`{field}` has over {limit} characters.", field=field
        )
    return text.replace("\0", "\ufffd")


def check_share(value: float | None, reason: str, field: str) -> float | None:
    """Return a number from 0 to 1, or None.

    Raises:
        InvalidArgumentError: With this reason.
    """
    if value is not None and not 0.0 <= value <= 1.0:
        raise InvalidArgumentError(reason, f"`{field}` must be between 0 and 1.", field=field)
    return value


def check_seconds(value: float | None, field: str) -> float | None:
    """Return seconds, or None.

    Raises:
        InvalidArgumentError: EDITING_TIME_INVALID.
    """
    if value is not None and not (math.isfinite(value) and value >= 0.0):
        raise InvalidArgumentError(
            "EDITING_TIME_INVALID", f"`{field}` must be 0 or more seconds.", field=field
        )
    return value


def check_hash(text: str, field: str) -> str:
    """Return a content hash.

    Raises:
        InvalidArgumentError: HASH_INVALID.
    """
    if _HASH.fullmatch(text) is None:
        raise InvalidArgumentError(
            "HASH_INVALID", f"`{field}` must be `sha256:` and 64 hexadecimal digits.", field=field
        )
    return text


def read_language(text: str) -> Language:
    """Return a language; English unless told.

    Raises:
        InvalidArgumentError: LANGUAGE_UNKNOWN.
    """
    try:
        return Language(text or Language.ENGLISH)
    except ValueError as exc:
        raise InvalidArgumentError(
            "LANGUAGE_UNKNOWN", "`language` is `de` or `en`.", field="language"
        ) from exc


def read_template(text: str, field: str = "document_template") -> Template:
    """Return a template.

    Raises:
        InvalidArgumentError: TEMPLATE_MISSING or TEMPLATE_UNKNOWN.
    """
    if not text:
        raise InvalidArgumentError("TEMPLATE_MISSING", "Choose a template.", field=field)
    try:
        return Template(text)
    except ValueError as exc:
        names = ", ".join(Template)
        raise InvalidArgumentError(
            "TEMPLATE_UNKNOWN", f"There is no such template; choose one of {names}.", field=field
        ) from exc


def read_format(text: str, field: str = "export_format") -> DeliverableFormat:
    """Return a format.

    Raises:
        InvalidArgumentError: FORMAT_MISSING or FORMAT_UNKNOWN.
    """
    if not text:
        raise InvalidArgumentError("FORMAT_MISSING", "Choose a format.", field=field)
    try:
        return DeliverableFormat(text)
    except ValueError as exc:
        names = ", ".join(DeliverableFormat)
        raise InvalidArgumentError(
            "FORMAT_UNKNOWN", f"There is no such format; choose one of {names}.", field=field
        ) from exc


def check_preferences(preferences: Preferences) -> None:
    """Refuse what cannot be fulfilled; nothing chosen is fine.

    Raises:
        InvalidArgumentError: TEXT_TOO_LONG, TEMPLATE_UNKNOWN or FORMAT_UNKNOWN.
    """
    check_text(
        preferences.transformation_instructions, MAX_INSTRUCTIONS, "transformation_instructions"
    )
    if preferences.document_template:
        read_template(preferences.document_template)
    if preferences.export_format:
        read_format(preferences.export_format)
