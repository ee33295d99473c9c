"""A lease: of several processes one holds something, and when it dies another one takes it.

The holder changes the lease's document again and again. Who wants it and sees the same version for
the whole term takes it by changing that very version, so only one succeeds. Nobody compares the
clocks of two machines: each measures with its own how long it has seen no change.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING

from generation_service.queue.jetstream.documents import WrongVersionError
from servicekit.context import new_id

if TYPE_CHECKING:
    from generation_service.queue.jetstream.documents import Document, Documents

_RENEWALS_PER_TERM = 4
_GIVE_UP_SECONDS = 1.0


class Lease:
    """One process's view of a lease."""

    def __init__(self, documents: Documents, key: str, seconds: float) -> None:
        """Name the lease.

        Args:
            documents: Where it is noted.
            key: Of its document.
            seconds: How long a holder may be silent.
        """
        self._documents = documents
        self._key = key
        self._seconds = seconds
        self._holder = new_id()
        self._version = 0
        self._seen = -1
        self._seen_time = 0.0
        self.term = 0
        """Grows with every new holder; 0: this process has never held it."""

    async def take(self) -> None:
        """Wait until this process holds it."""
        while True:
            if await self._try():
                return
            await asyncio.sleep(self._seconds / _RENEWALS_PER_TERM)

    async def hold(self) -> None:
        """Renew it until somebody else has it. While NATS is away nobody can take it."""
        while True:
            await asyncio.sleep(self._seconds / _RENEWALS_PER_TERM)
            try:
                self._version = await self._documents.put(
                    self._key, self._note(self._holder), version=self._version
                )
            except WrongVersionError:
                return

    async def is_held(self) -> bool:
        """Whether this process holds it now, by asking."""
        found = await self._documents.get(self._key)
        return found is not None and _holder_and_term(found) == (self._holder, self.term)

    async def give_up(self) -> None:
        """Let another one have it at once; without NATS it has to wait for the term to end."""
        if self.term and self._version:
            with contextlib.suppress(WrongVersionError, TimeoutError):
                async with asyncio.timeout(_GIVE_UP_SECONDS):
                    await self._documents.put(self._key, self._note(""), version=self._version)

    async def _try(self) -> bool:
        found = await self._documents.get(self._key)
        version, (holder, term) = 0, ("", 0)
        if found is not None:
            version, (holder, term) = found.version, _holder_and_term(found)
        now = time.monotonic()
        if version != self._seen:
            self._seen, self._seen_time = version, now
        if holder and now - self._seen_time < self._seconds:
            return False
        # Also greater than that of a holder whose document was lost with the whole stream.
        self.term = max(term + 1, int(time.time()))
        try:
            self._version = await self._documents.put(
                self._key, self._note(self._holder), version=version
            )
        except WrongVersionError:
            return False
        return True

    def _note(self, holder: str) -> bytes:
        note = {"holder": holder, "term": self.term, "unique": new_id()}
        return json.dumps(note).encode()


async def present_term(documents: Documents, key: str) -> int:
    """The term of the lease that is held now; 0: nobody holds it."""
    found = await documents.get(key)
    holder, term = _holder_and_term(found) if found is not None else ("", 0)
    return term if holder else 0


def _holder_and_term(document: Document) -> tuple[str, int]:
    note = json.loads(document.value)
    return note["holder"], note["term"]
