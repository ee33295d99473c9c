"""Finds out which calls are administrative acts, and has them written down.

`acts.toml` beside this file names them, so that nobody who adds an RPC has to remember to write a
line, and a person can review in one place what is noted and which fields go along.
"""

from __future__ import annotations

import contextlib
import inspect
import tomllib
from contextlib import aclosing
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.audit import Act
from servicekit.errors import ServiceError
from servicekit.interceptors import with_behaviour
from servicekit.principals import Role, principal_or_none

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from servicekit.audit import AuditLog

    Handler = grpc.RpcMethodHandler[Any, Any]

Fields = dict[str, tuple[str, ...]]
"""RPC (`/package.Service/Rpc`) to the paths of the fields of request or response that go along."""


def audited_fields() -> Fields:
    """Read the table that ships with this package."""
    text = resources.files(__package__).joinpath("acts.toml").read_text(encoding="utf-8")
    services: dict[str, dict[str, list[str]]] = tomllib.loads(text)
    return {
        f"/{service}/{rpc}": tuple(paths)
        for service, rpcs in services.items()
        for rpc, paths in rpcs.items()
    }


class ActInterceptor(grpc.aio.ServerInterceptor):
    """Innermost: sees requests, responses and what handlers raise."""

    def __init__(self, audit: AuditLog, fields: Mapping[str, Sequence[str]]) -> None:
        """Note the RPCs that `fields` name in `audit`."""
        self._audit = audit
        self._fields = fields

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wrap the handlers of administrative acts; all others stay as they are."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method not in self._fields:
            return handler
        wrap = self._streaming if handler.response_streaming else self._single
        return with_behaviour(handler, partial(wrap, method))

    def _single(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> Any:
            seen = [request]
            async with self._noting(method, seen):
                response = await behaviour(request, context)
                seen.append(response)
                return response

        return handle

    def _streaming(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isasyncgenfunction(behaviour):
            return self._single(method, behaviour)

        async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
            async with (
                self._noting(method, [request]),
                aclosing(behaviour(request, context)) as responses,
            ):
                async for response in responses:
                    yield response

        return handle

    @contextlib.asynccontextmanager
    async def _noting(self, method: str, seen: list[Any]) -> AsyncIterator[None]:
        """Note what happens inside, unless a service does it as a part of its own work."""
        principal = principal_or_none()
        if principal is None or principal.role is Role.SERVICE:
            yield
            return
        outcome = "CANCELLED"
        try:
            yield
            outcome = "OK"
        except ServiceError as exc:
            outcome = exc.reason
            raise
        except Exception:
            outcome = "INTERNAL"
            raise
        finally:
            details = {
                path: value
                for path in self._fields[method]
                if (value := _value(seen, path)) is not None
            }
            name = method.rpartition("/")[2]
            await self._audit.note(Act(name, principal.id, principal.role, outcome, details))


def _value(messages: Sequence[Any], path: str) -> Any:
    """Return the field of the first message that has it set, or None."""
    for message in messages:
        value = message
        for name in path.split("."):
            known = getattr(value, "DESCRIPTOR", None)
            if known is None or name not in known.fields_by_name:
                value = None
                break
            value = getattr(value, name)
        if isinstance(value, (str, int, bool)) and value:
            return value
    return None
