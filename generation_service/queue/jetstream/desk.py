"""Where the leader of the queue answers the questions of all replicas."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from generation_service.queue.interface import JobFilter
from generation_service.queue.jetstream.link import SilenceError
from generation_service.queue.jetstream.notebook import DeposedError
from generation_service.queue.jetstream.wire import (
    Fields,
    job_from_fields,
    principal_from_fields,
    view_fields,
)
from generation_service.queue.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from generation_service.queue.jetstream.notebook import Notebook
    from generation_service.queue.jetstream.watches import Watches
    from generation_service.queue.jobs import Job
    from generation_service.queue.local import LocalJobQueue
    from generation_service.queue.pool import WorkerPool


class Desk:
    """Answers for a queue and its workers. Every question may come twice."""

    def __init__(
        self, queue: LocalJobQueue, pool: WorkerPool, watches: Watches, notebook: Notebook
    ) -> None:
        """Build the desk before a queue that runs."""
        self._queue = queue
        self._pool = pool
        self._watches = watches
        self._notebook = notebook
        self._entering: dict[str, asyncio.Task[str]] = {}
        self._answers: dict[str, Callable[[Fields], Awaitable[Fields]]] = {
            "submit": self._submit,
            "watch": watches.begin,
            "leave": watches.leave,
            "cancel": self._cancel,
            "erase": self._erase,
            "get": self._get,
            "list": self._list,
            "status": self._status,
            "pause": self._pause,
            "resume": self._resume,
            "workers": self._workers,
            "add": self._add,
            "remove": self._remove,
            "drain": self._drain,
            "hello": self._hello,
        }

    async def answer(self, question: Fields) -> Fields:
        """Answer a question of a replica.

        Raises:
            SilenceError: This process does not lead any more.
        """
        self._watches.hear(question["replica"])
        try:
            answer = await self._answers[question["what"]](question)
        except DeposedError as exc:
            raise SilenceError from exc
        if self._notebook.deposed.is_set():
            raise SilenceError
        return answer

    async def _submit(self, question: Fields) -> Fields:
        job = job_from_fields(question["job"])
        entering = self._entering.get(job.job_id)
        if entering is None:
            entering = asyncio.create_task(self._enter(job))
            self._entering[job.job_id] = entering
        return {"job_id": await asyncio.shield(entering)}

    async def _enter(self, job: Job) -> str:
        try:
            return await self._queue.submit(job)
        finally:
            del self._entering[job.job_id]

    async def _cancel(self, question: Fields) -> Fields:
        caller = principal_from_fields(question["caller"])
        return {"state": await self._queue.cancel(question["job_id"], caller)}

    async def _erase(self, question: Fields) -> Fields:
        await self._queue.erase(question["execution_id"])
        return {}

    async def _get(self, question: Fields) -> Fields:
        caller = principal_from_fields(question["caller"])
        return {"view": view_fields(await self._queue.get(question["job_id"], caller))}

    async def _list(self, question: Fields) -> Fields:
        wanted = JobFilter(
            {JobState(state) for state in question["states"]}, question["execution_id"]
        )
        views = await self._queue.list_jobs(
            principal_from_fields(question["caller"]),
            wanted,
            before=question["before"],
            limit=question["limit"],
        )
        return {"views": [view_fields(view) for view in views]}

    async def _status(self, question: Fields) -> Fields:
        status = await self._queue.status(principal_from_fields(question["caller"]))
        return {"status": asdict(status)}

    async def _pause(self, question: Fields) -> Fields:
        await self._queue.pause()
        return {}

    async def _resume(self, question: Fields) -> Fields:
        await self._queue.resume()
        return {}

    async def _workers(self, question: Fields) -> Fields:
        return {"workers": [asdict(view) for view in await self._pool.workers()]}

    async def _add(self, question: Fields) -> Fields:
        return {"worker": asdict(await self._pool.add(question["address"]))}

    async def _remove(self, question: Fields) -> Fields:
        view = await self._pool.remove(question["name"], at_once=question["at_once"])
        return {"worker": asdict(view)}

    async def _hello(self, question: Fields) -> Fields:
        return {}

    async def _drain(self, question: Fields) -> Fields:
        view = await self._pool.drain(question["name"], draining=question["draining"])
        return {"worker": asdict(view)}
