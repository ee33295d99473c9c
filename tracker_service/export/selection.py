"""Which records an export holds, in which order, found one by one.

Each is read in a short transaction of its own: an export may take an hour, and a read as long as
that would keep the database from tidying up.
"""

from __future__ import annotations

from bisect import bisect_right
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

    async def key_after(self, key: int, until: int) -> int | None:
        """Return the key of the next record in (key, until]; None: that was the last."""
        if self._request.execution_ids:
            index = bisect_right(self._chosen, key)
            return self._chosen[index] if index < len(self._chosen) else None
        return await self._store.next_key(self._request.wanted, self._request.audience, key, until)

    async def record_after(self, key: int, until: int) -> KeyedRecord | None:
        """Return the next record in (key, until]; None: there are no more."""
        while (following := await self.key_after(key, until)) is not None:
            key = following
            found = await self._store.record_by_key(key, self._request.audience)
            if found is not None:
                return found
        return None


async def select(store: Store, request: ExportRequest) -> Selection:
    """Find what is wanted.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND: one of the ids is unknown or not the asker's.
    """
    return Selection(store, request, await store.keys_of(request.execution_ids, request.audience))
