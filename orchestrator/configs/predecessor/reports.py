"""What became of each file: an author must see at once what was taken, changed or left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Result(StrEnum):
    """What became of a file."""

    LOADED = "loaded"
    LOADED_WITH_NOTES = "loaded_with_notes"
    REFUSED = "refused"


@dataclass(frozen=True, order=True)
class FileReport:
    """What became of one file.

    Attributes:
        file: Path inside the folder, with slashes.
        reason: Why it was refused, one or more sentences; empty where it was not.
        notes: What was changed, guessed or left out, one sentence each.
    """

    file: str
    result: Result
    reason: str = ""
    notes: tuple[str, ...] = ()


class RefusedError(Exception):
    """A file cannot be used; its text says why and what to do."""


@dataclass
class Notes:
    """Notes about one file, each kept once."""

    taken: list[str] = field(default_factory=list)

    def add(self, note: str) -> None:
        """Keep a note, unless it is there already."""
        if note not in self.taken:
            self.taken.append(note)

    def report(self, file: str) -> FileReport:
        """Return the report of a file that was loaded."""
        result = Result.LOADED_WITH_NOTES if self.taken else Result.LOADED
        return FileReport(file, result, "", tuple(self.taken))
