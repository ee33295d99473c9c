"""The process that leads the queue, chosen by a lease: one fair queue for all replicas.

Its rules are those of the queue of one process (`local.py`), before a journal and workers that are
elsewhere. When the leader dies, another replica goes on from the journal: what waited waits again,
what ran is asked for at its worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from generation_service.queue.jetstream.desk import Desk
from generation_service.queue.jetstream.host import LEADER_NEWS
from generation_service.queue.jetstream.lease import Lease
from generation_service.queue.jetstream.link import end
from generation_service.queue.jetstream.notebook import Notebook
from generation_service.queue.jetstream.roster import Roster
from generation_service.queue.jetstream.watches import Watches
from generation_service.queue.jobs import JobState
from generation_service.queue.local import LocalJobQueue
from generation_service.queue.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.queue.interface import QueueLimits
    from generation_service.queue.jetstream.documents import Documents
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jetstream.pace import Pace
    from generation_service.queue.observer import JobObserver
    from generation_service.queue.seats import HealthLimits

log = structlog.get_logger(__name__)

LEADER = "leader"
"""Key of the leader's lease."""


@dataclass(frozen=True)
class Rules:
    """What holds for the queue, whoever leads it.

    Attributes:
        limits: What is bounded.
        health: When a worker counts as ill.
        pace: How fast the processes look after one another.
        observer: Counts and traces jobs.
        identify: Backend and name of the worker at an address that people add. Raises
            AddressInvalidError.
    """

    limits: QueueLimits
    health: HealthLimits
    pace: Pace
    identify: Callable[[str], tuple[str, str]]
    observer: JobObserver | None = None


class Leadership:
    """Leads the queue whenever it is this process's turn."""

    def __init__(self, link: Link, jobs: Documents, leases: Documents, rules: Rules) -> None:
        """Build it.

        Args:
            link: To replicas and workers.
            jobs: The journal.
            leases: Where the leader is chosen.
            rules: Of the queue.
        """
        self._link = link
        self._jobs = jobs
        self._leases = leases
        self._rules = rules

    async def serve(self) -> None:
        """Stand by and lead in turns, until cancelled."""
        while True:
            lease = Lease(self._leases, LEADER, self._rules.pace.lease)
            await lease.take()
            log.info("queue_leadership_taken", term=lease.term)
            try:
                await self._lead(lease)
            except Exception:
                # The edge of a leadership: another process may fare better than this one.
                log.exception("queue_leadership_crashed", term=lease.term)
                await asyncio.sleep(self._rules.pace.beat)
            finally:
                await lease.give_up()
            log.warning("queue_leadership_lost", term=lease.term)

    async def _lead(self, lease: Lease) -> None:
        rules = self._rules
        holding = asyncio.create_task(lease.hold())
        notebook = Notebook(self._jobs, lease, remembered=rules.limits.remembered)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(_stop, holding)
            stack.push_async_callback(notebook.close)
            roster = Roster(self._link, notebook, rules.pace, lease.term, rules.identify)
            rows = await notebook.rows()
            running = [row.worker for row in rows if row.state is JobState.RUNNING]
            known = await roster.remembered(running)
            pool = WorkerPool(
                [each for each in known if not roster.is_fixed(each)],
                roster.connect,
                notebook,
                rules.health,
                built_in=[each for each in known if roster.is_fixed(each)],
            )
            queue = LocalJobQueue(pool, roster, notebook, rules.limits, rules.observer)
            await stack.enter_async_context(queue)
            watches = Watches(self._link, queue, notebook, rules.pace)
            stack.push_async_callback(watches.close)
            desk = Desk(queue, pool, watches, notebook)
            asked = await self._link.answer(desk_subject(self._link, lease.term), desk.answer)
            stack.push_async_callback(end, asked)
            work = [
                holding,
                asyncio.create_task(notebook.deposed.wait()),
                asyncio.create_task(watches.attend()),
                asyncio.create_task(roster.attend(pool)),
                asyncio.create_task(self._give_signs(lease.term, pool)),
            ]
            for task in work[1:]:
                stack.push_async_callback(_stop, task)
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            notebook.deposed.set()
            for task in done:
                task.result()

    async def _give_signs(self, term: int, pool: WorkerPool) -> None:
        """Say who leads, and which workers people have added."""
        subject = self._link.subject(LEADER_NEWS)
        while True:
            await self._link.tell(subject, {"term": term, "wanted": pool.wanted})
            await asyncio.sleep(self._rules.pace.beat)


def desk_subject(link: Link, term: int) -> str:
    """Where the leader of a term is asked: one that was replaced is asked no more."""
    return link.subject("desk", str(term))


async def _stop(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
