"""Stage 2: what a person made of the data, measured by the tracker itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.errors import InvalidArgumentError
from tracker_service.export_workflow.changes import changes_between
from tracker_service.export_workflow.documents import dump
from tracker_service.export_workflow.limits import MAX_CHANGES_BYTES
from tracker_service.export_workflow.model import (
    Preferences,
    UserActions,
    UserModifications,
)
from tracker_service.export_workflow.paths import path_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.model import FieldChange


def modifications(
    before: JsonValue,
    after: JsonValue,
    preferences: Preferences,
    editing_seconds: float | None,
    passed_seconds: float,
) -> UserModifications:
    """Return the record of an edited version.

    Args:
        before: The data before.
        after: The data after.
        preferences: What the person wants of the document.
        editing_seconds: How long the person edited, as the client says; None: it does not.
        passed_seconds: Time since the record before, which editing cannot have exceeded.

    Raises:
        InvalidArgumentError: TOO_MANY_CHANGES.
    """
    changes = changes_between(before, after)
    if take_too_much(changes):
        raise InvalidArgumentError(
            "TOO_MANY_CHANGES",
            "The changes take over 1 MiB; record them in several versions.",
            field="modified_data_json",
        )
    if editing_seconds is not None:
        editing_seconds = min(editing_seconds, max(0.0, passed_seconds))
    return UserModifications(
        data=after,
        preferences=preferences,
        changes=changes,
        actions=UserActions(len(changes), editing_seconds),
    )


def take_too_much(changes: Iterable[FieldChange]) -> bool:
    """Tell whether changes take more room than a record or an answer has."""
    size_bytes = 0
    for one in changes:
        size_bytes += len(f"{dump(one.old)}{dump(one.new)}{one.field}".encode())
        if one.moved_from is not None:
            size_bytes += len(path_text(one.moved_from).encode())
        if size_bytes > MAX_CHANGES_BYTES:
            return True
    return False
