"""Logging of every service: one JSON object per line on stdout, with the ids of the call.

Lines of all services can be joined by `request_id` and `execution_id`. Third-party loggers go
through the same pipe at WARNING and above, since several of them log whole URLs at INFO.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, TextIO, cast

import structlog

from servicekit.context import current_call
from servicekit.principals import principal_or_none
from servicekit.spans import trace_id_of
from servicekit.tracebacks import Tracebacks, log_crashes, without_reprs

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logging(service: str, level: str = "INFO") -> None:
    """Set up logging for this process; call once, in `__main__`.

    Args:
        service: Name on every line.
        level: Lowest level that is written: DEBUG, INFO, WARNING or ERROR.
    """
    threshold = logging.getLevelNamesMapping()[level]
    shared = _processors(service, Tracebacks(with_words=threshold <= logging.DEBUG))
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Console(sys.stdout))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[without_reprs, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)
    log_crashes()


class _Console:
    """Standard output that loses a line rather than fail whoever logs.

    It may be a file on a disk that is full, or a pipe whose reader has gone. A line is no reason
    for a call to fail, or for a thread that writes to the database to die.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _processors(service: str, tracebacks: Tracebacks) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        # A processor, not a bound contextvar: clearing the context must not lose it.
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        add_service,
        add_ids,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(tracebacks),
    ]


def add_ids(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: put the ids of the current call on the line, where the line has none itself."""
    call = current_call()
    principal = principal_or_none()
    ids = {
        "request_id": call.request_id,
        "execution_id": call.execution_id,
        "session_id": principal.session if principal else "",
        "trace_id": trace_id_of(call.span.traceparent),
    }
    for name, value in ids.items():
        if value:
            event.setdefault(name, value)
    return event
