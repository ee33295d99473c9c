"""Ask services by gRPC health whether they may take calls.

A process that runs does not serve yet: it loads weights, migrates a database, binds a port. The
standard health service is the only thing that knows.
"""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

READINESS = "readiness"
"""The health name that says "may take calls", as opposed to "is alive"."""

_POLL_SECONDS = 0.1
_CHECK_SECONDS = 2.0
_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]


async def wait_until_serving(address: str, limit_seconds: float) -> bool:
    """Wait until a service may take calls.

    Args:
        address: Its `host:port`.
        limit_seconds: How long to wait at most.

    Returns:
        Whether it serves; False when the time is over.
    """
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        try:
            async with asyncio.timeout(limit_seconds):
                while True:
                    if await _readiness(channel, _CHECK_SECONDS):
                        return True
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            return False


async def check_serving(address: str, limit_seconds: float = _CHECK_SECONDS) -> bool | None:
    """Ask once.

    Args:
        address: Its `host:port`.
        limit_seconds: How long to wait for the answer.

    Returns:
        True: it serves; False: it answers but takes no calls; None: nobody answers.
    """
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        return await _readiness(channel, limit_seconds)


async def _readiness(channel: grpc.aio.Channel, limit_seconds: float) -> bool | None:
    request = health_pb2.HealthCheckRequest(service=READINESS)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=limit_seconds)
    except grpc.aio.AioRpcError as exc:
        # NOT_FOUND: somebody answers, but not (yet) a service of ours.
        return False if exc.code() == grpc.StatusCode.NOT_FOUND else None
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
