"""Who may read which file as what: a small SQLite file beside the media.

Files are kept by their hash, so two people may own the same bytes. Ownership and release are
therefore noted per execution and item, and per uploader, never per file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from generation_service.media.interface import ItemTakenError, StoredMedia
from servicekit.principals import Principal, Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    sha256 TEXT PRIMARY KEY,
    uri TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS making (
    execution_id TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    PRIMARY KEY (execution_id, sha256)
) STRICT;
CREATE TABLE IF NOT EXISTS reference (
    execution_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    released INTEGER NOT NULL,
    PRIMARY KEY (execution_id, item_id)
) STRICT;
CREATE TABLE IF NOT EXISTS upload (
    sha256 TEXT NOT NULL REFERENCES file,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    PRIMARY KEY (sha256, user_id, session_id)
) STRICT;
PRAGMA user_version = 1;
"""
_FILE_COLUMNS = "file.uri, file.sha256, file.size_bytes, file.mime_type, file.width, file.height"


@dataclass(frozen=True)
class Reference:
    """A file as an item of an execution.

    Attributes:
        media: The file.
        owner: For whom the execution was; role and actor mean nothing here.
        released: Whether people may read it.
    """

    media: StoredMedia
    owner: Principal
    released: bool


class MediaLedger:
    """Notes kept durably: every change is on the disk before its call returns."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Args:
            path: Of the SQLite file; its folder is made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="media-ledger")
        self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)

    async def close(self) -> None:
        """Close the file after the last change."""
        await self._do(self._base.close)
        self._thread.shutdown(wait=False)

    async def note_made(
        self, media: StoredMedia, execution_id: str, item_id: str, owner: Principal
    ) -> None:
        """Note that an execution made a file, not yet released.

        Args:
            media: The file.
            execution_id: Who made it.
            item_id: The item that will hold it; empty: not known yet.
            owner: For whom.

        Raises:
            ItemTakenError: The item already stands for another file.
        """

        def note() -> None:
            self._add_file(media)
            self._base.execute(
                "INSERT OR IGNORE INTO making VALUES (?, ?, ?, ?, ?, ?)",
                (execution_id, media.sha256, owner.id, owner.session, owner.group, media.filename),
            )
            if item_id:
                self._add_reference(media, execution_id, item_id, owner, released=False)

        await self._do(self._in_transaction(note))

    async def note_upload(self, media: StoredMedia, owner: Principal) -> None:
        """Note that a person uploaded a file."""

        def note() -> None:
            self._add_file(media)
            self._base.execute(
                "INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?)",
                (media.sha256, owner.id, owner.session, media.filename),
            )

        await self._do(self._in_transaction(note))

    async def release(
        self, media: StoredMedia, execution_id: str, item_id: str, owner: Principal
    ) -> None:
        """Let `owner` read a file as an item.

        Raises:
            ItemTakenError: The item already stands for another file.
        """

        def note() -> None:
            self._add_reference(media, execution_id, item_id, owner, released=True)

        await self._do(self._in_transaction(note))

    async def made(self, execution_id: str, sha256: str) -> Reference | None:
        """The file as something that an execution made; None when it did not."""
        return await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, filename, user_id, session_id, group_id, 0 "
                "FROM making JOIN file USING (sha256) WHERE execution_id = ? AND sha256 = ?",
                (execution_id, sha256),
            )
        )

    async def reference(self, execution_id: str, item_id: str) -> Reference | None:
        """What an item stands for; None when for nothing."""
        return await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, filename, user_id, session_id, group_id, released "
                "FROM reference JOIN file USING (sha256) WHERE execution_id = ? AND item_id = ?",
                (execution_id, item_id),
            )
        )

    async def upload(self, sha256: str, owner: Principal) -> Reference | None:
        """The file as something that `owner` uploaded in this session; None when they did not."""
        return await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, filename, user_id, session_id, '', 0 "
                "FROM upload JOIN file USING (sha256) "
                "WHERE sha256 = ? AND user_id = ? AND session_id = ?",
                (sha256, owner.id, owner.session),
            )
        )

    async def file(self, sha256: str) -> StoredMedia | None:
        """The file by its hash alone; for services."""
        found = await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, '', '', '', '', 0 FROM file WHERE sha256 = ?", (sha256,)
            )
        )
        return found.media if found else None

    async def is_released(self, sha256: str) -> bool:
        """Whether anybody may read the file as an item of theirs."""
        query = "SELECT 1 FROM reference WHERE sha256 = ? AND released = 1 LIMIT 1"
        return bool(await self._do(lambda: self._base.execute(query, (sha256,)).fetchone()))

    def _add_file(self, media: StoredMedia) -> None:
        self._base.execute(
            "INSERT OR IGNORE INTO file VALUES (?, ?, ?, ?, ?, ?)",
            (
                media.sha256,
                media.uri,
                media.size_bytes,
                media.mime_type,
                media.width,
                media.height,
            ),
        )

    def _add_reference(
        self,
        media: StoredMedia,
        execution_id: str,
        item_id: str,
        owner: Principal,
        *,
        released: bool,
    ) -> None:
        row = self._base.execute(
            "SELECT sha256 FROM reference WHERE execution_id = ? AND item_id = ?",
            (execution_id, item_id),
        ).fetchone()
        if row is not None and row[0] != media.sha256:
            raise ItemTakenError(item_id)
        self._base.execute(
            "INSERT INTO reference VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET released = MAX(released, excluded.released)",
            (
                execution_id,
                item_id,
                media.sha256,
                owner.id,
                owner.session,
                owner.group,
                media.filename,
                int(released),
            ),
        )

    def _reference(self, query: str, values: tuple[str, ...]) -> Reference | None:
        row = self._base.execute(query, values).fetchone()
        if row is None:
            return None
        uri, sha256, size, mime, width, height, filename, user, session, group, released = row
        media = StoredMedia(uri, sha256, size, mime, filename, width, height)
        owner = Principal(user, Role.LEARNER, session, group, Role.LEARNER)
        return Reference(media, owner, bool(released))

    def _in_transaction(self, note: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                note()
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

        return run

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def named(media: StoredMedia, filename: str) -> StoredMedia:
    """The same file under a name for people."""
    return replace(media, filename=filename)
