"""Erasing people and executions: what goes, what stays, and the receipt for it.

What goes: every text, file, name of a person, session or class, and the key of the seals. What
stays is a tombstone: ids, positions, seals, item types, times, counts, config and states; enough to
recompute the chain, to count, and to know an item again that arrives later from a spool.

An erasure is written down before it begins, so that a killed tracker goes on with it; whom it is
about is forgotten as soon as the database is done. Files and media follow by an outbox of tasks,
and the receipt is pending until that is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class ErasureState(StrEnum):
    """How far an erasure is."""

    RUNNING = "running"
    """The database still holds content."""
    PENDING = "pending"
    """The database is clean; files or media remain."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be erased: a person, or executions.

    Attributes:
        user_id: The pseudonym; empty: nobody.
        execution_ids: Executions; those that are not there do not matter.
    """

    user_id: str = ""
    execution_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure and what became of it: the receipt.

    Attributes:
        receipt_id: Its name.
        request_time_us: When it was asked for, microseconds since 1970 UTC.
        wanted: What it is about; None: forgotten, since the database is done.
        execution_count: Executions erased.
        item_count: Items erased.
        pending_count: Tasks outside of the database that remain.
        done_time_us: When everything was done.
    """

    receipt_id: str
    request_time_us: int
    wanted: Wanted | None
    execution_count: int
    item_count: int
    pending_count: int
    done_time_us: int | None

    @property
    def state(self) -> ErasureState:
        """How far it is."""
        if self.wanted is not None:
            return ErasureState.RUNNING
        return ErasureState.PENDING if self.done_time_us is None else ErasureState.DONE


class TaskKind(StrEnum):
    """What remains to be erased outside of the database."""

    FILE = "file"
    """The JSON file of an execution."""
    SESSION = "session"
    """The JSON file of a session."""
    SCRUB = "scrub"
    """What the database's own files still hold in freed pages and logs."""
    MEDIA = "media"
    """What an execution left in the media store and with the workers."""
    PERSON = "person"
    """What a person uploaded; asked for if they ever left anything in the media store."""


@dataclass(frozen=True, slots=True)
class ErasureTask:
    """One entry of the outbox.

    Attributes:
        number: Its number; 0: not stored yet.
        receipt_id: The erasure it belongs to.
        kind: What remains.
        name: The execution, session or person; empty for `SCRUB`.
        config_name: Folder of the execution's file.
    """

    number: int
    receipt_id: str
    kind: TaskKind
    name: str
    config_name: str = ""


class Erasures(Protocol):
    """Erasing in a store; every method may raise UnavailableError, reason STORE_UNAVAILABLE."""

    async def begin(self, receipt_id: str, wanted: Wanted) -> None:
        """Write down what is to be erased; from then on it will be."""

    async def get(self, receipt_id: str) -> Erasure:
        """Return a receipt.

        Raises:
            NotFoundError: RECEIPT_NOT_FOUND.
        """

    async def unfinished(self) -> list[Erasure]:
        """Return the erasures that are not done, oldest first."""

    async def erase_next(self, erasure: Erasure) -> bool:
        """Erase one execution, in one transaction with its tasks; return whether there was one.

        Export workflows of a person, and those that hold data of an execution, go with them.
        """

    async def forget(self, erasure: Erasure) -> None:
        """Forget whom `erasure` is about: nothing of it is left; add a task `SCRUB`."""

    async def scrub(self) -> None:
        """Leave no trace of what was erased in the database's own files."""

    async def tasks(self, receipt_id: str) -> Sequence[ErasureTask]:
        """Return the next tasks of an erasure; those whose names tell most come first."""

    async def finish_task(self, task: ErasureTask) -> None:
        """Strike a task off; the name of a person in it is followed by a task `SCRUB`."""

    async def finish(self, receipt_id: str) -> None:
        """Note that an erasure without tasks is done."""
