"""Has every call counted against the limits of whoever makes it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from servicekit.interceptors import AroundInterceptor
from servicekit.principals import Role, principal_or_none
from servicekit.rates import Rate, Rates, works

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    import grpc

    from servicekit.settings import ServiceSettings


class RateInterceptor(AroundInterceptor):
    """Keeps one person from calling too often; stands inside of the errors."""

    def __init__(self, rates: Rates, works: Collection[str]) -> None:
        """Limit by `rates`; `works` are the RPCs that let models or disks work."""
        self._rates = rates
        self._works = works

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> RateInterceptor:
        """Make the one that `settings` ask for."""
        return cls(rates_of(settings), works())

    @contextlib.asynccontextmanager
    async def around(
        self, method: str, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[None]:
        """Count the call, or refuse it; neighbours call as often as they must."""
        principal = principal_or_none()
        if principal is not None and principal.actor is not Role.SERVICE:
            self._rates.take(principal.id, works=method in self._works)
        yield


def rates_of(settings: ServiceSettings) -> Rates:
    """Return the limits that `settings` ask for.

    Where callers cannot be told apart they all are the one person at this machine, who needs no
    turn.
    """
    if not settings.has_credentials:
        return Rates(calls=Rate(0), works=Rate(0))
    return Rates(calls=Rate(settings.calls_per_minute), works=Rate(settings.works_per_minute))
