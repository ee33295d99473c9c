"""What ZIP and RO-Crate share: an archive that is written once, with a sum of every file in it."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tracker_service.export.json_form import dump
from tracker_service.files import safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker_service.items import MediaRef
    from tracker_service.records import ExecutionRecord

MANIFEST: Final = "manifest-sha256.txt"
MISSING: Final = "missing-media.txt"
_PIECE: Final = 1024 * 1024
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # a ZIP file knows no time before


def record_name(record: ExecutionRecord) -> str:
    """Return the name of a record in an archive; the folders are those of `research_data/`."""
    summary = record.summary
    return f"records/{safe_name(summary.config_name)}/{safe_name(summary.execution_id)}.json"


def media_name(media: MediaRef) -> str:
    """Return the name of a file in an archive: its hash, and the ending of the stored file."""
    ending = media.uri.rpartition("/")[2].partition(".")[2]
    name = f"{media.sha256}.{safe_name(ending)}" if ending else media.sha256
    return f"media/{media.sha256[:2]}/{name}"


class MediaChoice:
    """Remembers which files are in the archive already; one hash is one file."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: set[bytes] = set()

    def fresh(self, records: Sequence[ExecutionRecord]) -> list[MediaRef]:
        """Return the files of these records that were not asked for yet."""
        fresh = []
        for record in records:
            for item in record.items:
                if item.media is None or not item.media.sha256:
                    continue
                key = bytes.fromhex(item.media.sha256)
                if key not in self._seen:
                    self._seen.add(key)
                    fresh.append(item.media)
        return fresh


class Archive:
    """A ZIP file in the making. Sums and misses go to the disk, since there may be many."""

    def __init__(self, path: Path, created_us: int) -> None:
        """Begin the file; helping files lie beside it.

        Args:
            path: Where.
            created_us: Time that every entry carries, microseconds since 1970 UTC.
        """
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._manifest = path.with_name("manifest").open("w+", encoding="utf-8")
        self._missing = path.with_name("missing").open("w+", encoding="utf-8")
        moment = datetime.fromtimestamp(created_us // 1_000_000, UTC)
        self._time = max(_EARLIEST, moment.timetuple()[:6])

    def add_text(self, name: str, text: str) -> None:
        """Add a file with this text."""
        data = text.encode()
        self._zip.writestr(self._entry(name), data)
        self._note(name, hashlib.sha256(data).hexdigest())

    def add_record(self, record: ExecutionRecord) -> None:
        """Add the JSON form of a record."""
        self.add_text(record_name(record), dump(record) + "\n")

    def add_media(self, media: MediaRef, path: Path | None) -> None:
        """Add a file, or note that it cannot be had."""
        name = media_name(media)
        if path is None:
            self._missing.write(f"{media.sha256}  {name}\n")
            return
        entry = self._entry(name)
        entry.compress_type = zipfile.ZIP_STORED  # pictures, sounds and films are compressed
        digest = hashlib.sha256()
        with path.open("rb") as source, self._zip.open(entry, "w", force_zip64=True) as target:
            while data := source.read(_PIECE):
                digest.update(data)
                target.write(data)
        self._note(name, digest.hexdigest())

    def close(self) -> None:
        """Add what is missing and the sums, and finish the file."""
        self._missing.seek(0)
        if missing := self._missing.read():
            self.add_text(MISSING, missing)
        self._manifest.seek(0)
        self._zip.writestr(self._entry(MANIFEST), self._manifest.read())
        self.abandon()

    def abandon(self) -> None:
        """Close what is open."""
        self._zip.close()
        self._manifest.close()
        self._missing.close()

    def _entry(self, name: str) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, self._time)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        return entry

    def _note(self, name: str, sha256: str) -> None:
        self._manifest.write(f"{sha256}  {name}\n")
