"""What a worker slot does with a job: make the files, then keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.backends.interface import AttemptFailedError, BackendNotFoundError
from generation_service.media.types import find_kind
from generation_service.queue.interface import Progress
from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generation_service.backends.interface import MadeFile, MediaBackend
    from generation_service.media.interface import StoredMedia
    from generation_service.media.library import MediaLibrary
    from generation_service.queue.interface import Job


class MediaWorker:
    """A queue's `Worker`: finds the job's backend and keeps what it makes, withheld."""

    def __init__(self, backends: Mapping[str, MediaBackend], library: MediaLibrary) -> None:
        """Build the worker.

        Args:
            backends: By name; they are their owner's to close.
            library: Where the files go.
        """
        self._backends = backends
        self._library = library

    async def run(self, job: Job, report: Callable[[Progress], None]) -> tuple[StoredMedia, ...]:
        """See `Worker.run`."""
        backend = self._backends.get(job.plan.backend)
        if backend is None:
            raise BackendNotFoundError(job.plan.backend)
        files = await backend.make(
            job.plan, lambda percent, node: report(Progress(round(percent, 1), node))
        )
        try:
            return tuple([await self._keep(job, n, file) for n, file in enumerate(files, start=1)])
        except ServiceError as exc:
            raise AttemptFailedError(exc.reason, exc.message, worth_retrying=False) from exc

    async def _keep(self, job: Job, number: int, file: MadeFile) -> StoredMedia:
        return await self._library.keep_made(
            file.data,
            filename=_filename(job, number, file.data),
            execution_id=job.execution_id,
            item_id=job.item_id if number == 1 else "",
            owner=job.owner,
        )


def _filename(job: Job, number: int, data: bytes) -> str:
    """A name for people, such as `embedded_image-1.png`."""
    kind = find_kind(data)
    stem = job.output_config or job.plan.model.replace("/", "_")
    several = f"-{number}" if number > 1 else ""
    return f"{stem}-{max(1, job.loop_iteration)}{several}.{kind.extension if kind else 'bin'}"
