"""The journal of a queue of several processes: a document per job, in JetStream.

It outlives its writer, so another process can go on where one died. What a leader that has been
replaced without knowing it still tries to write is refused: its successor gives every job that is
not over a new version before it does anything else, and a new job counts only once the leader has
seen after writing it that it still leads.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from generation_service.queue.jetstream.documents import DocumentTooLargeError, WrongVersionError
from generation_service.queue.jetstream.wire import pack, unpack
from generation_service.queue.jobs import JobState
from generation_service.queue.notes import JobRow, JournalError, WorkerNote
from generation_service.queue.records import job_text, story_text

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from generation_service.queue.entry import Entry
    from generation_service.queue.jetstream.documents import Document, Documents
    from generation_service.queue.jetstream.lease import Lease
    from generation_service.queue.jobs import JobEvent

log = structlog.get_logger(__name__)

_TOUCHED_AT_ONCE = 64


class DeposedError(JournalError):
    """Another process leads the queue now; it will do what is to be done."""


@dataclass
class _Page:
    """A job's document; changes of one job come one after another.

    Attributes:
        fields: Its content.
        versions: Those that may still be there, the present one last.
    """

    fields: dict[str, Any]
    versions: list[int]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Notebook:
    """A `Journal` of documents, for as long as its process leads."""

    def __init__(self, documents: Documents, lease: Lease, *, remembered: int) -> None:
        """Build the notebook.

        Args:
            documents: Where everything is written.
            lease: By which this process leads.
            remembered: Ended jobs that are kept.
        """
        self._documents = documents
        self._lease = lease
        self._remembered = remembered
        self._pages: dict[str, _Page] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._cleaning: set[asyncio.Task[None]] = set()
        self._rows: list[JobRow] | None = None
        self.deposed = asyncio.Event()
        """Set when a write has shown that somebody else leads."""

    async def close(self) -> None:
        """Finish clearing away."""
        for task in list(self._cleaning):
            task.cancel()
        await asyncio.gather(*self._cleaning, return_exceptions=True)

    async def rows(self) -> list[JobRow]:
        """See `Journal.rows`; from here on nobody but this process can change what is not over."""
        if self._rows is None:
            self._rows = await self._take_over()
        return self._rows

    async def note_queued(self, entry: Entry) -> None:
        """See `Journal.note_queued`."""
        job_id = entry.job.job_id
        changes = {
            "state": JobState.QUEUED,
            "wait_seconds": entry.wait_seconds,
            "start_time": 0.0,
        }
        if job_id in self._pages:
            await self._change(job_id, changes)
            return
        fields = {
            "queue_time": entry.queue_time,
            "job": json.loads(job_text(entry.job)),
            "attempt": 0,
            "attempt_id": "",
            "worker": "",
            "story": None,
        }
        self._pages[job_id] = _Page(fields, [0])
        await self._change(job_id, changes)
        if not await self._lease.is_held():
            self._depose()

    async def note_started(self, entry: Entry) -> None:
        """See `Journal.note_started`."""
        changes = {
            "state": JobState.RUNNING,
            "attempt": entry.attempt,
            "attempt_id": entry.attempt_id,
            "worker": entry.worker,
            "wait_seconds": entry.wait_seconds,
            "start_time": time.time(),
        }
        await self._change(entry.job.job_id, changes)

    async def note_ended(self, entry: Entry, story: list[JobEvent]) -> None:
        """See `Journal.note_ended`; the versions that hold the prompt are overwritten."""
        job_id = entry.job.job_id
        if job_id not in self._pages:
            return  # it was never written: its caller left while it came
        changes = {
            "state": entry.state,
            "job": json.loads(job_text(entry.job_without_prompt)),
            "attempt": entry.attempt,
            "story": json.loads(story_text(story)),
            "end_time": time.time(),
        }
        await self._change(job_id, changes)
        self._ended[job_id] = None
        self._clean(self._forget_old_versions(job_id))
        while len(self._ended) > self._remembered:
            old, _ = self._ended.popitem(last=False)
            self._clean(self.drop(old))

    async def drop(self, job_id: str) -> None:
        """See `Journal.drop`."""
        self._pages.pop(job_id, None)
        await self._documents.remove(_key(job_id))

    async def erase(self, execution_id: str) -> None:
        """See `Journal.erase`."""
        for job_id in list(self._ended):
            page = self._pages[job_id]
            if page.fields["job"]["execution_id"] == execution_id:
                del self._ended[job_id]
                await self._forget_old_versions(job_id)
                await self._documents.overwrite(page.versions[-1])
                await self.drop(job_id)

    async def worker_notes(self) -> list[WorkerNote]:
        """See `Journal.worker_notes`."""
        found = await self._documents.all("worker")
        notes = (unpack(each.value) for _, each in sorted(found.items(), key=_by_version))
        return [WorkerNote(**note) for note in notes]

    async def note_worker(self, note: WorkerNote) -> None:
        """See `Journal.note_worker`."""
        await self._confirm()
        await self._documents.put(f"worker.{token(note.address)}", pack(asdict(note)))

    async def fact(self, name: str) -> str:
        """See `Journal.fact`."""
        found = await self._documents.get(f"fact.{name}")
        return str(unpack(found.value)["value"]) if found is not None else ""

    async def note_fact(self, name: str, value: str) -> None:
        """See `Journal.note_fact`."""
        await self._confirm()
        await self._documents.put(f"fact.{name}", pack({"value": value}))

    async def _take_over(self) -> list[JobRow]:
        found = await self._documents.all("job")
        live: list[str] = []
        ended: list[tuple[float, str]] = []
        for key, document in found.items():
            job_id = key.removeprefix("job.")
            fields = _read(document)
            if fields is None:
                log.error("job_document_unreadable", job_id=job_id)
                continue
            self._pages[job_id] = _Page(fields, [*document.older, document.version])
            if JobState(fields["state"]).is_final:
                ended.append((fields["end_time"], job_id))
            else:
                live.append(job_id)
        for start in range(0, len(live), _TOUCHED_AT_ONCE):
            some = live[start : start + _TOUCHED_AT_ONCE]
            ended += [each for each in await asyncio.gather(*map(self._touch, some)) if each]
        self._ended = OrderedDict((job_id, None) for _, job_id in sorted(ended))
        rows = [_row(job_id, page.fields) for job_id, page in self._pages.items()]
        return sorted(rows, key=lambda row: (row.queue_time, row.job_id))

    async def _touch(self, job_id: str) -> tuple[float, str] | None:
        """Make a job's document ours; returns its end if it has ended meanwhile."""
        page = self._pages[job_id]
        while True:
            try:
                await self._write(job_id, page)
            except WrongVersionError:
                found = await self._documents.get(_key(job_id))
                fields = _read(found) if found is not None else None
                if found is None or fields is None:
                    raise JournalError from None
                page.fields = fields
                page.versions.append(found.version)
                if JobState(fields["state"]).is_final:
                    return fields["end_time"], job_id
            else:
                return None

    async def _change(self, job_id: str, changes: dict[str, Any]) -> None:
        page = self._pages[job_id]
        async with page.turn:
            if self.deposed.is_set():
                raise DeposedError
            page.fields = {**page.fields, **changes}
            try:
                await self._write(job_id, page)
            except WrongVersionError:
                self._depose()
            except DocumentTooLargeError as exc:
                raise JournalError from exc

    async def _write(self, job_id: str, page: _Page) -> None:
        page.fields = {**page.fields, "term": self._lease.term}
        version = await self._documents.put(
            _key(job_id), pack(page.fields), version=page.versions[-1]
        )
        page.versions.append(version)

    async def _confirm(self) -> None:
        if self.deposed.is_set() or not await self._lease.is_held():
            self._depose()

    def _depose(self) -> None:
        self.deposed.set()
        raise DeposedError

    async def _forget_old_versions(self, job_id: str) -> None:
        page = self._pages[job_id]
        for version in page.versions[:-1]:
            if version:
                await self._documents.overwrite(version)
        page.versions = page.versions[-1:]

    def _clean(self, work: Coroutine[object, object, None]) -> None:
        """Clear something away meanwhile; nobody waits for it."""
        task = asyncio.create_task(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)


def token(name: str) -> str:
    """Any name as one word of a subject."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=") or "-"


def _key(job_id: str) -> str:
    return f"job.{job_id}"


def _read(document: Document) -> dict[str, Any] | None:
    try:
        fields = unpack(document.value)
        row = _row("", fields)
        if row.state.is_final:
            float(fields["end_time"])
    except (ValueError, KeyError, TypeError):
        return None
    return fields


def _row(job_id: str, fields: dict[str, Any]) -> JobRow:
    story = fields["story"]
    return JobRow(
        job_id=job_id,
        state=JobState(fields["state"]),
        queue_time=fields["queue_time"],
        job=json.dumps(fields["job"]),
        attempt=fields["attempt"],
        attempt_id=fields["attempt_id"],
        worker=fields["worker"],
        wait_seconds=fields["wait_seconds"],
        story=json.dumps(story) if story else "",
        start_time=fields["start_time"],
    )


def _by_version(item: tuple[str, Document]) -> int:
    return item[1].version
