"""Erasing in a SQL database; see `erasure.Erasures`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from servicekit.context import new_id
from servicekit.errors import NotFoundError
from tracker_service.erasure import Erasure, ErasureTask, TaskKind, Wanted
from tracker_service.export_workflow.storage.removal import remove_of_execution, remove_of_person
from tracker_service.taxonomy import RULES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tracker_service.lifecycle import Execution
    from tracker_service.store.sql import SqlConnection, TransactionalBook

TASKS_PER_READ: Final = 100
_KNOWN_TYPES: Final = ", ".join(f"'{name}'" for name in sorted(RULES))
_ERASE_ITEMS: Final = (
    "UPDATE items SET content = NULL, media_uri = NULL, media_sha256 = NULL, "
    "media_size_bytes = NULL, media_mime_type = NULL, media_filename = NULL, config_used = '', "
    "model_used = '', backend_used = '', backend_job_id = '', metadata = '', "
    # An unknown type is free text of a foreign tool.
    f"item_type = CASE WHEN item_type IN ({_KNOWN_TYPES}) THEN item_type ELSE 'erased' END "
    "WHERE execution_key = ?"
)
_SELECT: Final = (
    "SELECT receipt_id, request_time_us, wanted, execution_count, item_count, "
    "(SELECT COUNT(*) FROM erasure_tasks WHERE erasure_tasks.receipt_id = erasures.receipt_id), "
    "done_time_us FROM erasures"
)
# The log is cut once the names of sessions are gone, but does not wait for media.
_TASK_ORDER: Final = (
    "CASE kind WHEN 'file' THEN 1 WHEN 'session' THEN 2 WHEN 'scrub' THEN 3 ELSE 4 END"
)

T = TypeVar("T")


class Write(Protocol):
    """Does something in a transaction."""

    def __call__(self, work: Callable[[TransactionalBook], T], /) -> Awaitable[T]:
        """Return the result of `work`, after its commit."""


class Read(Protocol):
    """Asks something."""

    def __call__(self, question: Callable[[SqlConnection], T], /) -> Awaitable[T]:
        """Return the answer."""


class SqlErasures:
    """See `erasure.Erasures`."""

    def __init__(self, write: Write, read: Read, clock: Callable[[], int]) -> None:
        """Erase in a database.

        Args:
            write: How to write to it.
            read: How to read it.
            clock: The time, microseconds since 1970 UTC.
        """
        self._write = write
        self._read = read
        self._clock = clock

    async def begin(self, receipt_id: str, wanted: Wanted) -> None:
        """See `Erasures.begin`."""
        now_us = self._clock()

        def begin(book: TransactionalBook) -> None:
            if wanted.user_id:
                book.remember_erased(wanted.user_id, now_us)
            _add_erasure(book.connection, receipt_id, wanted, now_us)

        await self._write(begin)

    async def get(self, receipt_id: str) -> Erasure:
        """See `Erasures.get`."""
        row = await self._read(
            lambda connection: connection.execute(
                f"{_SELECT} WHERE receipt_id = ?", (receipt_id,)
            ).fetchone()
        )
        if row is None:
            raise NotFoundError("RECEIPT_NOT_FOUND", "There is no such receipt.")
        return _erasure(row)

    async def unfinished(self) -> list[Erasure]:
        """See `Erasures.unfinished`."""
        found = await self._read(
            lambda connection: connection.execute(
                f"{_SELECT} WHERE done_time_us IS NULL ORDER BY request_time_us"
            ).fetchall()
        )
        return [_erasure(row) for row in found]

    async def erase_next(self, erasure: Erasure) -> bool:
        """See `Erasures.erase_next`."""
        wanted, now_us = erasure.wanted, self._clock()
        if wanted is None:
            return False

        def erase(book: TransactionalBook) -> bool:
            if wanted.user_id and remove_of_person(book.connection, wanted.user_id, now_us):
                return True
            name = _next_name(book, wanted)
            execution = None if name is None else book.find(name)
            if execution is None:
                return False
            _erase(book, execution, erasure.receipt_id, now_us)
            return True

        return await self._write(erase)

    async def forget(self, erasure: Erasure) -> None:
        """See `Erasures.forget`."""

        receipt_id, wanted = erasure.receipt_id, erasure.wanted

        def forget(book: TransactionalBook) -> None:
            book.connection.execute(
                "UPDATE erasures SET wanted = '' WHERE receipt_id = ?", (receipt_id,)
            )
            _add_task(book.connection, ErasureTask(0, receipt_id, TaskKind.SCRUB, ""))
            if wanted is not None and wanted.user_id:
                # Of uploads that no execution used, nothing here tells: the store is always asked.
                person = ErasureTask(0, receipt_id, TaskKind.PERSON, wanted.user_id)
                _add_task(book.connection, person)

        await self._write(forget)

    async def scrub(self) -> None:
        """See `Erasures.scrub`."""
        await self._write(lambda book: book.scrub())

    async def tasks(self, receipt_id: str) -> Sequence[ErasureTask]:
        """See `Erasures.tasks`."""
        found = await self._read(
            lambda connection: connection.execute(
                "SELECT number, receipt_id, kind, name, config_name FROM erasure_tasks "
                f"WHERE receipt_id = ? ORDER BY {_TASK_ORDER}, number LIMIT {TASKS_PER_READ}",
                (receipt_id,),
            ).fetchall()
        )
        return [ErasureTask(row[0], row[1], TaskKind(row[2]), *row[3:]) for row in found]

    async def finish_task(self, task: ErasureTask) -> None:
        """See `Erasures.finish_task`."""

        def finish(book: TransactionalBook) -> None:
            book.connection.execute("DELETE FROM erasure_tasks WHERE number = ?", (task.number,))
            if task.kind is TaskKind.PERSON:
                _add_task(book.connection, ErasureTask(0, task.receipt_id, TaskKind.SCRUB, ""))

        await self._write(finish)

    async def finish(self, receipt_id: str) -> None:
        """See `Erasures.finish`."""
        now_us = self._clock()
        await self._write(
            lambda book: book.connection.execute(
                "UPDATE erasures SET done_time_us = ? WHERE receipt_id = ?", (now_us, receipt_id)
            )
        )


def _next_name(book: TransactionalBook, wanted: Wanted) -> str | None:
    """Return an execution that is still to be erased."""
    book.flush()
    if wanted.user_id:
        row = book.connection.execute(
            "SELECT execution_id FROM executions WHERE user_id = ? ORDER BY key LIMIT 1",
            (wanted.user_id,),
        ).fetchone()
        return row[0] if row else None
    for name in wanted.execution_ids:
        execution = book.find(name)
        if execution is not None and execution.erased_time_us is None:
            return name
    return None


def _erase(book: TransactionalBook, execution: Execution, receipt_id: str, now_us: int) -> None:
    """Erase one execution and note what remains to be done outside."""
    connection = book.connection
    for task in _tasks_for(connection, execution, receipt_id):
        _add_task(connection, task)
    connection.execute(_ERASE_ITEMS, (execution.key,))
    remove_of_execution(connection, execution.execution_id, now_us)
    connection.execute("DELETE FROM execution_facets WHERE execution_key = ?", (execution.key,))
    connection.save_words(execution.key, ())
    connection.execute("DELETE FROM idempotency_keys WHERE execution_key = ?", (execution.key,))
    connection.execute(
        "UPDATE claims SET owner_address = '' WHERE execution_key = ?", (execution.key,)
    )
    connection.execute(
        "UPDATE erasures SET execution_count = execution_count + 1, item_count = item_count + ? "
        "WHERE receipt_id = ?",
        (execution.item_count, receipt_id),
    )
    execution.erase(now_us)
    book.touch(execution)


def add_late_erasure(connection: SqlConnection, execution: Execution, now_us: int) -> None:
    """Note an erasure of what came, or was made, after its person was erased.

    Args:
        connection: To the database, in a transaction.
        execution: Erased, or about to be.
        now_us: The time, microseconds since 1970 UTC.
    """
    name = execution.execution_id
    noted = connection.execute(
        "SELECT 1 FROM erasure_tasks WHERE kind = ? AND name = ? LIMIT 1",
        (TaskKind.MEDIA.value, name),
    ).fetchone()
    if noted is not None:
        return
    receipt_id = new_id()
    wanted = None if execution.erased_time_us is not None else Wanted(execution_ids=(name,))
    _add_erasure(connection, receipt_id, wanted, now_us)
    _add_task(connection, ErasureTask(0, receipt_id, TaskKind.MEDIA, name))


def _add_erasure(
    connection: SqlConnection, receipt_id: str, wanted: Wanted | None, now_us: int
) -> None:
    connection.execute(
        "INSERT INTO erasures (receipt_id, request_time_us, wanted, execution_count, item_count) "
        "VALUES (?, ?, ?, 0, 0)",
        (receipt_id, now_us, json.dumps(asdict(wanted)) if wanted else ""),
    )


def _add_task(connection: SqlConnection, task: ErasureTask) -> None:
    connection.execute(
        "INSERT INTO erasure_tasks (receipt_id, kind, name, config_name) VALUES (?, ?, ?, ?)",
        (task.receipt_id, task.kind.value, task.name, task.config_name),
    )


def _tasks_for(
    connection: SqlConnection, execution: Execution, receipt_id: str
) -> list[ErasureTask]:
    name = execution.execution_id
    tasks = [ErasureTask(0, receipt_id, TaskKind.FILE, name, execution.config_name)]
    if execution.session_id:
        tasks.append(ErasureTask(0, receipt_id, TaskKind.SESSION, execution.session_id))
    made = connection.execute(
        "SELECT 1 FROM items WHERE execution_key = ? "
        "AND (media_uri IS NOT NULL OR backend_job_id <> '') LIMIT 1",
        (execution.key,),
    ).fetchone()
    # One that has not ended may have jobs of which no item tells yet.
    if made is not None or execution.terminal_number is None:
        tasks.append(ErasureTask(0, receipt_id, TaskKind.MEDIA, name))
    return tasks


def _erasure(row: Any) -> Erasure:
    wanted = None
    if row[2]:
        form = json.loads(row[2])
        wanted = Wanted(form["user_id"], tuple(form["execution_ids"]))
    return Erasure(row[0], row[1], wanted, *row[3:])
