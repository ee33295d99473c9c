"""Carries erasures out, in the background, until each is done.

It begins with what was left when the tracker ended last. A neighbour that is away costs time, not
the erasure: its tasks wait, and the receipt says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import structlog

from servicekit.context import new_id
from servicekit.errors import ServiceError
from tracker_service.erasure import TaskKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tracker_service.erasure import Erasure, Erasures, ErasureTask, Wanted

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 5.0
"""How often it looks for erasures that nobody asked for here: late items, other replicas."""
ANSWER_SECONDS: Final = 20.0
"""How long the one who asks waits for the receipt to be done."""


class ErasedFiles(Protocol):
    """The files that were written of records."""

    async def erase_record(self, config_name: str, execution_id: str) -> None:
        """Remove the file of an execution.

        Raises:
            OSError: It cannot be removed now.
        """

    async def erase_session(self, session_id: str) -> None:
        """Remove the file of a session, or write it anew without what was erased.

        Raises:
            OSError: It cannot be removed now.
        """


class ErasedMedia(Protocol):
    """The media store."""

    async def erase(self, execution_id: str) -> None:
        """Remove what an execution made or held and nobody else refers to.

        Raises:
            UnavailableError: It does not answer now.
        """

    async def erase_person(self, user_id: str) -> None:
        """Remove what a person uploaded and nobody else refers to.

        Raises:
            UnavailableError: It does not answer now.
        """


class Eraser:
    """Erases what is asked for, one thing after the other."""

    def __init__(
        self,
        erasures: Erasures,
        files: ErasedFiles,
        media: ErasedMedia,
        *,
        also: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Erase in a store and around it.

        Args:
            erasures: The store's side.
            files: The files of records.
            media: The media store.
            also: Called when the database is clean: forget what was copied from it.
        """
        self._erasures = erasures
        self._files = files
        self._media = media
        self._also = also
        self._wake = asyncio.Event()
        self._attempted: dict[str, asyncio.Event] = {}

    async def erase(self, wanted: Wanted) -> Erasure:
        """Erase; wait a little for the end of it.

        Args:
            wanted: A person, or executions.

        Returns:
            The receipt as it is by then.
        """
        receipt_id = new_id()
        attempted = self._attempted[receipt_id] = asyncio.Event()
        try:
            await self._erasures.begin(receipt_id, wanted)
            self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await attempted.wait()
        finally:
            del self._attempted[receipt_id]
        return await self._erasures.get(receipt_id)

    async def receipt(self, receipt_id: str) -> Erasure:
        """Return a receipt.

        Raises:
            NotFoundError: RECEIPT_NOT_FOUND.
        """
        return await self._erasures.get(receipt_id)

    async def run(self) -> NoReturn:
        """Carry out what was asked for, for ever."""
        while True:
            self._wake.clear()
            remaining = await self._run_all()
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it loses a cancellation that meets the wake.
                async with asyncio.timeout(RETRY_SECONDS if remaining else LOOK_SECONDS):
                    await self._wake.wait()

    async def _run_all(self) -> bool:
        """Do what can be done now; return whether something remains."""
        try:
            unfinished = await self._erasures.unfinished()
        except ServiceError as exc:
            log.warning("erasure_failed", reason=exc.reason)
            return True
        remaining = False
        for erasure in unfinished:
            try:
                await self._run_one(erasure)
            except (ServiceError, OSError) as exc:
                remaining = True
                log.warning(
                    "erasure_pending",
                    receipt_id=erasure.receipt_id,
                    error_type=type(exc).__name__,
                )
            if erasure.receipt_id in self._attempted:
                self._attempted[erasure.receipt_id].set()
        return remaining

    async def _run_one(self, erasure: Erasure) -> None:
        if erasure.wanted is not None:
            while await self._erasures.erase_next(erasure):
                pass
            await self._erasures.forget(erasure)
            if self._also is not None:
                await self._also()
        while tasks := await self._erasures.tasks(erasure.receipt_id):
            for task in tasks:
                await self._run_task(task)
                await self._erasures.finish_task(task)
        await self._erasures.finish(erasure.receipt_id)
        log.info("erasure_done", receipt_id=erasure.receipt_id)

    async def _run_task(self, task: ErasureTask) -> None:
        match task.kind:
            case TaskKind.FILE:
                await self._files.erase_record(task.config_name, task.name)
            case TaskKind.SESSION:
                await self._files.erase_session(task.name)
            case TaskKind.SCRUB:
                await self._erasures.scrub()
            case TaskKind.MEDIA:
                await self._media.erase(task.name)
            case TaskKind.PERSON:
                await self._media.erase_person(task.name)
