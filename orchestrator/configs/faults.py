"""What is wrong with config files, said so that an author can mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One fault.

    Attributes:
        file: Path inside the folder that was checked, with slashes.
        line: From 1; 0 where the whole file or a folder is meant.
        column: From 1, in characters; 0 as for `line`.
        field: Path of the value, such as `control_flow.chunks[1]`; empty: none.
        message: One sentence: what is wrong.
        hint: What to do about it; empty: nothing comes to mind.
    """

    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return " ".join(
            part
            for part in (f"{place}:", self.field and f"{self.field}:", self.message, self.hint)
            if part
        )


class ConfigError(Exception):
    """A folder of configs cannot be used; holds every fault that was found.

    Attributes:
        faults: Sorted by file and line; at least one.
    """

    def __init__(self, faults: list[Fault]) -> None:
        """Keep the faults, sorted."""
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(map(str, self.faults)))
