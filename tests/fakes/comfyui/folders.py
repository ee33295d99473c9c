"""The folders of a worker and the rules for names in them: `/view`, uploads, saved files."""

from __future__ import annotations

import os
import random
import re
import shutil
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("output", "input", "temp")
PARTS = ("month", "day", "hour", "minute", "second")
DIGITS = re.compile(r"\d+(?=\D|$)")
ANNOTATIONS = tuple(f"[{kind}]" for kind in KINDS)


class OutsideError(Exception):
    """A name leaves its folder."""


@dataclass(frozen=True)
class SavePlace:
    """Where the next files of a prefix go.

    Attributes:
        folder: Of the files.
        name: Prefix of the files' names.
        counter: Of the first file.
        subfolder: As told to clients.
        kind: "output" or "temp".
    """

    folder: Path
    name: str
    counter: int
    subfolder: str
    kind: str

    def file(self, index: int, suffix: str) -> tuple[Path, dict[str, str]]:
        """Return the path of the index-th file and how a client names it."""
        name = f"{self.name}_{self.counter + index:05}_.{suffix}"
        return self.folder / name, {
            "filename": name,
            "subfolder": self.subfolder,
            "type": self.kind,
        }


class Folders:
    """`input`, `output` and `temp` below one folder."""

    def __init__(self, base: Path) -> None:
        """Make the folders if they are missing."""
        self.base = base
        for kind in KINDS:
            (base / kind).mkdir(parents=True, exist_ok=True)

    def wipe_temp(self) -> None:
        """Empty `temp`, as every start does."""
        shutil.rmtree(self.base / "temp", ignore_errors=True)
        (self.base / "temp").mkdir()

    def split(self, name: str, default: str) -> tuple[str, Path]:
        """Split "name.png [input]" into the name and the folder it means.

        One character before the bracket is cut off, whatever it is.
        """
        for kind, annotation in zip(KINDS, ANNOTATIONS, strict=True):
            if name.endswith(annotation):
                return name[: -len(annotation) - 1], self.base / kind
        return name, self.base / default

    def file_of(self, name: str) -> Path:
        """Return the path of a name as LoadImage takes it."""
        plain, folder = self.split(name, "input")
        return folder / plain

    def has(self, name: str) -> bool:
        """Say whether such a file can be loaded."""
        return self.file_of(name).exists()

    def inside(self, folder: Path, *parts: str) -> Path:
        """Join names to a folder.

        Raises:
            OutsideError: The result would lie outside of it.
        """
        path = os.path.abspath(os.path.join(folder, *parts))
        if os.path.commonpath((path, folder)) != str(folder):
            raise OutsideError(path)
        return folder / os.path.relpath(path, folder)

    def save_place(self, prefix: str, kind: str, width: int = 0, height: int = 0) -> SavePlace:
        """Find the next free names of a prefix.

        Args:
            prefix: May contain folders and tokens such as %width%.
            kind: "output" or "temp".
            width: For the token.
            height: For the token.

        Raises:
            OutsideError: The prefix leaves the folder; the text is the real server's.
        """
        root = self.base / kind
        prefix = _expand(prefix, width, height)
        subfolder, name = os.path.split(os.path.normpath(prefix))
        try:
            folder = self.inside(root, subfolder)
        except OutsideError as exc:
            raise OutsideError(
                "**** ERROR: Saving image outside the output folder is not allowed.\n"
                f" full_output_folder: {exc}\n         output_dir: {root}\n"
                f"         commonpath: {os.path.commonpath((str(exc), root))}"
            ) from exc
        folder.mkdir(parents=True, exist_ok=True)
        start, counter = len(name) + 1, 1  # a plain loop: there may be thousands of files
        for each in os.listdir(folder):
            if each[: start - 1].lower() == name.lower() and each[start - 1 : start] == "_":
                digits = DIGITS.match(each, start)
                counter = max(counter, int(digits[0]) + 1) if digits else counter
        return SavePlace(folder, name, counter, subfolder, kind)

    def temp_prefix(self) -> str:
        """Return the prefix of files that are only shown; random as in the real server."""
        return "ComfyUI_temp_" + "".join(random.choices(string.ascii_lowercase, k=5))


def _expand(prefix: str, width: int, height: int) -> str:
    if "%" not in prefix:
        return prefix
    now: Any = datetime.now(UTC)
    values = {"width": width, "height": height, "year": now.year}
    values |= {part: f"{getattr(now, part):02}" for part in PARTS}
    for token, value in values.items():
        prefix = prefix.replace(f"%{token}%", str(value))
    return prefix
