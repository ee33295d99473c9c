"""Who stores what attempts made; the queue itself never touches files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generation_service.backends.interface import MadeFile
    from generation_service.media.interface import StoredMedia
    from generation_service.queue.jobs import Job


@dataclass(frozen=True)
class AttemptName:
    """Where an attempt was made, and its id there."""

    worker: str
    attempt_id: str


class Keeper(Protocol):
    """Keeps what was made."""

    async def keep(
        self, job: Job, attempt: AttemptName, files: Iterable[MadeFile]
    ) -> tuple[StoredMedia, ...]:
        """Store the files of a job, not yet released.

        Args:
            job: The job.
            attempt: Which attempt made them.
            files: In the order of their numbers; none that are still where they were made.

        Raises:
            AttemptFailedError: They cannot be stored.
        """
