"""What a log line tells of an exception: what it was and where, but not what it said.

The words of an exception may be a person's: `invalid literal for int(): 'my name is …'`. So they
are replaced by their length and a short hash, by which equal ones can be told, unless the kind of
exception never repeats what it was given. With DEBUG, which is for those who look for a fault with
texts of their own, everything is shown.
"""

from __future__ import annotations

import builtins
import hashlib
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo, WrappedLogger

MAX_FRAMES = 30
_HASH_DIGITS = 8
_TELLING = (
    *(AttributeError, ImportError, IndexError, MemoryError, NameError, OSError, RecursionError),
)
"""Builtin exceptions that speak of code and files, and the likes of them."""
_DATABASE = "OperationalError"
"""Of SQLite and PostgreSQL alike: no disk, no connection, no lock; faults of values are others."""

log = structlog.get_logger(__name__)


class Tracebacks:
    """Makes exceptions into what a line holds of them."""

    def __init__(self, *, with_words: bool) -> None:
        """Show what exceptions say, or hide it."""
        self._with_words = with_words
        self._transform = ExceptionDictTransformer(show_locals=False, max_frames=MAX_FRAMES)

    def __call__(self, exc_info: ExcInfo) -> list[dict[str, Any]]:
        """Return an exception and those that led to it, the latest first."""
        stacks = self._transform(exc_info)
        return stacks if self._with_words else [_without_words(stack) for stack in stacks]


def _without_words(stack: dict[str, Any]) -> dict[str, Any]:
    inner = [[_without_words(each) for each in one] for one in stack.get("exceptions", ())]
    return {
        **stack,
        "exc_value": _hidden(stack["exc_type"], stack["exc_value"]),
        "exc_notes": [],
        "syntax_error": None,
        "exceptions": inner,
    }


def _hidden(kind: str, words: str) -> str:
    known = getattr(builtins, kind, None)
    is_telling = isinstance(known, type) and issubclass(known, _TELLING)
    if not words or is_telling or kind == _DATABASE:
        return words
    digest = hashlib.sha256(words.encode(errors="replace")).hexdigest()[:_HASH_DIGITS]
    return f"<{len(words)} characters, {digest}>"


def without_reprs(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor for other people's lines: cut off where asyncio begins to show objects."""
    if event.get("_record") is not None and event["_record"].name == "asyncio":
        first_line = str(event["event"]).partition("\n")[0]
        before, callback, _rest = first_line.partition(" callback ")
        event["event"] = f"{before}{callback}".rstrip()
    return event


def log_crashes() -> None:
    """Let exceptions that nobody catches become lines, too, in place of Python's own tracebacks."""

    def crashed(exc: BaseException | None) -> None:
        if exc is not None and not isinstance(exc, KeyboardInterrupt):
            log.critical("process_crashed", error_type=type(exc).__name__, exc_info=exc)

    sys.excepthook = lambda _, exc, __: crashed(exc)
    sys.unraisablehook = lambda args: crashed(args.exc_value)
    threading.excepthook = lambda args: crashed(args.exc_value)
    logging.raiseExceptions = False  # else a line that cannot be written is printed with its values
