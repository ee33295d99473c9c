"""Who may read which file as what.

Files are kept by their hash, so two people may own the same bytes. Ownership and release are
therefore noted per execution and item, and per uploader, never per file.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from generation_service.media.interface import ItemTakenError, StoredMedia
from generation_service.media.origin import Origin
from servicekit.principals import Principal, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.media.ledger_base import LedgerBase

T = TypeVar("T")

_FILE_COLUMNS = "file.uri, file.sha256, file.size_bytes, file.mime_type, file.width, file.height"

_REFERRED_TO = (
    "SELECT 1 FROM making WHERE sha256 = ? UNION ALL SELECT 1 FROM reference WHERE sha256 = ? "
    "UNION ALL SELECT 1 FROM upload WHERE sha256 = ? LIMIT 1"
)


@dataclass(frozen=True)
class Reference:
    """A file as an item of an execution.

    Attributes:
        media: The file.
        owner: For whom the execution was; role and actor mean nothing here.
        released: Whether people may read it.
        origin: How a machine made it; None: a person brought it, or who asks need not know.
        execution_id: The execution that made or holds it; empty: asked for by its hash.
        is_upload: It was found as something that who asks has uploaded.
    """

    media: StoredMedia
    owner: Principal
    released: bool
    origin: Origin | None = None
    execution_id: str = ""
    is_upload: bool = False


@dataclass(frozen=True)
class Removal:
    """What was forgotten.

    Attributes:
        count: References that are gone.
        hashes: Of the files that they meant; others may still refer to them.
    """

    count: int
    hashes: frozenset[str]


class MediaLedger:
    """Notes kept durably: every change is on the disk before its call returns."""

    def __init__(self, base: LedgerBase) -> None:
        """Keep the notes in a database that is prepared for them; closed with the ledger."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="media-ledger")
        self._base = base

    async def close(self) -> None:
        """Close the database after the last change."""
        await self._do(self._base.close)
        self._thread.shutdown(wait=False)

    async def note_made(
        self,
        media: StoredMedia,
        execution_id: str,
        item_id: str,
        owner: Principal,
        origin: Origin,
    ) -> Removal:
        """Note that an execution made a file, not yet released.

        Another file that stood for the item, was made before and was not released is forgotten:
        the attempt that made it was given up, and nobody has seen it.

        Args:
            media: The file.
            execution_id: Who made it.
            item_id: The item that will hold it; empty: not known yet.
            owner: For whom.
            origin: How it was made.

        Returns:
            What was forgotten.

        Raises:
            ItemTakenError: The item already stands for another file that was released.
        """

        def note() -> Removal:
            removal = self._forget_unseen(media, execution_id, item_id, origin)
            self._add_file(media)
            self._base.execute(
                "INSERT INTO making VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    execution_id,
                    media.sha256,
                    owner.id,
                    owner.session,
                    owner.group,
                    media.filename,
                    origin.to_json(),
                ),
            )
            if item_id:
                self._add_reference(media, execution_id, item_id, owner, released=False)
            return removal

        return await self._do(self._in_transaction(note))

    async def note_upload(self, media: StoredMedia, owner: Principal) -> None:
        """Note that a person uploaded a file."""

        def note() -> None:
            self._add_file(media)
            self._base.execute(
                "INSERT INTO upload VALUES (?, ?, ?, ?) ON CONFLICT (sha256, user_id, session_id) "
                "DO UPDATE SET filename = excluded.filename",
                (media.sha256, owner.id, owner.session, media.filename),
            )

        await self._do(self._in_transaction(note))

    async def release(
        self, media: StoredMedia, execution_id: str, item_id: str, owner: Principal
    ) -> None:
        """Let `owner` read a file as an item.

        Another item that was announced for it is forgotten, if it was not released: whoever
        announced it died, and its successor tells of the file under a name of its own.

        Raises:
            ItemTakenError: The item already stands for another file.
        """

        def note() -> None:
            self._base.execute(
                "DELETE FROM reference WHERE execution_id = ? AND sha256 = ? AND item_id <> ? "
                "AND released = 0",
                (execution_id, media.sha256, item_id),
            )
            self._add_reference(media, execution_id, item_id, owner, released=True)

        await self._do(self._in_transaction(note))

    async def made(self, execution_id: str, sha256: str) -> Reference | None:
        """The file as something that an execution made; None when it did not."""
        return await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, filename, user_id, session_id, group_id, 0, origin, "
                "execution_id FROM making JOIN file USING (sha256) "
                "WHERE execution_id = ? AND sha256 = ?",
                (execution_id, sha256),
            )
        )

    async def reference(self, execution_id: str, item_id: str) -> Reference | None:
        """What an item stands for; None when for nothing."""
        return await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, r.filename, r.user_id, r.session_id, r.group_id, "
                "released, origin, r.execution_id FROM reference r JOIN file USING (sha256) "
                "LEFT JOIN making m ON m.execution_id = r.execution_id AND m.sha256 = r.sha256 "
                "WHERE r.execution_id = ? AND r.item_id = ?",
                (execution_id, item_id),
            )
        )

    async def upload(self, sha256: str, owner: Principal) -> Reference | None:
        """The file as something that `owner` uploaded in this session; None when they did not."""
        found = await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, filename, user_id, session_id, '', 0, NULL, '' "
                "FROM upload JOIN file USING (sha256) "
                "WHERE sha256 = ? AND user_id = ? AND session_id = ?",
                (sha256, owner.id, owner.session),
            )
        )
        return replace(found, is_upload=True) if found else None

    async def file(self, sha256: str) -> StoredMedia | None:
        """The file by its hash alone; for services."""
        found = await self._do(
            lambda: self._reference(
                f"SELECT {_FILE_COLUMNS}, '', '', '', '', 0, NULL, '' FROM file WHERE sha256 = ?",
                (sha256,),
            )
        )
        return found.media if found else None

    async def is_released(self, sha256: str) -> bool:
        """Whether anybody may read the file as an item of theirs."""
        query = "SELECT 1 FROM reference WHERE sha256 = ? AND released = 1 LIMIT 1"
        return bool(await self._do(lambda: self._base.execute(query, (sha256,)).fetchone()))

    async def remove_execution(self, execution_id: str) -> Removal:
        """Forget that an execution made or holds anything, or that its person uploaded it.

        Nothing of it is left in the file's log.
        """
        removal = await self._remove(
            (
                "upload",
                "EXISTS (SELECT 1 FROM reference WHERE execution_id = ? "
                "AND reference.sha256 = upload.sha256 AND reference.user_id = upload.user_id "
                "AND reference.session_id = upload.session_id)",
                (execution_id,),
            ),
            ("making", "execution_id = ?", (execution_id,)),
            ("reference", "execution_id = ?", (execution_id,)),
        )
        await self._cut_log()
        return removal

    async def remove_item(self, execution_id: str, item_id: str) -> Removal:
        """Forget what one item stands for, and that its execution made it for this item alone."""
        item = (execution_id, item_id)
        return await self._remove(
            (
                "making",
                "execution_id = ? AND sha256 = (SELECT sha256 FROM reference "
                "WHERE execution_id = ? AND item_id = ?) AND NOT EXISTS (SELECT 1 FROM "
                "reference other WHERE other.execution_id = ? AND other.item_id <> ? "
                "AND other.sha256 = making.sha256)",
                (execution_id, *item, *item),
            ),
            ("reference", "execution_id = ? AND item_id = ?", item),
        )

    async def remove_person(self, user_id: str) -> Removal:
        """Forget that a person uploaded anything; nothing of it is left in the file's log."""
        removal = await self._remove(("upload", "user_id = ?", (user_id,)))
        await self._cut_log()
        return removal

    async def remove_upload(self, sha256: str, owner: Principal) -> Removal:
        """Forget that `owner` uploaded a file in this session."""
        named = (sha256, owner.id, owner.session)
        return await self._remove(
            ("upload", "sha256 = ? AND user_id = ? AND session_id = ?", named)
        )

    async def take_unreferenced(self, sha256: str) -> str | None:
        """Forget a file that nobody refers to, and note that its bytes are to be erased.

        Returns:
            Its key in the store; None: somebody refers to it, or it is not known.
        """

        def take() -> str | None:
            if self._base.execute(_REFERRED_TO, (sha256,) * 3).fetchone():
                return None
            row = self._base.execute(
                "DELETE FROM file WHERE sha256 = ? RETURNING uri", (sha256,)
            ).fetchone()
            if row is None:
                return None
            self._base.execute(
                "INSERT INTO erasing VALUES (?, ?) "
                "ON CONFLICT (sha256) DO UPDATE SET uri = excluded.uri",
                (sha256, row[0]),
            )
            return str(row[0])

        return await self._do(self._in_transaction(take))

    async def to_be_erased(self) -> dict[str, str]:
        """Keys by hash of what was taken and is not yet erased, such as after a crash."""
        query = "SELECT sha256, uri FROM erasing"
        return dict(await self._do(lambda: self._base.execute(query).fetchall()))

    async def note_erased(self, sha256: str) -> None:
        """Note that the bytes of a file are gone."""
        query = "DELETE FROM erasing WHERE sha256 = ?"
        await self._do(lambda: self._base.execute(query, (sha256,)))

    async def _cut_log(self) -> None:
        await self._do(self._base.cut_log)

    async def _remove(self, *parts: tuple[str, str, tuple[str, ...]]) -> Removal:
        """Delete rows of tables by conditions, and tell what they referred to."""

        def remove() -> Removal:
            count, hashes = 0, set()
            for table, condition, values in parts:
                rows = self._base.execute(
                    f"DELETE FROM {table} WHERE {condition} RETURNING sha256", values
                ).fetchall()
                count += len(rows)
                hashes |= {row[0] for row in rows}
            return Removal(count, frozenset(hashes))

        return await self._do(self._in_transaction(remove))

    def _add_file(self, media: StoredMedia) -> None:
        self._base.execute("DELETE FROM erasing WHERE sha256 = ?", (media.sha256,))
        self._base.execute(
            "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                media.sha256,
                media.uri,
                media.size_bytes,
                media.mime_type,
                media.width,
                media.height,
            ),
        )

    def _forget_unseen(
        self, media: StoredMedia, execution_id: str, item_id: str, origin: Origin
    ) -> Removal:
        """Forget what else an item stands for, where that was made before and never released."""
        rows = self._base.execute(
            "SELECT sha256, origin FROM reference JOIN making USING (execution_id, sha256) "
            "WHERE execution_id = ? AND item_id = ? AND sha256 <> ? AND released = 0",
            (execution_id, item_id, media.sha256),
        ).fetchall()
        old = [row[0] for row in rows if Origin.from_json(row[1]).made_at <= origin.made_at]
        for sha256 in old:
            self._base.execute(
                "DELETE FROM reference WHERE execution_id = ? AND item_id = ?",
                (execution_id, item_id),
            )
            self._base.execute(
                "DELETE FROM making WHERE execution_id = ? AND sha256 = ? AND NOT EXISTS "
                "(SELECT 1 FROM reference other WHERE other.execution_id = making.execution_id "
                "AND other.sha256 = making.sha256)",
                (execution_id, sha256),
            )
        return Removal(len(old), frozenset(old))

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
            "ON CONFLICT (execution_id, item_id) DO UPDATE SET released = "
            "CASE WHEN excluded.released = 1 THEN 1 ELSE reference.released END",
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
        uri, sha256, size, mime, width, height, filename, user, session, group = row[:10]
        released, origin, execution_id = row[10:]
        media = StoredMedia(uri, sha256, size, mime, filename, width, height)
        owner = Principal(user, Role.LEARNER, session, group, Role.LEARNER)
        made = Origin.from_json(origin) if origin else None
        return Reference(media, owner, bool(released), made, execution_id)

    def _in_transaction(self, note: Callable[[], T]) -> Callable[[], T]:
        def run() -> T:
            with self._base.transaction():
                return note()

        return run

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
