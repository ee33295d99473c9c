"""Which files of a folder count, what each of them holds, and the id by which others name it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from orchestrator.configs.documents import Kind, UnreadableFileError, read_document
from orchestrator.configs.predecessor.reports import FileReport, Notes, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.configs.documents import Document

MAX_FILES = 5_000
MAX_DEPTH = 8
_USERS = "user_configs"
_PYTHON = (
    "This is a Python program. Programs in config folders are never run: "
    "write its prompt or its workflow as JSON."
)


class Role(StrEnum):
    """What a file holds."""

    CONFIG = "config"
    PIPELINE = "pipeline"
    CHUNK = "chunk"


_FOLDERS = {"chunks": Role.CHUNK, "pipelines": Role.PIPELINE}
_EVERYWHERE = frozenset({"name", "description", "type", "meta", "tags", "display", "version"})
_KEYS = {
    Role.CONFIG: _EVERYWHERE
    | {"pipeline", "workflow_type", "context", "parameters", "media_preferences", "properties"}
    | {"instruction_type", "chunks", "audience", "model_preferences"},
    Role.PIPELINE: _EVERYWHERE
    | {"chunks", "input_requirements", "skip_stage2", "requires_interception_prompt", "defaults"}
    | {"pipeline_type", "pipeline_stage", "control_flow"},
    Role.CHUNK: _EVERYWHERE
    | {"template", "model", "parameters", "workflow", "input_mappings", "output_mapping"}
    | {"media_type", "api_config"},
}
_KINDS = {
    Role.CONFIG: Kind.INTERCEPTION,
    Role.PIPELINE: Kind.PIPELINE,
    Role.CHUNK: Kind.CHUNK,
}


@dataclass(frozen=True)
class Source:
    """One file that could be read.

    Attributes:
        id: By which others name it.
        folder: First folder below the configs, such as `interception`; empty: none.
        document: What it holds: always an object.
        notes: About this file; grows while it is used.
    """

    role: Role
    id: str
    folder: str
    document: Document
    notes: Notes = field(default_factory=Notes)

    @property
    def file(self) -> str:
        """Path inside the folder, with slashes."""
        return self.document.file

    @property
    def data(self) -> dict[str, Any]:
        """What it holds."""
        data: dict[str, Any] = self.document.data
        return data


def read_sources(folder: Path) -> tuple[list[Source], list[FileReport]]:
    """Read every file that counts.

    Only names that end in `.json` do, so `.json.disabled` and the like are off.

    Args:
        folder: The folder, with configs, pipelines and chunks somewhere below.

    Returns:
        The files that could be read, and the reports of those that could not.
    """
    sources: list[Source] = []
    refused: list[FileReport] = []
    for path in config_paths(folder):
        file = path.relative_to(folder).as_posix()
        if path.suffix == ".py":
            refused.append(FileReport(file, Result.REFUSED, _PYTHON))
            continue
        role, parts = _place(PurePosixPath(file))
        try:
            document = read_document(folder, path, _KINDS[role])
        except UnreadableFileError as exc:
            reason = " ".join(_sentence(fault.line, fault.message) for fault in exc.faults)
            refused.append(FileReport(file, Result.REFUSED, reason))
            continue
        if not isinstance(document.data, dict):
            reason = "It holds no object in braces, so it is no config."
            refused.append(FileReport(file, Result.REFUSED, reason))
            continue
        if role is Role.CONFIG and _looks_like_chunk(document.data):
            role = Role.CHUNK
        source = Source(role, _id(parts, document.data), parts[0], document)
        _note_unknown_keys(source)
        sources.append(source)
    return sources, refused


def config_paths(folder: Path) -> Iterator[Path]:
    """Yield the files that count, in a fixed order; links are not followed."""
    count = 0
    for place, folders, names in os.walk(folder):
        inside = Path(place)
        depth = len(inside.relative_to(folder).parts)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and depth < MAX_DEPTH)
        for name in sorted(names):
            is_program = name.endswith(".py") and "chunks" in inside.relative_to(folder).parts
            if name.startswith(".") or not (name.endswith(".json") or is_program):
                continue
            if (inside / name).is_symlink():
                continue
            count += 1
            if count > MAX_FILES:
                return
            yield inside / name


def _place(file: PurePosixPath) -> tuple[Role, tuple[str, ...]]:
    """Tell from the path what a file holds, and the parts of it that make its id."""
    folders, stem = file.parent.parts, file.stem
    for name, role in _FOLDERS.items():
        if name in folders:
            return role, (*folders[folders.index(name) + 1 :], stem)
    inside = folders[folders.index("configs") + 1 :] if "configs" in folders else folders
    return Role.CONFIG, (*inside, stem)


def _id(parts: tuple[str, ...], data: dict[str, Any]) -> str:
    name = data.get("name")
    if isinstance(name, str) and name.strip():
        return name.strip()
    if parts[0] == "interception" and len(parts) > 1:
        return "/".join(parts[1:])
    if parts[0] == _USERS and len(parts) > 2:
        return "_".join(("u", *parts[1:]))
    return "/".join(parts)


def _looks_like_chunk(data: dict[str, Any]) -> bool:
    kind = data.get("type")
    return "template" in data or (isinstance(kind, str) and kind.endswith("chunk"))


def _note_unknown_keys(source: Source) -> None:
    for key in source.data:
        # Authors leave remarks under keys such as `_comment`.
        if key not in _KEYS[source.role] and not key.startswith(("_", "$", "comment")):
            source.notes.add(f"{key[:40]}: this key is not known, and was not used.")


def _sentence(line: int, message: str) -> str:
    return f"Line {line}: {message}" if line else message


class Names:
    """Finds sources by the names that files use for each other."""

    def __init__(self, sources: list[Source]) -> None:
        """Take sources of one role; the first of an id counts."""
        self._by_id: dict[str, Source] = {}
        self._by_stem: dict[str, Source | None] = {}
        for source in sources:
            self._by_id.setdefault(source.id, source)
            for alias in {PurePosixPath(source.file).stem, source.id.rpartition("/")[2]}:
                # A name that two files share means neither.
                self._by_stem[alias] = None if alias in self._by_stem else source

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def find(self, name: str) -> Source | None:
        """Return the file of this id, else the only one whose last part of the path it is."""
        return self._by_id.get(name) or self._by_stem.get(name)
