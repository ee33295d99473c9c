"""Keeps what workers make in the media library, withheld until it is released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.backends.interface import AttemptFailedError
from generation_service.media.origin import Origin
from generation_service.media.types import find_kind
from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generation_service.backends.interface import MadeFile
    from generation_service.media.interface import StoredMedia
    from generation_service.media.library import MediaLibrary
    from generation_service.media.patience import Patience
    from generation_service.queue.jobs import Job
    from generation_service.queue.keeping import AttemptName


class LibraryKeeper:
    """A queue's `Keeper`."""

    def __init__(self, library: MediaLibrary, patience: Patience) -> None:
        """Build the keeper from the library where the files go.

        Args:
            library: Where they go.
            patience: With its store, while that is away.
        """
        self._library = library
        self._patience = patience

    async def keep(
        self, job: Job, attempt: AttemptName, files: Iterable[MadeFile]
    ) -> tuple[StoredMedia, ...]:
        """See `Keeper.keep`."""
        try:
            return tuple([await self._keep(job, n, file) for n, file in enumerate(files, start=1)])
        except ServiceError as exc:
            raise AttemptFailedError(exc.reason, exc.message, worth_retrying=False) from exc

    async def _keep(self, job: Job, number: int, file: MadeFile) -> StoredMedia:
        return await self._patience.try_again(
            lambda: self._library.keep_made(
                file.data,
                filename=_filename(job, number, file.data),
                execution_id=job.execution_id,
                item_id=job.item_id if number == 1 else "",
                owner=job.owner,
                origin=_origin(job),
            )
        )


def _origin(job: Job) -> Origin:
    """What the file's mark will say about how it was made."""
    plan = job.plan
    return Origin(
        backend=plan.backend,
        model=plan.model,
        output_config=job.output_config,
        has_inputs=bool(plan.applied.get("input_media")),
    )


def _filename(job: Job, number: int, data: bytes) -> str:
    """A name for people, such as `embedded_image-1.png`."""
    kind = find_kind(data)
    stem = job.output_config or job.plan.model.replace("/", "_")
    several = f"-{number}" if number > 1 else ""
    return f"{stem}-{max(1, job.loop_iteration)}{several}.{kind.extension if kind else 'bin'}"
