"""How callers see records: plainly, or for researchers with pseudonyms in place of all names.

Researchers read everybody's records, so none of them tells who somebody is: users, sessions and
groups stand under keyed hashes, the same as in pseudonymised exports, and what a researcher filters
by are these. Only what researchers did themselves stands under their own name.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from servicekit.errors import FailedPreconditionError
from servicekit.principals import Role
from tracker_service.access import EVERYTHING
from tracker_service.export.shaping import Shape, Shaper

if TYPE_CHECKING:
    from pathlib import Path

    from servicekit.principals import Principal
    from tracker_service.insights import NameKind, Session
    from tracker_service.records import ExecutionRecord, ExecutionSummary
    from tracker_service.store.interface import ExecutionFilter, Store
    from tracker_service.watching import WatchedItem

KEY_BYTES: Final = 32
_NOBODY: Final = "∅"
"""No name that a caller can have."""


class View(Protocol):
    """What one caller sees, for one call."""

    @property
    def pseudonymous(self) -> bool:
        """Whether names are hidden."""

    async def wanted(self, wanted: ExecutionFilter) -> ExecutionFilter:
        """Return a filter with the names that are meant."""

    def record(self, record: ExecutionRecord) -> ExecutionRecord:
        """Return a record as the caller sees it."""

    def summary(self, summary: ExecutionSummary) -> ExecutionSummary:
        """Return a summary as the caller sees it."""

    def session(self, session: Session) -> Session:
        """Return a session as the caller sees it."""

    async def watched(self, one: WatchedItem) -> WatchedItem:
        """Return an item that was watched as the caller sees it."""


class PlainView:
    """Everything as it is."""

    pseudonymous = False

    async def wanted(self, wanted: ExecutionFilter) -> ExecutionFilter:
        """See `View`."""
        return wanted

    def record(self, record: ExecutionRecord) -> ExecutionRecord:
        """See `View`."""
        return record

    def summary(self, summary: ExecutionSummary) -> ExecutionSummary:
        """See `View`."""
        return summary

    def session(self, session: Session) -> Session:
        """See `View`."""
        return session

    async def watched(self, one: WatchedItem) -> WatchedItem:
        """See `View`."""
        return one


class PseudonymousView:
    """Names of others as keyed hashes."""

    pseudonymous = True

    def __init__(self, store: Store, shaper: Shaper, own_id: str) -> None:
        """Hide names from a caller.

        Args:
            store: Knows all names.
            shaper: Makes pseudonyms.
            own_id: Who looks; the own name is no secret.
        """
        self._store = store
        self._shaper = shaper
        self._own_id = own_id
        self._watched: ExecutionSummary | None = None

    async def wanted(self, wanted: ExecutionFilter) -> ExecutionFilter:
        """See `View`; a pseudonym that is nobody's, and any real name, match nothing."""
        return replace(
            wanted,
            user_id=await self._real("user", wanted.user_id),
            session_id=await self._real("session", wanted.session_id),
        )

    async def _real(self, kind: NameKind, told: str) -> str:
        if not told or (kind == "user" and told == self._own_id):
            return told
        for name in await self._store.insights.names(kind):
            if self._shaper.pseudonym(kind, name) == told:
                return name
        return _NOBODY

    def record(self, record: ExecutionRecord) -> ExecutionRecord:
        """See `View`."""
        return record if self._is_own(record.summary) else self._shaper.shaped(record)

    def summary(self, summary: ExecutionSummary) -> ExecutionSummary:
        """See `View`."""
        return summary if self._is_own(summary) else self._shaper.summary(summary)

    def session(self, session: Session) -> Session:
        """See `View`."""
        return replace(
            session,
            session_id=self._shaper.pseudonym("session", session.session_id),
            group_id=session.group_id and self._shaper.pseudonym("group", session.group_id),
        )

    async def watched(self, one: WatchedItem) -> WatchedItem:
        """See `View`; whose execution it is may become known only with its start."""
        item = one.stored.item
        if self._watched is None or item.item_type == "pipeline_start":
            self._watched = await self._store.summary(item.execution_id, EVERYTHING)
        if self._is_own(self._watched):
            return one
        known = self._shaper.pseudonyms(self._watched)
        return replace(one, stored=one.stored._replace(item=self._shaper.item(item, known)))

    def _is_own(self, summary: ExecutionSummary) -> bool:
        return summary.user_id == self._own_id


class Views:
    """Gives each caller their view."""

    def __init__(self, store: Store, pseudonym_key: bytes) -> None:
        """Show what `store` keeps.

        Args:
            store: The records.
            pseudonym_key: Of the pseudonyms; empty: the deployment has none.
        """
        self._store = store
        self._key = pseudonym_key

    def of(self, principal: Principal) -> View:
        """Return what a caller sees.

        Raises:
            FailedPreconditionError: PSEUDONYM_KEY_MISSING: researchers cannot be shown anything.
        """
        if principal.role is not Role.RESEARCHER:
            return PlainView()
        if not self._key:
            raise FailedPreconditionError(
                "PSEUDONYM_KEY_MISSING", "This deployment has no key for pseudonyms; set one."
            )
        shaper = Shaper(Shape(pseudonymise=True), self._key)
        return PseudonymousView(self._store, shaper, principal.id)


def kept_key(path: Path) -> bytes:
    """Return the key that a file holds; made, for its owner alone, if it is not there.

    Args:
        path: The file, best on another disk or backed up apart from the data.

    Raises:
        OSError: It can be neither read nor made.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(KEY_BYTES))
    return path.read_text().strip().encode()
