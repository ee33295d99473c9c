"""What an import reads, and what it says about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.items import ExecutionItem, MediaRef
    from tracker_service.records import ExecutionSummary

MOST_ENTRIES: Final = 1_000
"""Skipped records and refused items that a report names one by one."""
MOST_WARNINGS: Final = 1_000
MAX_SAID: Final = 300
"""Code points of a name that a report repeats."""


class UnreadableError(Exception):
    """Why something cannot be read as a record.

    Attributes:
        reason: UPPER_SNAKE.
        message: One sentence for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Make the error; see the class."""
        super().__init__(reason)
        self.reason = reason
        self.message = message


class MediaFiles(Protocol):
    """The files that came along with records."""

    def copy(self, name: str, to: Path) -> bool:
        """Write the bytes of a file; False: it is not among them.

        Raises:
            OSError: It cannot be written.
        """


@dataclass(frozen=True, slots=True)
class ForeignRecord:
    """A record as it was read, ready to be stored.

    Attributes:
        source: Where it was found, for people.
        summary: What it says of the execution as a whole.
        items: Its items, in their order.
        media: Names of the files of items, by `item_id`.
        files: Has those files; None: none came along.
        warnings: What was odd: a reason and what it was about.
    """

    source: str
    summary: ExecutionSummary
    items: tuple[ExecutionItem, ...]
    media: dict[str, str] = field(default_factory=dict)
    files: MediaFiles | None = None
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that was no record.

    Attributes:
        source: Where.
        reason: UPPER_SNAKE.
        message: One sentence for people.
    """

    source: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """Something that was not imported.

    Attributes:
        source: Where it was found.
        execution_id: The execution; empty when it is not known.
        reason: UPPER_SNAKE.
        message: One sentence for people.
    """

    source: str
    execution_id: str
    reason: str
    message: str


@dataclass(slots=True)
class Report:
    """What an import did.

    Attributes:
        dry_run: Nothing was stored.
        read_count: Records that were found and could be read.
        imported_count: Records that are stored now and were not before, or were only in part.
        present_count: Records that were there already, with all items.
        item_count: Items that were stored.
        media_count: Files that were brought to the media store.
        skipped: What was not imported, up to `MOST_ENTRIES`.
        skipped_count: How many there were.
        warnings: Reason and subject of what was odd, with how often.
    """

    dry_run: bool
    read_count: int = 0
    imported_count: int = 0
    present_count: int = 0
    item_count: int = 0
    media_count: int = 0
    skipped: list[ReportEntry] = field(default_factory=list)
    skipped_count: int = 0
    warnings: Counter[tuple[str, str]] = field(default_factory=Counter)

    def skip(self, entry: ReportEntry) -> None:
        """Note what was not imported."""
        self.skipped_count += 1
        if len(self.skipped) < MOST_ENTRIES:
            source, execution_id = _sayable(entry.source), _sayable(entry.execution_id)
            self.skipped.append(replace(entry, source=source, execution_id=execution_id))

    def warn(self, reason: str, subject: str) -> None:
        """Note what was odd; the same thing is one warning with a count."""
        subject = _sayable(subject)
        if (reason, subject) in self.warnings or len(self.warnings) < MOST_WARNINGS:
            self.warnings[reason, subject] += 1


def _sayable(text: str) -> str:
    """Return what a report can say of a text from a file, which may hold half a character."""
    return text[:MAX_SAID].encode("utf-8", "replace").decode()


class MediaStore(Protocol):
    """Takes files over."""

    async def bring(self, path: Path, media: MediaRef, owner: Owner) -> MediaRef | None:
        """Store a file as that of an item.

        Args:
            path: Its bytes.
            media: How the item refers to it.
            owner: Whose it is.

        Returns:
            How to refer to it from now on; None: it was refused.

        Raises:
            UnavailableError: MEDIA_UNAVAILABLE.
        """


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose file it is.

    Attributes:
        execution_id: The execution.
        item_id: The item.
        user_id: The person.
        session_id: The sitting.
        group_id: The class.
        released: The person may read it.
    """

    execution_id: str
    item_id: str
    user_id: str
    session_id: str
    group_id: str
    released: bool


JsonObject = dict[str, Any]
