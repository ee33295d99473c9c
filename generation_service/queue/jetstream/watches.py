"""Who follows a job from another process: the leader sends every event to their inbox.

An inbox may miss something, so the leader says again and again how far the story is; whoever has
not heard all of it asks again from where it left off. A replica that has died is no caller who
left: its caller will come back through another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from generation_service.queue.interface import JobNotFoundError, QueueClosedError
from generation_service.queue.jetstream.wire import (
    Fields,
    event_fields,
    job_fields,
    principal_from_fields,
)
from servicekit.principals import SERVICE

if TYPE_CHECKING:
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jetstream.notebook import Notebook
    from generation_service.queue.jetstream.pace import Pace
    from generation_service.queue.local import LocalJobQueue


@dataclass
class _Watch:
    """One who follows a job.

    Attributes:
        replica: The process where they are.
        inbox: Where they hear.
        told: Number of the last event that was sent.
        task: Sends.
        ended: There is nothing more to send.
    """

    replica: str
    inbox: str
    told: int
    task: asyncio.Task[None]
    ended: bool = False

    @property
    def standing(self) -> Fields:
        """How far it is."""
        return {"told": self.told, "ended": self.ended}


class Watches:
    """All who follow jobs from other processes."""

    def __init__(self, link: Link, queue: LocalJobQueue, notebook: Notebook, pace: Pace) -> None:
        """Build it before a queue; `attend` must run while it is used."""
        self._link = link
        self._queue = queue
        self._notebook = notebook
        self._pace = pace
        self._watches: dict[str, _Watch] = {}
        self._heard: dict[str, float] = {}

    def hear(self, replica: str) -> None:
        """A replica is there."""
        self._heard[replica] = time.monotonic()

    async def begin(self, question: Fields) -> Fields:
        """Send the events of a job to an inbox, from some number on."""
        observer = SERVICE
        if question["observer"] is not None:
            observer = principal_from_fields(question["observer"])
        view = await self._queue.get(question["job_id"], observer)
        await self._drop(question["watch"])
        sending = self._send(question["watch"], question["job_id"], question["after"])
        self._watches[question["watch"]] = _Watch(
            question["replica"], question["inbox"], question["after"], asyncio.create_task(sending)
        )
        plan = replace(view.job.plan, prompt="", work={})
        return {"job": job_fields(replace(view.job, plan=plan))}

    async def leave(self, question: Fields) -> Fields:
        """Somebody follows a job no longer; the caller whose job it is may leave it for good."""
        if question["caller_left"]:
            with contextlib.suppress(JobNotFoundError):
                self._queue.leave(question["job_id"])
        await self._drop(question["watch"])
        return {}

    async def attend(self) -> None:
        """Tell all how far their jobs are, and drop those whose process is silent."""
        while True:
            await asyncio.sleep(self._pace.beat)
            oldest = time.monotonic() - self._pace.silence - self._pace.beat
            for name, watch in list(self._watches.items()):
                if self._heard.get(watch.replica, 0.0) < oldest:
                    await self._drop(name)
                else:
                    await self._link.tell(watch.inbox, watch.standing)
            self._heard = {name: at for name, at in self._heard.items() if at >= oldest}

    async def close(self) -> None:
        """Send no more."""
        for name in list(self._watches):
            await self._drop(name)

    async def _drop(self, name: str) -> None:
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.task.cancel()
            await asyncio.gather(watch.task, return_exceptions=True)

    async def _send(self, name: str, job_id: str, after: int) -> None:
        following = self._queue.watch(job_id, after=after, observer=SERVICE)
        with contextlib.suppress(QueueClosedError, JobNotFoundError):
            async with aclosing(following) as events:
                async for event in events:
                    if self._notebook.deposed.is_set():
                        return  # what we think happened may not be so
                    watch = self._watches[name]
                    watch.told = event.sequence_number
                    await self._link.tell(watch.inbox, {"event": event_fields(event)})
            watch = self._watches[name]
            watch.ended = True
            await self._link.tell(watch.inbox, watch.standing)
