"""Tamper evidence: the items of an execution form a chain in the order in which they were stored.

Each item has a *seal*, an HMAC-SHA256 of everything in it under a random key of its own execution;
without the key nobody can try out which short prompt a seal may stand for. Each *link* is the
SHA-256 of the link before it, the position, the id and the seal; the last one is the *head*, which
the row of the execution holds. Links need no key: after an erasure has destroyed key and content,
ids and seals are left, and the chain can still be recomputed.

What the chain shows is that nothing was changed, left out or put in behind the tracker's back. Who
can write to the database could rewrite a whole chain; who noted the head elsewhere notices.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.items import ExecutionItem

KEY_BYTES: Final = 32
FORM: Final = 1
"""Version of what a seal covers; it is part of it."""


class ChainState(StrEnum):
    """What a verification found."""

    VALID = "valid"
    ITEM_CHANGED = "item_changed"
    ITEM_MISSING = "item_missing"
    HEAD_MISMATCH = "head_mismatch"


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What became of a chain.

    Attributes:
        execution_id: The execution.
        state: Whether it holds, and if not, what is wrong first.
        position: Where that is; 0: nowhere, or at the end.
        item_count: Items that the execution should have.
        unchained_count: The first ones, stored before there were chains; nothing shows theirs.
        erased: The content is gone by an erasure, so only ids and seals were looked at.
        head: The last link, as the row holds it; empty: no item is chained.
    """

    execution_id: str
    state: ChainState
    position: int
    item_count: int
    unchained_count: int
    erased: bool
    head: bytes


@dataclass(frozen=True, slots=True)
class SealedItem:
    """An item as it lies in the store.

    Attributes:
        position: Its place, from 1.
        seal: Its seal; None: it was stored before there were chains.
        item: The item.
    """

    position: int
    seal: bytes | None
    item: ExecutionItem


def new_key() -> bytes:
    """Make the key of an execution."""
    return secrets.token_bytes(KEY_BYTES)


def seal_of(key: bytes, item: ExecutionItem) -> bytes:
    """Return the seal of an item: HMAC-SHA256 over a JSON array of all its fields.

    Raises:
        ValueError: A text holds half of a surrogate pair.
    """
    try:
        form = orjson.dumps((FORM, *item), default=tuple)  # media are a tuple of their own
    except orjson.JSONEncodeError as exc:
        raise ValueError(f"An item cannot be sealed: {exc}.") from exc
    return hmac.digest(key, form, "sha256")


def link_of(previous: bytes, position: int, item_id: str, seal: bytes) -> bytes:
    """Return the link of an item behind the link `previous` (empty for the first)."""
    return hashlib.sha256(b"%b%d:%b:%b" % (previous, position, item_id.encode(), seal)).digest()


def verify_chain(report: ChainReport, key: bytes, items: Iterable[SealedItem]) -> ChainReport:
    """Recompute a chain.

    Args:
        report: What the row of the execution says; its state does not matter.
        key: The key; empty if it was destroyed.
        items: All items by position.

    Returns:
        The report with what was found.
    """
    head, expected = b"", 1
    for one in items:
        if one.position != expected:
            return _found(report, ChainState.ITEM_MISSING, expected)
        expected += 1
        if one.position <= report.unchained_count:
            continue
        if one.seal is None or (not report.erased and seal_of(key, one.item) != one.seal):
            return _found(report, ChainState.ITEM_CHANGED, one.position)
        head = link_of(head, one.position, one.item.item_id, one.seal)
    if expected <= report.item_count:
        return _found(report, ChainState.ITEM_MISSING, expected)
    if head != report.head:
        return _found(report, ChainState.HEAD_MISMATCH, 0)
    return _found(report, ChainState.VALID, 0)


def _found(report: ChainReport, state: ChainState, position: int) -> ChainReport:
    return replace(report, state=state, position=position)
