"""Ask services whether they may take calls: by gRPC health, or by HTTP where that is spoken.

A process that runs does not serve yet: it loads weights, migrates a database, binds a port. Only
it itself knows.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

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


async def wait_until_serving(address: str, limit_seconds: float, *, http: bool = False) -> bool:
    """Wait until a service may take calls.

    Args:
        address: Its `host:port`.
        limit_seconds: How long to wait at most.
        http: Whether it serves HTTP.

    Returns:
        Whether it serves; False when the time is over.
    """
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        try:
            async with asyncio.timeout(limit_seconds):
                while True:
                    if await _asked(channel, address, _CHECK_SECONDS, http=http):
                        return True
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            return False


async def check_serving(
    address: str, limit_seconds: float = _CHECK_SECONDS, *, http: bool = False
) -> bool | None:
    """Ask once.

    Args:
        address: Its `host:port`.
        limit_seconds: How long to wait for the answer.
        http: Whether it serves HTTP.

    Returns:
        True: it serves; False: it answers but takes no calls; None: nobody answers.
    """
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        return await _asked(channel, address, limit_seconds, http=http)


async def _asked(
    channel: grpc.aio.Channel, address: str, limit_seconds: float, *, http: bool
) -> bool | None:
    if http:
        return await asyncio.to_thread(_http_readiness, address, limit_seconds)
    return await _readiness(channel, limit_seconds)


def _http_readiness(address: str, limit_seconds: float) -> bool | None:
    connection = HTTPConnection(address, timeout=limit_seconds)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


async def _readiness(channel: grpc.aio.Channel, limit_seconds: float) -> bool | None:
    request = health_pb2.HealthCheckRequest(service=READINESS)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=limit_seconds)
    except grpc.aio.AioRpcError as exc:
        # NOT_FOUND: somebody answers, but not (yet) a service of ours.
        return False if exc.code() == grpc.StatusCode.NOT_FOUND else None
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
