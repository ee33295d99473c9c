"""Which files of a folder are configs, and which only look as if they were.

A file in the wrong place would be passed over without a word; here it is a fault.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.configs.documents import Kind
from orchestrator.configs.faults import Fault
from orchestrator.configs.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Beside the folders of configs: models.json is read by the generation service, schema/ by editors.
_OTHER_FILES = {"models.json"}
_OTHER_FOLDERS = {"schema"}
_FOLDERS = {kind.value: kind for kind in Kind if not kind.value.endswith(".json")}
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def config_files(folder: Path) -> tuple[list[tuple[Kind, Path]], list[Fault]]:
    """List the files to read, in a fixed order, and what is wrong with others.

    Only names that end in `.json` count, so `dada.json.disabled` is off; hidden names are skipped.
    """
    found: list[tuple[Kind, Path]] = []
    faults: list[Fault] = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as exc:
        reason = exc.strerror or "unknown reason"
        return [], [Fault(".", 0, 0, "", f"This folder cannot be read: {reason}.")]
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _OTHER_FILES | _OTHER_FOLDERS:
            continue
        if entry.name in _FOLDERS:
            _take_folder(folder, entry, _FOLDERS[entry.name], found, faults)
        elif entry.name == Kind.NODE_CLASSES:
            found.append((Kind.NODE_CLASSES, entry))
        elif entry.name.endswith(".json") or (entry.is_dir() and _holds_json(entry)):
            hint = did_you_mean(entry.name, _FOLDERS) or f"Use one of: {', '.join(_FOLDERS)}."
            faults.append(Fault(entry.name, 0, 0, "", "Configs are not read from here.", hint))
    return found, faults


def _take_folder(
    root: Path, folder: Path, kind: Kind, found: list[tuple[Kind, Path]], faults: list[Fault]
) -> None:
    try:
        is_inside = folder.resolve(strict=True).is_relative_to(root.resolve(strict=True))
        entries = sorted(folder.iterdir()) if is_inside else []
    except (OSError, RuntimeError) as exc:  # RuntimeError: links in a circle, before Python 3.13
        reason = getattr(exc, "strerror", None) or "links lead in a circle"
        faults.append(Fault(folder.name, 0, 0, "", f"This folder cannot be read: {reason}."))
        return
    if not is_inside:
        message = "This link leads out of the folder."
        faults.append(Fault(folder.name, 0, 0, "", message, "Put a copy here."))
    for entry in entries:
        name = entry.relative_to(root).as_posix()
        if entry.name.startswith("."):
            continue
        if name == Kind.OUTPUT_DEFAULTS:
            found.append((Kind.OUTPUT_DEFAULTS, entry))
        elif kind is Kind.USER and folder.name == Kind.USER:
            _take_user(root, entry, found, faults)
        elif entry.is_dir():
            if _holds_json(entry):
                hint = f"Put the files into {kind.value}/ itself."
                faults.append(Fault(name, 0, 0, "", "Folders in folders are not read.", hint))
        elif entry.name.endswith(".json"):
            found.append((kind, entry))
            faults.extend(_name_faults(name, entry.stem))


def _take_user(
    root: Path, folder: Path, found: list[tuple[Kind, Path]], faults: list[Fault]
) -> None:
    if not folder.is_dir() or not _USER.fullmatch(folder.name):
        name = folder.relative_to(root).as_posix()
        hint = "Put the files into users/<user>/, where <user> is the id by which people call."
        faults.append(Fault(name, 0, 0, "", "This is no folder of a user.", hint))
        return
    _take_folder(root, folder, Kind.USER, found, faults)


def _name_faults(file: str, stem: str) -> Iterator[Fault]:
    if not _ID.fullmatch(stem):
        better = re.sub(r"[^a-z0-9_]+", "_", stem.lower()).strip("_")[:64]
        hint = f"Rename it, for instance to {better}.json." if _ID.fullmatch(better) else ""
        yield Fault(
            file, 0, 0, "",
            "A file's name is the config's id: lower-case letters, digits and underscores.",
            hint,
        )  # fmt: skip


def _holds_json(folder: Path) -> bool:
    try:
        return any(entry.name.endswith(".json") for entry in folder.iterdir())
    except OSError:
        return False
