"""What belongs to the call that is being served: its ids and its deadline.

The values live in one context variable, so that log lines and outgoing calls carry them without
anybody passing them on. Work that outlives its call must leave them behind: see `detached`.
"""

from __future__ import annotations

import contextlib
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import uuid_utils

from servicekit.spans import NO_SPAN, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servicekit.spans import Attributes

REQUEST_ID_KEY = "stellwerk-request-id"
EXECUTION_ID_KEY = "stellwerk-execution-id"

_ID = re.compile(r"[!-~]{1,64}")
_EXECUTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class CallContext:
    """The call being served.

    Attributes:
        request_id: Made by the first service a request reaches and kept through all hops.
        execution_id: The execution it is about; empty until known.
        deadline: When the caller stops waiting, by `time.monotonic()`; None = never.
        span: What is being done, as a part of a trace.
    """

    request_id: str = ""
    execution_id: str = ""
    deadline: float | None = None
    span: Span = NO_SPAN


_NO_CALL = CallContext()
_call: ContextVar[CallContext] = ContextVar("stellwerk_call", default=_NO_CALL)


def current_call() -> CallContext:
    """Return the call being served; an empty one outside of calls."""
    return _call.get()


def set_call(call: CallContext) -> None:
    """Make `call` the current one for the rest of this task."""
    _call.set(call)


def bind_execution_id(execution_id: str) -> None:
    """Put `execution_id` on every later log line and outgoing call of this task."""
    call = replace(_call.get(), execution_id=execution_id)
    call.span.note({"stellwerk.execution_id": execution_id})
    _call.set(call)


@contextlib.contextmanager
def within_call(call: CallContext) -> Iterator[None]:
    """Make `call` the current one for a while."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


@contextlib.contextmanager
def detached(execution_id: str = "") -> Iterator[None]:
    """Leave the caller's deadline behind, for work that goes on when the call is over.

    The request id and the span stay, so that log lines and traces can still be joined. Create the
    task inside of it.

    Args:
        execution_id: The execution the work is for; empty keeps the current one.
    """
    call = _call.get()
    with within_call(replace(call, deadline=None, execution_id=execution_id or call.execution_id)):
        yield


@contextlib.contextmanager
def within_span(name: str, attributes: Attributes | None = None) -> Iterator[Span]:
    """Show the block as a part of what is being done; it ends with the block.

    Args:
        name: What the part is, from a small set.
        attributes: Ids, numbers and short words; never what a person or a model wrote.
    """
    call = _call.get()
    with call.span.child(name, attributes) as span, within_call(replace(call, span=span)):
        yield span


def remaining_seconds() -> float | None:
    """Return how long the caller still waits, in seconds, never below 0; None = for ever."""
    deadline = _call.get().deadline
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def new_id() -> str:
    """Make an id: UUIDv7, so that ids sort by time."""
    return str(uuid_utils.uuid7())


def is_valid_id(text: str) -> bool:
    """Tell whether `text` may be an id: printable ASCII without spaces, 1 to 64 characters."""
    return _ID.fullmatch(text) is not None


def is_execution_id(text: str) -> bool:
    """Tell whether `text` has the form of our ids, so that a log line may name it.

    A request may hold anything in that field; only this form can be nobody's words.
    """
    return _EXECUTION_ID.fullmatch(text) is not None
