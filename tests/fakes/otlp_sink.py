"""A collector that takes spans and forgets them: what OpenTelemetry exports to in `bench/`.

As a program it prints its address: `python -m tests.fakes.otlp_sink`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Sink(trace_service_pb2_grpc.TraceServiceServicer):
    """Says yes to everything."""

    def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.ServicerContext,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take spans."""
        return trace_service_pb2.ExportTraceServiceResponse()


def main() -> None:
    """Serve until whoever started this closes its end of stdin."""
    server = grpc.server(ThreadPoolExecutor(2))
    add_to: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add_to(Sink(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"serving 127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
