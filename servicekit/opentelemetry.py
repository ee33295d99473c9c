"""Sends spans to a collector by OpenTelemetry; imported only where one is configured.

Exceptions are not recorded, since their words may be a person's: a failed span says a code.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from servicekit.spans import Role, span_id_of, trace_id_of
from servicekit.version import software_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from opentelemetry import trace
    from opentelemetry.context import Context

    from servicekit.spans import Attributes

EXPORT_SECONDS = 5
"""How long a collector may take for one batch, and how long a stop waits for the last one."""
_REASON = re.compile(r"[A-Z][A-Z_]{0,63}")
_KINDS = {
    Role.SERVER: SpanKind.SERVER,
    Role.INTERNAL: SpanKind.INTERNAL,
    Role.CLIENT: SpanKind.CLIENT,
    Role.CONSUMER: SpanKind.CONSUMER,
}


@contextlib.asynccontextmanager
async def sending(endpoint: str, service: str) -> AsyncIterator[OpenTelemetryTracer]:
    """Send spans for as long as the context lasts; see `servicekit.spans.open_tracer`."""
    resource = Resource.create(
        {"service.namespace": "stellwerk", "service.name": service}
        | {"service.version": software_version()}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(
        endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=EXPORT_SECONDS
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield OpenTelemetryTracer(provider.get_tracer("stellwerk", software_version()))
    finally:
        await asyncio.to_thread(provider.shutdown)


class OpenTelemetryTracer:
    """A `servicekit.spans.Tracer`."""

    def __init__(self, tracer: trace.Tracer) -> None:
        """Begin spans with the library's tracer."""
        self._tracer = tracer

    @contextlib.contextmanager
    def begin(
        self,
        name: str,
        role: Role,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        attributes: Attributes | None = None,
    ) -> Iterator[OpenTelemetrySpan]:
        """See `Tracer.begin`."""
        remote = _remote(parent)
        above = set_span_in_context(NonRecordingSpan(remote)) if remote else None
        targets = [Link(found) for link in links if (found := _remote(link))]
        span = self._tracer.start_span(
            name, context=above, kind=_KINDS[role], links=targets, attributes=dict(attributes or {})
        )
        with _ended(OpenTelemetrySpan(self._tracer, span), judged=role is Role.SERVER) as begun:
            yield begun


class OpenTelemetrySpan:
    """A `servicekit.spans.Span`."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        """Wrap the library's span."""
        self._tracer = tracer
        self._span = span
        named = span.get_span_context()
        self._traceparent = (
            f"00-{format_trace_id(named.trace_id)}-{format_span_id(named.span_id)}"
            f"-{named.trace_flags:02x}"
        )

    @property
    def traceparent(self) -> str:
        """See `Span.traceparent`."""
        return self._traceparent

    @property
    def is_sent(self) -> bool:
        """See `Span.is_sent`."""
        return True

    @contextlib.contextmanager
    def child(
        self,
        name: str,
        attributes: Attributes | None = None,
        role: Role = Role.INTERNAL,
    ) -> Iterator[OpenTelemetrySpan]:
        """See `Span.child`."""
        above: Context = set_span_in_context(self._span)
        span = self._tracer.start_span(
            name, context=above, kind=_KINDS[role], attributes=dict(attributes or {})
        )
        with _ended(OpenTelemetrySpan(self._tracer, span)) as begun:
            yield begun

    def note(self, attributes: Attributes) -> None:
        """See `Span.note`."""
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        """See `Span.fail`."""
        self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """Nothing more happens."""
        self._span.end()


@contextlib.contextmanager
def _ended(span: OpenTelemetrySpan, *, judged: bool = False) -> Iterator[OpenTelemetrySpan]:
    """End a span with the block, as failed if that raises; `judged`: others say whether it did."""
    try:
        yield span
    except Exception as exc:
        if judged:
            raise
        span.note({"error.type": type(exc).__name__})
        reason = str(getattr(exc, "reason", ""))
        span.fail(reason if _REASON.fullmatch(reason) else type(exc).__name__)
        raise
    finally:
        span.end()


def _remote(traceparent: str) -> SpanContext | None:
    """Return the library's name of a span elsewhere; None when the header is none."""
    trace_id = trace_id_of(traceparent)
    if not trace_id:
        return None
    return SpanContext(
        int(trace_id, 16),
        int(span_id_of(traceparent), 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[-2:], 16)),
    )
