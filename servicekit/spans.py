"""Spans: what a trace over all services is made of, without the library that sends them.

A call carries its span in the context, and whatever it asks of other services names that span in
the W3C header `traceparent`. Without a collector there are no spans, but a caller's header is
passed on all the same, so that log lines carry the caller's trace id.
"""

from __future__ import annotations

import contextlib
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

TRACEPARENT_KEY = "traceparent"
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")

Attributes: TypeAlias = "Mapping[str, str | int | float | bool]"
"""What is known of a span: ids, numbers and short words, never what a person or a model wrote."""


class Role(Enum):
    """What a span does in a trace."""

    SERVER = "server"
    """It answers a caller."""
    INTERNAL = "internal"
    """It is a part of that."""
    CLIENT = "client"
    """It asks another service, and lasts until that has answered."""
    CONSUMER = "consumer"
    """It does what was put into a queue or a spool earlier."""


class Span(Protocol):
    """A piece of work with a beginning and an end."""

    @property
    def traceparent(self) -> str:
        """How others name this span; empty when there is no trace."""

    @property
    def is_sent(self) -> bool:
        """Whether somebody collects it, so that its parts are worth naming."""

    def child(
        self,
        name: str,
        attributes: Attributes | None = None,
        role: Role = Role.INTERNAL,
    ) -> AbstractContextManager[Span]:
        """Begin a part of it, which ends with the context."""

    def note(self, attributes: Attributes) -> None:
        """Say more about it."""

    def fail(self, reason: str) -> None:
        """Mark it as failed, with a code or a reason in UPPER_SNAKE."""


class Tracer(Protocol):
    """Begins spans that have no parent in this process."""

    def begin(
        self,
        name: str,
        role: Role,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        attributes: Attributes | None = None,
    ) -> AbstractContextManager[Span]:
        """Begin a span, which ends with the context.

        Args:
            name: What is done, from a small set.
            role: What it does in a trace.
            parent: The `traceparent` that it belongs under; empty or faulty: a trace of its own.
            links: The `traceparent` of spans that it is about.
            attributes: What is known.
        """


@dataclass(frozen=True, slots=True)
class NoSpan:
    """A span where nothing is traced: it knows its caller's name, and passes it on."""

    traceparent: str = ""
    is_sent: bool = False

    def child(
        self,
        name: str,
        attributes: Attributes | None = None,
        role: Role = Role.INTERNAL,
    ) -> AbstractContextManager[Span]:
        """Return the same."""
        return nullcontext(self)

    def note(self, attributes: Attributes) -> None:
        """Forget it."""

    def fail(self, reason: str) -> None:
        """Forget it."""


NO_SPAN = NoSpan()


class NoTracer:
    """Traces nothing."""

    def begin(
        self,
        name: str,
        role: Role,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        attributes: Attributes | None = None,
    ) -> AbstractContextManager[Span]:
        """Return a span that only passes on its parent's name."""
        return nullcontext(NoSpan(parent) if trace_id_of(parent) else NO_SPAN)


@contextlib.asynccontextmanager
async def open_tracer(endpoint: str | None, service: str) -> AsyncIterator[Tracer]:
    """Send spans for as long as the context lasts; without an endpoint there are none.

    Args:
        endpoint: Where a collector takes OTLP over gRPC, such as `http://collector:4317`.
        service: What the service is called.

    Raises:
        ConfigurationError: An endpoint is set, and OpenTelemetry is not installed.
    """
    if not endpoint:
        yield NoTracer()
        return
    try:
        from servicekit.opentelemetry import sending  # seldom needed, and slow to import
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            "OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
            "pip install 'stellwerk[otel]', or unset it."
        ) from exc
    async with sending(endpoint, service) as tracer:
        yield tracer


def rpc_attributes(method: str) -> Attributes:
    """Return what both sides of a call know of it.

    Args:
        method: `/package.Service/Rpc`.
    """
    service, _, rpc = method[1:].partition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": rpc}


def trace_id_of(traceparent: str) -> str:
    """Return the id of a trace, 32 hexadecimal digits; empty when the header is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""


def span_id_of(traceparent: str) -> str:
    """Return the id of a span, 16 hexadecimal digits; empty when the header is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[2] if found else ""
