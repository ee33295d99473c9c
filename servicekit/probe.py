"""Asks a service whether it is ready, and says so by its exit code; for health checks of images.

`python -m servicekit.probe 127.0.0.1:50052` asks over gRPC, `… http://127.0.0.1:8080/readyz` over
HTTP. An image holds no other tool that could.
"""

from __future__ import annotations

import sys
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.health import READINESS

LIMIT_SECONDS = 4.0


def is_ready(address: str) -> bool:
    """Ask once.

    Args:
        address: `host:port` of a gRPC service, or the URL of a page that answers 200 when ready.

    Returns:
        Whether it may take calls; one that does not answer may not.
    """
    try:
        if address.startswith("http://"):
            with urllib.request.urlopen(address, timeout=LIMIT_SECONDS) as response:
                return bool(response.status == 200)
        with grpc.insecure_channel(address) as channel:
            request = health_pb2.HealthCheckRequest(service=READINESS)
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=LIMIT_SECONDS)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    except (OSError, grpc.RpcError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready(sys.argv[1]) else 1)
