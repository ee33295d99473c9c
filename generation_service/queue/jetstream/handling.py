"""What a worker's process does for the leader of the queue, attempt by attempt.

Every question may come twice, from one leader or from its successor: an attempt that is known is
not begun again, and what it brought is kept until the leader says that it is no longer needed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from generation_service.backends.interface import AttemptFailedError, MediaPlan
from generation_service.queue.drivers import WorkBegun
from generation_service.queue.jetstream.wire import (
    Fields,
    failure_fields,
    job_from_fields,
    progress_fields,
)
from generation_service.queue.keeping import AttemptName
from generation_service.queue.observer import on_behalf_of

if TYPE_CHECKING:
    from generation_service.media.interface import StoredMedia
    from generation_service.queue.drivers import Made, WorkerDriver
    from generation_service.queue.jetstream.link import Link
    from generation_service.queue.jobs import Job, Progress
    from generation_service.queue.keeping import Keeper

log = structlog.get_logger(__name__)

_KEPT_SECONDS = 900.0
"""How long the bytes of an attempt that nobody asks for are held."""
_STORING_SECONDS = 1.0
"""How long one question waits for the bytes to be stored."""
_PROGRESS_SECONDS = 0.05
_MAX_PREVIEW_BYTES = 256 * 1024


class Attempts:
    """The attempts of one worker."""

    def __init__(self, driver: WorkerDriver, keeper: Keeper, link: Link) -> None:
        """Build what answers for a worker.

        Args:
            driver: The worker.
            keeper: Stores what it makes.
            link: Where news are told.
        """
        self._driver = driver
        self._keeper = keeper
        self._link = link
        self._attempts: dict[str, _Attempt] = {}
        self._cancelling: dict[str, asyncio.Task[Fields]] = {}
        self.idle = asyncio.Event()
        """Set while nothing runs, and nothing waits to be stored."""
        self.idle.set()

    async def answer(self, question: Fields) -> Fields:
        """Answer a question of the leader."""
        match question["what"]:
            case "attend":
                return self._attend(question)
            case "keep":
                return await self._keep(question["attempt_id"])
            case "cancel":
                return await self._cancel(question["attempt_id"])
            case "forget":
                attempt = self._drop(question["attempt_id"])
                if attempt is not None and attempt.storing is not None:  # it was ended meanwhile
                    attempt.storing.cancel()
                    await asyncio.wait({attempt.storing})
                await self._driver.forget(question["attempt_id"])
                return {}
            case "release":
                self._release(question["attempt_id"])
                return {}
            case "lacks":
                plan = question["plan"]
                wanted = MediaPlan(**{**plan, "warnings": tuple(plan["warnings"])})
                return {"lacks": self._driver.lacks(wanted) or ()}
        raise ValueError("this is no question of ours")

    async def close(self) -> None:
        """Let go of what runs, without ending it where it runs."""
        for attempt_id, attempt in self._attempts.items():
            self._driver.release(attempt_id)
            attempt.stop()
        await asyncio.gather(
            *(attempt.work for attempt in self._attempts.values()),
            *self._cancelling.values(),
            return_exceptions=True,
        )

    def _attend(self, question: Fields) -> Fields:
        now = time.monotonic()
        for attempt_id, old in list(self._attempts.items()):
            if old.over_time is not None and now - old.over_time > _KEPT_SECONDS:
                self._drop(attempt_id)
        attempt = self._attempts.get(question["attempt_id"])
        if attempt is None:
            job = job_from_fields(question["job"])
            attempt = _Attempt(job, question["attempt_id"], self._driver, self._link)
            self._attempts[question["attempt_id"]] = attempt
            self.idle.clear()
            attempt.begin(question["tell"], resume=question["begun"])
            attempt.work.add_done_callback(lambda _: self._look_whether_idle())
        else:
            attempt.tell_to = question["tell"]
        return attempt.standing()

    async def _keep(self, attempt_id: str) -> Fields:
        attempt = self._attempts.get(attempt_id)
        if attempt is None or attempt.made is None:
            return {"state": "unknown"}
        if attempt.storing is None:
            attempt.storing = asyncio.create_task(self._store(attempt, attempt.made))
        await asyncio.wait({attempt.storing}, timeout=_STORING_SECONDS)
        if not attempt.storing.done():
            return {"state": "storing"}
        try:
            files = attempt.storing.result()
        except AttemptFailedError as failure:
            self._drop(attempt_id)
            return {"state": "failed", "failure": failure_fields(failure)}
        return {"state": "kept", "files": [asdict(file) for file in files]}

    async def _store(self, attempt: _Attempt, made: Made) -> tuple[StoredMedia, ...]:
        name = AttemptName(self._driver.name, attempt.attempt_id)
        return await self._keeper.keep(attempt.job, name, made.files)

    async def _cancel(self, attempt_id: str) -> Fields:
        """End an attempt; who asks again while it ends waits for the same end."""
        ending = self._cancelling.get(attempt_id)
        if ending is None:
            ending = asyncio.create_task(self._end(attempt_id))
            self._cancelling[attempt_id] = ending
        return await asyncio.shield(ending)

    def _release(self, attempt_id: str) -> None:
        """Wait no longer for an attempt, without ending it where it runs."""
        attempt = self._drop(attempt_id)
        if attempt is not None:
            self._driver.release(attempt_id)
            attempt.stop()

    def _drop(self, attempt_id: str) -> _Attempt | None:
        attempt = self._attempts.pop(attempt_id, None)
        self._look_whether_idle()
        return attempt

    def _look_whether_idle(self) -> None:
        if all(attempt.has_failed for attempt in self._attempts.values()):
            self.idle.set()

    async def _end(self, attempt_id: str) -> Fields:
        try:
            attempt = self._drop(attempt_id)
            if attempt is not None:
                attempt.stop()
                await asyncio.gather(attempt.work, return_exceptions=True)
            await self._driver.cancel(attempt_id)
        except AttemptFailedError as failure:
            return {"failure": failure_fields(failure)}
        finally:
            del self._cancelling[attempt_id]
        return {}


class _Attempt:
    """One attempt, and how it stands.

    Attributes:
        made: What it brought.
        over_time: When it was over, by `time.monotonic()`.
        storing: Stores what it brought.
        tell_to: The subject where the present leader hears of it.
    """

    work: asyncio.Task[None]

    def __init__(self, job: Job, attempt_id: str, driver: WorkerDriver, link: Link) -> None:
        self.job = job
        self.attempt_id = attempt_id
        self.made: Made | None = None
        self.over_time: float | None = None
        self.storing: asyncio.Task[tuple[StoredMedia, ...]] | None = None
        self.tell_to = ""
        self._driver = driver
        self._link = link
        self._begun = False
        self._progress: Progress | None = None
        self._news = asyncio.Event()
        self._failure: AttemptFailedError | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it has brought nothing."""
        return self._failure is not None

    def begin(self, tell_to: str, *, resume: bool) -> None:
        """Begin the work, or go on with what was begun before this process started."""
        self.tell_to = tell_to
        self.work = asyncio.create_task(self._carry_out(resume=resume))

    def stop(self) -> None:
        """Wait for it no longer."""
        self.work.cancel()
        if self.storing is not None:
            self.storing.cancel()

    def standing(self) -> Fields:
        """How it stands."""
        if self.made is not None:
            return {"state": "made", "begun": self._begun, "facts": asdict(self.made.facts)}
        if self._failure is not None:
            failure = failure_fields(self._failure)
            return {"state": "failed", "begun": self._begun, "failure": failure}
        return {"state": "running", "begun": self._begun}

    async def _carry_out(self, *, resume: bool) -> None:
        call = self._driver.resume if resume else self._driver.run
        telling = asyncio.create_task(self._tell())
        try:
            with on_behalf_of(self.job):
                self.made = await call(self.job, self.attempt_id, self._report)
        except AttemptFailedError as failure:
            self._failure = failure
        except Exception:
            # The edge of an attempt: our bug must end this job as failed, not the worker.
            log.exception("attempt_crashed", job_id=self.job.job_id)
            self._failure = AttemptFailedError("INTERNAL", "Internal error.", worth_retrying=False)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        self.over_time = time.monotonic()
        await self._tell_progress()
        await self._link.tell(self.tell_to, self.standing())

    def _report(self, news: Progress | WorkBegun) -> None:
        if isinstance(news, WorkBegun):
            self._begun = True
        else:
            self._progress = news
        self._news.set()

    async def _tell(self) -> None:
        """Tell the newest progress, not more often than anybody can see."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._tell_progress()
            await asyncio.sleep(_PROGRESS_SECONDS)

    async def _tell_progress(self) -> None:
        progress, self._progress = self._progress, None
        news: Fields = {"begun": self._begun}
        if progress is not None:
            preview = progress.preview
            fits = preview is not None and len(preview.data) <= _MAX_PREVIEW_BYTES
            wanted = self.job.previews and fits
            news["progress"] = progress_fields(progress, with_preview=wanted)
        await self._link.tell(self.tell_to, news)
