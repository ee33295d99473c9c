"""All workers: who there is, who is well, who comes and goes while the service runs."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from generation_service.backends.interface import AttemptFailedError
from generation_service.queue.drivers import WorkerDownError
from generation_service.queue.interface import WorkerFixedError, WorkerNotFoundError
from generation_service.queue.notes import WorkerNote
from generation_service.queue.seats import Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from generation_service.backends.interface import MediaPlan
    from generation_service.queue.drivers import WorkerDriver
    from generation_service.queue.entry import Entry
    from generation_service.queue.notes import Journal
    from generation_service.queue.seats import HealthLimits
    from generation_service.queue.workforce import WorkerView

log = structlog.get_logger(__name__)

WORKER_REMOVED = "WORKER_REMOVED"
"""Why a job was taken away from a worker that goes."""


class WorkerPool:
    """The workers of a queue. `start` it before use, `close` it after."""

    def __init__(
        self,
        drivers: Iterable[WorkerDriver],
        connect: Callable[[str], WorkerDriver],
        journal: Journal,
        health: HealthLimits,
        *,
        built_in: Iterable[WorkerDriver] = (),
    ) -> None:
        """Build the pool; it closes all drivers.

        Args:
            drivers: The workers that the settings name by their addresses.
            connect: Makes a worker from an address that was given by RPC. Raises
                AddressInvalidError.
            journal: Keeps what was said about workers by RPC.
            health: When a worker counts as ill.
            built_in: Workers that are part of this service and cannot be removed.
        """
        self._connect = connect
        self._journal = journal
        self._health = health
        self._seats: dict[str, Seat] = {}
        self._notes: dict[str, WorkerNote] = {}
        self._configured = list(drivers)
        self._built_in = list(built_in)
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._changed: Callable[[], None] = lambda: None
        self._abandon: Callable[[Entry, AttemptFailedError], None] = lambda *_: None

    async def start(
        self,
        changed: Callable[[], None],
        abandon: Callable[[Entry, AttemptFailedError], None],
    ) -> None:
        """Take up the workers and begin to look after them.

        Args:
            changed: Called when a worker may be able to take a job, or no longer.
            abandon: Called for a job whose worker has died.
        """
        self._changed, self._abandon = changed, abandon
        self._notes = {note.address: note for note in await self._journal.worker_notes()}
        drivers = list(self._configured)
        known = {driver.address for driver in drivers}
        for note in self._notes.values():
            if note.presence == "added" and note.address not in known:
                drivers.append(self._connect(note.address))
        for driver in self._built_in:
            self.arrive(driver, fixed=True)
        for driver in drivers:
            if not self.arrive(driver):
                await driver.close()

    async def close(self) -> None:
        """Let go of all workers."""
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        for seat in self._seats.values():
            await seat.driver.close()

    @property
    def seats(self) -> Sequence[Seat]:
        """All workers, in the order in which they came."""
        return list(self._seats.values())

    def free(self) -> list[Seat]:
        """Those that may get a job now, the one that is idle for longest first."""
        return sorted((s for s in self._seats.values() if s.is_free), key=lambda s: s.idle_since)

    @property
    def wanted(self) -> list[str]:
        """Addresses of the workers that people added."""
        return [note.address for note in self._notes.values() if note.presence == "added"]

    def arrive(self, driver: WorkerDriver, *, fixed: bool = False) -> bool:
        """Take up a worker that is here by itself, unless people have removed it.

        Args:
            driver: The worker.
            fixed: It is part of a service and cannot be removed.
        """
        note = self._notes.get(driver.name if fixed else driver.address)
        if note is not None and note.presence == "removed":
            return False
        if (seat := self._seats.get(driver.name)) is not None:
            seat.resting = False
            return False
        self._admit(driver, fixed=fixed).draining = note is not None and note.draining
        self._changed()
        return True

    def recheck(self, name: str = "") -> None:
        """Something has been heard: of a worker, or of what some of them can do."""
        seat = self._seats.get(name)
        if seat is not None:
            seat.poke.set()
        self._changed()

    async def depart(self, name: str) -> None:
        """Let a worker go that went by itself, once it has no job."""
        seat = self._seats.get(name)
        if seat is not None:
            seat.leaving = True
            await self.released(seat)

    def rest(self, name: str) -> None:
        """Give a worker no further job until it arrives again: its process stops."""
        seat = self._seats.get(name)
        if seat is not None:
            seat.resting = True
            self._changed()

    def find(self, name: str) -> Seat:
        """The worker of this name.

        Raises:
            WorkerNotFoundError: There is none.
        """
        seat = self._seats.get(name)
        if seat is None:
            raise WorkerNotFoundError(name)
        return seat

    async def learn(self, plan: MediaPlan) -> None:
        """Find out who could carry out a plan."""
        asked = [s.driver for s in self._seats.values() if s.driver.backend == plan.backend]
        await asyncio.gather(*(each.learn(plan) for each in asked if each.choosy))

    def lacks(self, plan: MediaPlan) -> tuple[str, ...] | None:
        """What all workers lack for a plan; empty when one has it; None: no such worker.

        Workers that never answered count as able: nobody knows yet.
        """
        seats = [s for s in self._seats.values() if s.driver.backend == plan.backend]
        if not seats:
            return None
        return min(
            ((seat.driver.lacks(plan) or ()) if seat.facts is not None else () for seat in seats),
            key=len,
        )

    async def workers(self) -> Sequence[WorkerView]:
        """See `Workforce.workers`."""
        return [seat.view() for seat in self._seats.values()]

    async def add(self, address: str) -> WorkerView:
        """See `Workforce.add`."""
        driver = self._connect(address)
        seat = self._seats.get(driver.name)
        if seat is not None:
            await driver.close()
            seat.leaving = False
        else:
            seat = self._admit(driver)
        await self._note(WorkerNote(seat.note_key, "added", seat.draining))
        self._changed()
        return seat.view()

    async def remove(self, name: str, *, at_once: bool) -> WorkerView:
        """See `Workforce.remove`."""
        seat = self.find(name)
        if seat.fixed:
            raise WorkerFixedError(name)
        seat.leaving = True
        await self._note(WorkerNote(seat.note_key, "removed"))
        if seat.running is not None and at_once:
            gone = AttemptFailedError(
                WORKER_REMOVED, "The worker was removed.", worth_retrying=True
            )
            self._abandon(seat.running, gone)
        await self.released(seat)
        self._changed()
        return seat.view()

    async def drain(self, name: str, *, draining: bool) -> WorkerView:
        """See `Workforce.drain`."""
        seat = self.find(name)
        seat.draining = draining
        known = self._notes.get(seat.note_key, WorkerNote(seat.note_key))
        await self._note(replace(known, draining=draining))
        self._changed()
        return seat.view()

    async def released(self, seat: Seat) -> None:
        """A worker has nothing to do any more: it goes if it is to go."""
        if seat.leaving and seat.running is None and self._seats.get(seat.name) is seat:
            await self._dismiss(seat)

    async def _dismiss(self, seat: Seat) -> None:
        del self._seats[seat.name]
        watch = self._watches.pop(seat.name)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await seat.driver.close()
        log.info("worker_removed", worker=seat.name)

    async def _note(self, note: WorkerNote) -> None:
        self._notes[note.address] = note
        await self._journal.note_worker(note)

    def _admit(self, driver: WorkerDriver, *, fixed: bool = False) -> Seat:
        seat = Seat(driver, self._health, fixed=fixed)
        self._seats[driver.name] = seat
        watch = asyncio.create_task(self._look_after(seat), name=f"worker-{driver.name}")
        self._watches[driver.name] = watch
        return seat

    async def _look_after(self, seat: Seat) -> None:
        while True:
            await self._check(seat)
            well = seat.well.is_set()
            pause = self._health.check_seconds if well else self._health.recheck_seconds
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await seat.poke.wait()
            seat.poke.clear()

    async def _check(self, seat: Seat) -> None:
        before = seat.state
        try:
            async with asyncio.timeout(self._health.answer_seconds):
                facts = await seat.driver.check()
                await self._sweep(seat)
        except (WorkerDownError, TimeoutError) as exc:
            seat.did_not_answer(str(exc) or "It does not answer in time.")
        except Exception:
            # The edge of a worker: whatever it answers must not end our looking after it.
            log.exception("worker_check_crashed", worker=seat.name)
            seat.did_not_answer("Its check failed.")
        else:
            seat.answered(facts)
        if seat.dead and seat.running is not None:
            dead = AttemptFailedError(
                "WORKER_UNREACHABLE", "The worker has gone away.", worth_retrying=True
            )
            self._abandon(seat.running, dead)
        if seat.state is not before:
            log.info("worker_changed", worker=seat.name, state=seat.state, fault=seat.fault)
            self._changed()

    async def _sweep(self, seat: Seat) -> None:
        """End what was given up while the worker was away, so that no job runs twice."""
        for attempt_id in list(seat.leftovers):
            try:
                await seat.driver.cancel(attempt_id)
            except AttemptFailedError as exc:
                raise WorkerDownError(f"An old job does not end: {exc}") from exc
            seat.leftovers.discard(attempt_id)
