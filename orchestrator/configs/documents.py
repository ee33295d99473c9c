"""From files to JSON documents whose every value knows its place.

What is checked here holds for any JSON file: that it may be read, is of bearable size, is UTF-8 and
JSON, and has no key twice. What the words in it mean is for later.
"""

from __future__ import annotations

import json
import math
import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from orchestrator.configs.faults import Fault
from orchestrator.configs.parameters import is_storable
from orchestrator.configs.positions import Path, Positions, field_name, place_of

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 20


class Kind(StrEnum):
    """What a file holds; values are the folders' names."""

    INTERCEPTION = "interception"
    OUTPUT = "output"
    PIPELINE = "pipelines"
    CHUNK = "chunks"
    WORKFLOW = "workflows"
    USER = "users"
    OUTPUT_DEFAULTS = "output/defaults.json"
    NODE_CLASSES = "node_classes.json"

    @property
    def noun(self) -> str:
        """What to call one of them."""
        return self.value.split("/")[-1].removesuffix(".json").removesuffix("s")

    @property
    def is_interception(self) -> bool:
        """Whether such a file is an interception config, ours or a user's own."""
        return self in (Kind.INTERCEPTION, Kind.USER)


@dataclass(frozen=True)
class Document:
    """One file that is JSON.

    Attributes:
        id: The explicit one, else the file's name without `.json`.
        file: Path inside the folder, with slashes.
        data: What it holds; after the schema's check an object.
    """

    kind: Kind
    id: str
    file: str
    data: Any
    positions: Positions

    def fault(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> Fault:
        """Make a fault about a value.

        Args:
            path: The value's; may be a missing one, then its parent's place is named.
            message: What is wrong.
            hint: What to do.
            at_key: Name the place of the key in front of the value.
        """
        place = self.positions.key(path) if at_key else self.positions.value(path)
        return Fault(self.file, place.line, place.column, field_name(path), message, hint)


class UnreadableFileError(Exception):
    """A file is no JSON document; holds the faults that say why."""

    def __init__(self, *faults: Fault) -> None:
        """Keep the faults."""
        super().__init__(*faults)
        self.faults = faults


def read_document(root: pathlib.Path, path: pathlib.Path, kind: Kind) -> Document:
    """Read one file.

    Args:
        root: The folder that is checked; the file must not lead out of it.
        path: The file, below `root`.
        kind: What it should hold.

    Raises:
        UnreadableFileError: It cannot be used at all.
    """
    file = path.relative_to(root).as_posix()
    text = _decode(_read_bytes(root, path, file), file)
    data = _parse(text, file)
    positions = Positions(text)
    explicit = data.get("id") if isinstance(data, dict) else None
    id_ = explicit if isinstance(explicit, str) else path.stem
    if kind is Kind.USER:
        id_ = f"u_{path.parent.name}_{path.stem}"
    document = Document(kind, id_, file, data, positions)
    faults = [*_repeated_keys(document), *_unusable_values(document)]
    if faults:
        raise UnreadableFileError(*faults)
    return document


def _read_bytes(root: pathlib.Path, path: pathlib.Path, file: str) -> bytes:
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve(strict=True)):
            raise UnreadableFileError(
                Fault(file, 0, 0, "", "This link leads out of the folder.", "Put a copy here.")
            )
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFileError(Fault(file, 0, 0, "", "This is no file."))
        with real.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError) as exc:  # RuntimeError: links in a circle, before Python 3.13
        reason = getattr(exc, "strerror", None) or "links lead in a circle"
        fault = Fault(file, 0, 0, "", f"This file cannot be read: {reason}.")
        raise UnreadableFileError(fault) from exc
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableFileError(
            Fault(file, 0, 0, "", "This file is larger than 1 MiB.", "Is it really a config?")
        )
    return content


def _decode(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        before = content[: exc.start].decode("utf-8-sig", errors="replace")
        place = place_of(before, len(before))
        raise UnreadableFileError(
            Fault(
                file,
                place.line,
                place.column,
                "",
                "This is not UTF-8 text.",
                "Save the file with the encoding UTF-8; umlauts are the usual reason.",
            )
        ) from exc


def _parse(text: str, file: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        message = f"This is not JSON: {exc.msg[0].lower()}{exc.msg[1:]}."
        fault = Fault(file, exc.lineno, exc.colno, "", message, _syntax_hint(text, exc.pos))
    except RecursionError:
        fault = Fault(file, 1, 1, "", _TOO_DEEP)
    except ValueError:  # a whole number of thousands of digits
        fault = Fault(file, 1, 1, "", "A number in this file is far too long.")
    raise UnreadableFileError(fault)


_TOO_DEEP = f"Values are nested more than {MAX_DEPTH} deep."


def _syntax_hint(text: str, offset: int) -> str:
    """Guess the usual slips: a comma too many or too few, other quotes, a comment."""
    here, before = text[offset : offset + 2], text[:offset].rstrip()
    if here[:1] == "," or (here[:1] in {"}", "]"} and before.endswith(",")):
        return "There is a comma too many."
    if here[:1] in {"'", "“", "„", "”"}:
        return 'Use straight double quotes: "…".'
    if here in {"//", "/*"} or here[:1] == "#":
        return "JSON has no comments; write a description instead."
    if here[:1] == '"':
        return "A comma or a colon is missing before it."
    if not here:
        return "The file ends too early; a bracket or a quote is missing."
    if here[:1] in {"\n", "\t", "\r"}:
        return "A text must end on its line; write a list of lines instead."
    if text[offset:].startswith(("True", "False", "None")):
        return "Write true, false or null in lower case."
    return ""


def _repeated_keys(document: Document) -> Iterator[Fault]:
    for path, place in document.positions.repeated_keys:
        yield Fault(
            document.file,
            place.line,
            place.column,
            field_name(path),
            f'The key "{path[-1]}" is here twice.',
            "Keep one of them.",
        )


def _unusable_values(document: Document) -> Iterator[Fault]:
    """Find what Python's reader lets pass: depth, NaN, infinities and halves of characters."""
    waiting: list[tuple[Path, Any]] = [((), document.data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict | list):
            if len(path) >= MAX_DEPTH:
                yield document.fault(path, _TOO_DEEP)
                continue
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend(((*path, key), inner) for key, inner in pairs)
        elif isinstance(value, float) and not math.isfinite(value):
            yield document.fault(path, "This is no finite number.")
        elif isinstance(value, str) and not is_storable(value):
            yield document.fault(path, "This text holds half of a character.")
        if path and isinstance(path[-1], str) and not is_storable(path[-1]):
            yield document.fault(path[:-1], "A key holds half of a character.")
