"""Who had how many turns of a queue, and how many were due to them, as seen from outside.

With each turn that is given, an equal part of it is due to every session that has a job waiting
just then. So who waits for nothing, such as somebody whose run was interrupted, is due nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import grpc

from stellwerk.generation.v1 import generation_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub

LOOK_SECONDS = 0.2
CALL_SECONDS = 10.0


class Turns:
    """What was seen of a queue's jobs, look after look.

    Attributes:
        had: Turns that were given, by session.
        due: Turns that were due, by session.
    """

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.had: Counter[str] = Counter()
        self.due: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._waiting: set[str] = set()

    def note(self, jobs: Sequence[pb.Job]) -> None:
        """Take into account how all jobs stand now."""
        begun = [job for job in jobs if job.attempt > self._attempts.get(job.job_id, 0)]
        for job in begun:
            self._attempts[job.job_id] = job.attempt
            self.had[job.session_id] += 1
            entitled = self._waiting | {job.session_id}
            for session in entitled:
                self.due[session] = self.due.get(session, 0.0) + 1 / len(entitled)
        self._waiting = {job.session_id for job in jobs if job.state == pb.JOB_STATE_QUEUED}

    def lag(self, session: str) -> float:
        """Return how many turns a session had more than were due to it; less than 0: fewer."""
        return self.had[session] - self.due[session]

    def is_fair(self, session: str) -> bool:
        """Tell whether a session had what was due, within 20 %, and within the turn to come."""
        return abs(self.lag(session)) <= max(1.0, 0.2 * self.due[session])


@contextlib.asynccontextmanager
async def counted_turns(stub: GenerationServiceAsyncStub) -> AsyncIterator[Turns]:
    """Look at a queue again and again; what cannot be seen in a moment is seen in the next."""
    turns = Turns()

    async def look() -> None:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                turns.note(await _all_jobs(stub))
            await asyncio.sleep(LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield turns
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _all_jobs(stub: GenerationServiceAsyncStub) -> list[pb.Job]:
    jobs: list[pb.Job] = []
    token = ""
    while True:
        request = pb.ListJobsRequest(page_size=200, page_token=token)
        page = await stub.ListJobs(request, timeout=CALL_SECONDS)
        jobs += page.jobs
        token = page.next_page_token
        if not token:
            return jobs
