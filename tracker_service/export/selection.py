"""Which records an export holds, in which order, found a few at a time.

They are read in short transactions: an export may take an hour, and a read as long as
that would keep the database from tidying up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracker_service.access import Audience
    from tracker_service.export.formats import ExportFormat
    from tracker_service.export.shaping import Shape
    from tracker_service.store.interface import ExecutionFilter, KeyedRecord, Store

MAX_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is wanted.

    Attributes:
        format: Form of the file.
        execution_ids: Just these; empty: all that match.
        wanted: The filters.
        audience: Who asks.
        cursor: Where to go on; empty: at the beginning.
        shape: What is left out or hidden.
    """

    format: ExportFormat
    execution_ids: tuple[str, ...]
    wanted: ExecutionFilter
    audience: Audience
    cursor: str
    shape: Shape

    @property
    def scope(self) -> tuple[object, ...]:
        """What a cursor is bound to."""
        return (self.format, self.execution_ids, self.wanted, self.audience, self.shape)


class Selection:
    """The records that are wanted, in the order of creation."""

    def __init__(self, store: Store, request: ExportRequest, chosen: list[int]) -> None:
        """Select from `store`.

        Args:
            store: Where the records are.
            request: Which are wanted.
            chosen: Keys of the named executions, ascending; see `Store.keys_of`.
        """
        self._store = store
        self._request = request
        self._chosen = chosen
        self._ahead: deque[KeyedRecord] = deque()
        self._ahead_of = 0

    async def record_after(self, key: int, until: int) -> KeyedRecord | None:
        """Return the next record in (key, until]; None: there are no more.

        Several are read at once and kept for the next calls, if those go on from there.
        """
        if not self._ahead or self._ahead_of != key:
            self._ahead = deque(await self._read_after(key, until))
        if not self._ahead:
            return None
        found = self._ahead.popleft()
        self._ahead_of = found.key
        return found

    async def _read_after(self, key: int, until: int) -> list[KeyedRecord]:
        audience = self._request.audience
        if not self._request.execution_ids:
            return await self._store.records_after(self._request.wanted, audience, key, until)
        for chosen in self._chosen[bisect_right(self._chosen, key) :]:
            found = await self._store.record_by_key(chosen, audience)
            if found is not None:
                return [found]
        return []


async def select(store: Store, request: ExportRequest) -> Selection:
    """Find what is wanted.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND: one of the ids is unknown or not the asker's.
    """
    return Selection(store, request, await store.keys_of(request.execution_ids, request.audience))
