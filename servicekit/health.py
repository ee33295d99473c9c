"""Health of a service: `""` says alive, `"readiness"` and the service names say ready.

While a service drains it is still alive: if `""` said otherwise, Kubernetes would kill it in the
middle of its last calls. So only the readiness names change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

HEALTH_SERVICE = "grpc.health.v1.Health"
READINESS = "readiness"


class Readiness:
    """The readiness that health checks see."""

    def __init__(self, server: grpc.aio.Server) -> None:
        """Add the health service to `server`: alive, not ready."""
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set(self, ready: bool, names: Sequence[str]) -> None:
        """Report `"readiness"` and `names` as ready or not.

        Args:
            ready: Whether calls may come.
            names: Full names of the API services.
        """
        for name in (READINESS, *names):
            await self.tell(name, ready)

    async def tell(self, name: str, ready: bool) -> None:
        """Report one name as ready or not."""
        response = health_pb2.HealthCheckResponse
        await self._servicer.set(name, response.SERVING if ready else response.NOT_SERVING)
