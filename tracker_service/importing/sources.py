"""Finds records in a file: JSON, JSON Lines, or a ZIP with records or run folders in it.

Whatever its size, one record is in memory at a time, and nothing in an archive is trusted: sizes
are counted while reading, and names never become paths.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from tracker_service.export.archive import MANIFEST
from tracker_service.importing.json_records import is_own_form, read_record
from tracker_service.importing.model import ForeignRecord, Unreadable, UnreadableError
from tracker_service.importing.run_folders import METADATA, read_run, runs_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Found = ForeignRecord | Unreadable

MAX_RECORD_BYTES: Final = 256 * 1024 * 1024
"""Of one record as JSON."""
MAX_MEDIA_BYTES: Final = 1024 * 1024 * 1024
_PIECE: Final = 1024 * 1024
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""What reading a damaged, encrypted or exotic archive raises."""
_OURS_TOO: Final = frozenset({"export.json", "ro-crate-metadata.json", MANIFEST})


def records_in(path: Path, name: str) -> Iterator[Found]:
    """Yield what is in a file.

    Args:
        path: The file.
        name: What its owner calls it, for the report.

    Yields:
        Records, and what was no record.
    """
    if zipfile.is_zipfile(path):
        yield from _in_archive(path)
    else:
        yield from _in_json(path, name)


# --- JSON ----------------------------------------------------------------------------------------


def _in_json(path: Path, name: str) -> Iterator[Found]:
    """Lines if the first one is a whole value; else an array, piece by piece; else one value."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline(MAX_RECORD_BYTES)
        if _is_whole(first):
            file.seek(0)
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _record(line, f"{name}:{number}")
            return
        file.seek(0)
        for number, text in enumerate(_values(file), 1):
            yield _record(text, f"{name}#{number}")


def _is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _values(file: Any) -> Iterator[str]:
    """Yield the objects of an array, or the one object of a file, as text."""
    decoder = json.JSONDecoder()
    buffer, wanted = "", _PIECE
    while True:
        piece = file.read(wanted)
        buffer = (buffer + piece).lstrip(" \t\r\n,[")
        while buffer[:1] == "{":
            try:
                _, end = decoder.raw_decode(buffer)
            except ValueError:
                break
            yield buffer[:end]
            buffer, wanted = buffer[end:].lstrip(" \t\r\n,"), _PIECE
        if not piece or len(buffer) > MAX_RECORD_BYTES:
            break
        wanted = max(_PIECE, len(buffer))  # so that a long record is not tried at every piece
    if buffer.strip(" \t\r\n]"):
        yield buffer


def _record(text: str, source: str) -> Found:
    try:
        return read_record(json.loads(text), source)
    except UnreadableError as exc:
        return Unreadable(source, exc.reason, exc.message)
    except (ValueError, RecursionError):
        return Unreadable(source, "NO_JSON", "This is no valid JSON.")


# --- archives ------------------------------------------------------------------------------------


class ArchiveFiles:
    """The files of an archive that stays open as long as its records are read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Read from an archive; its owner closes it."""
        self._archive = archive

    def copy(self, name: str, to: Path) -> bool:
        """Write the bytes of a file; see `MediaFiles`."""
        with to.open("wb") as target:
            return self._taken(name, target.write)

    def sha256(self, name: str) -> str | None:
        """Return the hash of a file; see `RunFiles`."""
        digest = hashlib.sha256()
        return digest.hexdigest() if self._taken(name, digest.update) else None

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the beginning of a file; see `RunFiles`."""
        try:
            with self._archive.open(name) as source:
                return source.read(limit)
        except (KeyError, *_BROKEN):
            return None

    def _taken(self, name: str, take: Callable[[bytes], object]) -> bool:
        """Hand a file over in pieces; False: it is damaged, not there, or too large."""
        size = 0
        try:
            with self._archive.open(name) as source:
                while data := source.read(_PIECE):
                    size += len(data)
                    if size > MAX_MEDIA_BYTES:
                        return False
                    take(data)
        except (KeyError, *_BROKEN):
            return False
        return True


def _in_archive(path: Path) -> Iterator[Found]:
    try:
        with zipfile.ZipFile(path) as archive:
            files = ArchiveFiles(archive)
            names = []
            for entry in archive.infolist():
                if (refusal := _refusal(entry)) is not None:
                    yield Unreadable(entry.filename, *refusal)
                elif not entry.is_dir():
                    names.append(entry.filename)
            in_runs: set[str] = set()
            for folder, inside in runs_in(names).items():
                if not _is_own_record(archive, f"{folder}/{METADATA}"):
                    in_runs.update(inside)
                    yield _run_in(folder, inside, files)
            yield from _records_among(archive, [one for one in names if one not in in_runs], files)
    except _BROKEN:
        yield Unreadable(path.name, "ARCHIVE_BROKEN", "The archive is damaged.")


def _records_among(
    archive: zipfile.ZipFile, names: list[str], files: ArchiveFiles
) -> Iterator[Found]:
    for name in names:
        if name.endswith(".json"):
            if name.rpartition("/")[2] not in _OURS_TOO:
                yield _record_in(archive, name, files)
        elif name.endswith(".jsonl"):
            yield from _lines_in(archive, name)


def _refusal(entry: zipfile.ZipInfo) -> tuple[str, str] | None:
    """Return reason and message if an entry is none that a folder of records can have."""
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
        return "PATH_REFUSED", "The name leads out of the archive."
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "LINK_REFUSED", "Links are not followed."
    return None


def _is_own_record(archive: zipfile.ZipFile, name: str) -> bool:
    """Tell whether a file has a record in our form, which just happens to be so called."""
    try:
        return is_own_form(json.loads(_text(archive, name.removeprefix("./"))))
    except (UnreadableError, KeyError, ValueError, RecursionError):
        return False


def _run_in(folder: str, names: list[str], files: ArchiveFiles) -> Found:
    try:
        return read_run(folder, names, files)
    except UnreadableError as exc:
        return Unreadable(folder, exc.reason, exc.message)


def _record_in(archive: zipfile.ZipFile, name: str, files: ArchiveFiles) -> Found:
    try:
        return read_record(json.loads(_text(archive, name)), name, files)
    except UnreadableError as exc:
        return Unreadable(name, exc.reason, exc.message)
    except (ValueError, RecursionError):
        return Unreadable(name, "NO_JSON", "This is no valid JSON.")


def _lines_in(archive: zipfile.ZipFile, name: str) -> Iterator[Found]:
    with archive.open(name) as file:
        number = 0
        while line := file.readline(MAX_RECORD_BYTES):
            number += 1
            if line.strip():
                yield _record(line.decode("utf-8-sig", "replace"), f"{name}:{number}")


def _text(archive: zipfile.ZipFile, name: str, limit: int = MAX_RECORD_BYTES) -> str:
    try:
        with archive.open(name) as file:
            data = file.read(limit + 1)
    except _BROKEN as exc:
        raise UnreadableError("ARCHIVE_BROKEN", f"{name} is damaged.") from exc
    if len(data) > limit:
        raise UnreadableError("FILE_TOO_LARGE", f"{name} is over {limit // 2**20} MiB.")
    return data.decode("utf-8-sig", "replace")
