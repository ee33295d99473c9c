"""A collector of OpenTelemetry spans.

As a program it prints its address and forgets what it takes: `python -m tests.fakes.otlp_sink`,
what `bench/` exports to. In a test, `collecting()` keeps the spans.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Taken:
    """A span as it arrived.

    Attributes:
        service: Who sent it.
        name: What was done.
        kind: `server`, `client`, `internal` or `consumer`.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent: The span above it; empty: none.
        links: Traces and spans that it names.
        attributes: What is known of it.
        status: The word of its failure; empty: it did not fail.
        text: All of it, as text.
    """

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str]
    status: str
    text: str


class Sink(trace_service_pb2_grpc.TraceServiceServicer):
    """Says yes to everything."""

    def __init__(self, *, keep: bool = False) -> None:
        """Keep what arrives, or forget it."""
        self._keep = keep
        self._lock = threading.Lock()
        self._spans: list[Taken] = []

    def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.ServicerContext,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take spans."""
        if self._keep:
            with self._lock:
                self._spans += _taken(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def spans(self) -> list[Taken]:
        """Return what has arrived."""
        with self._lock:
            return list(self._spans)


@contextlib.contextmanager
def collecting() -> Iterator[tuple[Sink, str]]:
    """Yield a sink that keeps, and its endpoint `http://host:port`."""
    sink = Sink(keep=True)
    with _serving(sink) as address:
        yield sink, f"http://{address}"


@contextlib.contextmanager
def _serving(sink: Sink) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    add_to: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add_to(sink, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def _taken(request: trace_service_pb2.ExportTraceServiceRequest) -> Iterator[Taken]:
    for resource in request.resource_spans:
        about = _plain(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Taken(
                    service=about.get("service.name", ""),
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    attributes=_plain(span.attributes),
                    status=span.status.message,
                    text=str(span),
                )


def _plain(pairs: Any) -> dict[str, str]:
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value"))
        for pair in pairs
    }


def main() -> None:
    """Serve until whoever started this closes its end of stdin."""
    with _serving(Sink()) as address:
        print(f"serving {address}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
