"""All jobs that can be asked for: those that wait and run, and the latest that have ended."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from generation_service.queue.endings import NOT_TRIED
from generation_service.queue.interface import JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from generation_service.queue.entry import Entry
    from generation_service.queue.interface import JobFilter
    from generation_service.queue.jobs import Job, JobView
    from servicekit.principals import Principal


class Book:
    """Jobs by id, and by the key of those who may ask for the same again."""

    def __init__(self, remembered: int) -> None:
        """Build an empty book that keeps so many ended jobs."""
        self._remembered = remembered
        self._entries: dict[str, Entry] = {}
        self._by_key: dict[tuple[str, str, str], str] = {}
        self._ended: OrderedDict[str, Entry] = OrderedDict()

    def __iter__(self) -> Iterator[Entry]:
        """All of them."""
        return iter(list(self._entries.values()))

    def repeated(self, job: Job) -> Entry | None:
        """The job that this one repeats; None: it is a new one.

        A job that nobody waited for any more, or that never had its turn, is not repeated: who
        comes back to it still wants what it did not bring.
        """
        if job.job_id in self._entries:  # the same question has come twice
            return self._entries[job.job_id]
        first = self._entries.get(self._by_key.get(job.own_key, "")) if job.own_key else None
        return None if first is None or first.end_reason in NOT_TRIED else first

    def add(self, entry: Entry) -> None:
        """Enter a job."""
        self._entries[entry.job.job_id] = entry
        if entry.job.own_key:
            self._by_key[entry.job.own_key] = entry.job.job_id

    def strike(self, entry: Entry) -> None:
        """Take a job out."""
        self._entries.pop(entry.job.job_id, None)
        self._ended.pop(entry.job.job_id, None)
        key = entry.job.own_key
        if key and self._by_key.get(key) == entry.job.job_id:
            del self._by_key[key]

    def ended(self, entry: Entry) -> None:
        """A job has ended; the oldest of those that nobody watches are forgotten."""
        entry.forget_prompt()
        self._ended[entry.job.job_id] = entry
        surplus = len(self._ended) - self._remembered
        if surplus > 0:
            unwatched = (e for e in list(self._ended.values()) if not e.watchers)
            for old, _ in zip(unwatched, range(surplus), strict=False):
                self.strike(old)

    def find(self, job_id: str) -> Entry:
        """A job.

        Raises:
            JobNotFoundError: It is unknown.
        """
        entry = self._entries.get(job_id)
        if entry is None:
            raise JobNotFoundError(job_id)
        return entry

    def find_for(self, job_id: str, caller: Principal) -> Entry:
        """A job that the caller may see.

        Raises:
            JobNotFoundError: It is unknown, or not the caller's.
        """
        entry = self.find(job_id)
        if not caller.may_see(entry.job.owner):
            raise JobNotFoundError(job_id)
        return entry

    def page(
        self, caller: Principal, wanted: JobFilter, *, before: str, limit: int
    ) -> Sequence[JobView]:
        """See `JobQueue.list_jobs`; ids sort by time."""
        views: list[JobView] = []
        for job_id in sorted(self._entries, reverse=True):
            if before and job_id >= before:
                continue
            entry = self._entries[job_id]
            if _is_wanted(entry, wanted) and caller.may_see(entry.job.owner):
                views.append(entry.view())
                if len(views) == limit:
                    break
        return views


def _is_wanted(entry: Entry, wanted: JobFilter) -> bool:
    if wanted.states and entry.state not in wanted.states:
        return False
    return not wanted.execution_id or entry.job.execution_id == wanted.execution_id
