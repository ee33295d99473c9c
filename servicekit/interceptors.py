"""What happens around every RPC of every service: context, access log, authentication, errors.

Each interceptor is one async context manager around the handler, whatever the kind of RPC. The
handlers themselves only do their work and raise.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from abc import abstractmethod
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    nullcontext,
)
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog

from servicekit.authentication import peer_of
from servicekit.context import (
    EXECUTION_ID_KEY,
    REQUEST_ID_KEY,
    CallContext,
    bind_execution_id,
    current_call,
    is_execution_id,
    is_valid_id,
    new_id,
    remaining_seconds,
    set_call,
)
from servicekit.errors import (
    CancelledError_,
    Code,
    DeadlineExceededError,
    InternalError,
    PermissionDeniedError,
    RemoteError,
    ServiceError,
    UnavailableError,
)
from servicekit.metrics import RPC_SECONDS
from servicekit.principals import set_principal
from servicekit.spans import NO_SPAN, TRACEPARENT_KEY, Role, Span, Tracer, rpc_attributes
from servicekit.status import read_status, to_wire
from servicekit.version import VERSION_KEY, software_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from servicekit.access import AccessTable
    from servicekit.authentication import Authenticator
    from servicekit.metrics import Meter

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[[Any, Context], AbstractAsyncContextManager[None]]

log = structlog.get_logger(__name__)

HEALTH_PREFIX = "/grpc.health.v1.Health/"
_QUIET_METHODS = (HEALTH_PREFIX, "/grpc.reflection.")
_CONTEXT_KEYS = (REQUEST_ID_KEY, EXECUTION_ID_KEY, TRACEPARENT_KEY)
_FAULTS = (Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS)
"""Codes that say that a service, not its caller, did something wrong."""


class AroundInterceptor(grpc.aio.ServerInterceptor):
    """An interceptor that does something before and after the handler."""

    @abstractmethod
    def around(self, method: str, context: Context) -> AbstractAsyncContextManager[None]:
        """Return what is entered before the handler runs and left when it has finished.

        Args:
            method: `/package.Service/Rpc`.
            context: The call.
        """

    def around_request(
        self, method: str, request: Any, context: Context
    ) -> AbstractAsyncContextManager[None]:
        """Return the same, for whoever has to know the request (or the stream of them)."""
        return self.around(method, context)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wrap the handler; an unknown method stays unknown and ends as UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        return _wrap(
            handler, lambda request, context: self.around_request(method, request, context)
        )


def _wrap(handler: Handler, around: Around) -> Handler:
    """Put `around` about the one behaviour that `handler` has."""
    wrap = _streaming if handler.response_streaming else _single
    return with_behaviour(handler, lambda behaviour: wrap(behaviour, around))


def with_behaviour(
    handler: Handler,
    change: Callable[[Callable[..., Any]], Callable[..., Any]],
    request_deserializer: Callable[[bytes], Any] | None = None,
) -> Handler:
    """Return a handler like `handler` that does what `change` makes of its one behaviour.

    Args:
        handler: The handler.
        change: Makes another behaviour of its own.
        request_deserializer: Reads its requests; None: its own does.
    """
    kind = (
        f"{'stream' if handler.request_streaming else 'unary'}_"
        f"{'stream' if handler.response_streaming else 'unary'}"
    )
    result: Handler = getattr(grpc, f"{kind}_rpc_method_handler")(
        change(getattr(handler, kind)),
        request_deserializer=request_deserializer or handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return result


def _single(behaviour: Callable[..., Awaitable[Any]], around: Around) -> Callable[..., Any]:
    async def handle(request: Any, context: Context) -> Any:
        async with around(request, context):
            return await behaviour(request, context)

    return handle


def _streaming(behaviour: Callable[..., Any], around: Around) -> Callable[..., Any]:
    """Write the responses ourselves.

    If gRPC iterated the generator, a cancel during a write would leave it to the garbage
    collector, which closes it later in another context.
    """

    async def handle(request: Any, context: Context) -> None:
        async with around(request, context):
            if not inspect.isasyncgenfunction(behaviour):
                await behaviour(request, context)
                return
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    await context.write(response)

    return handle


class ContextInterceptor(AroundInterceptor):
    """Outermost: gives the call its ids, its deadline and its span."""

    def __init__(self, tracer: Tracer) -> None:
        """Begin spans with `tracer`."""
        self._tracer = tracer

    def around(self, method: str, context: Context) -> AbstractAsyncContextManager[None]:
        """Set the context of a call of which only the metadata are known."""
        return self.around_request(method, None, context)

    @contextlib.asynccontextmanager
    async def around_request(
        self, method: str, request: Any, context: Context
    ) -> AsyncIterator[None]:
        """Set the context of the call; each call is a task of its own, so nothing is reset."""
        ids: dict[str, str] = {}
        for key, value in context.invocation_metadata() or ():
            if key in _CONTEXT_KEYS and is_valid_id(str(value)):
                ids[key] = str(value)
        remaining = context.time_remaining()
        deadline = None if remaining is None else time.monotonic() + remaining
        with self._span(method, ids.get(TRACEPARENT_KEY, "")) as span:
            set_call(
                CallContext(
                    request_id=ids.get(REQUEST_ID_KEY) or new_id(),
                    execution_id=ids.get(EXECUTION_ID_KEY, ""),
                    deadline=deadline,
                    span=span,
                )
            )
            if method.startswith(HEALTH_PREFIX):
                context.set_trailing_metadata(((VERSION_KEY, software_version()),))
            about = str(getattr(request, "execution_id", ""))
            if is_execution_id(about):
                bind_execution_id(about)
            yield

    def _span(self, method: str, parent: str) -> AbstractContextManager[Span]:
        if method.startswith(_QUIET_METHODS):
            return nullcontext(NO_SPAN)
        attributes = rpc_attributes(method)
        return self._tracer.begin(method[1:], Role.SERVER, parent=parent, attributes=attributes)


class AccessLogInterceptor(AroundInterceptor):
    """Writes the one line that every call gets, and counts it."""

    def __init__(self, meter: Meter) -> None:
        """Count calls with `meter`."""
        self._seconds = meter.distribution(RPC_SECONDS)

    @contextlib.asynccontextmanager
    async def around(self, method: str, context: Context) -> AsyncIterator[None]:
        """Log `rpc_finished` with the code the caller sees, also after a cancel."""
        started = time.perf_counter()
        code = "OK"
        try:
            yield
            code = _code_name(context) or "OK"
        except asyncio.CancelledError:
            # gRPC sets no code here; the caller's time or patience is over.
            code = Code.DEADLINE_EXCEEDED if remaining_seconds() == 0 else Code.CANCELLED
            raise
        except BaseException:
            code = _code_name(context) or Code.UNKNOWN
            raise
        finally:
            seconds = time.perf_counter() - started
            quiet = method.startswith(_QUIET_METHODS)
            if not quiet:
                self._seconds.observe(seconds, method[1:], str(code))
                _end_span(str(code))
            write = log.debug if quiet else log.info
            write(
                "rpc_finished",
                rpc=method.lstrip("/"),
                grpc_code=str(code),
                duration_ms=round(seconds * 1000, 3),
            )


def _end_span(code: str) -> None:
    span = current_call().span
    span.note({"rpc.grpc.status_code": code})
    if code in _FAULTS:
        span.fail(code)


def _code_name(context: Context) -> str | None:
    """Return the status set on `context`, which aio keeps as a number; None while unset."""
    code: Any = context.code()
    if not code:
        return None
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((one.name for one in grpc.StatusCode if one.value[0] == code), None)


class AuthenticationInterceptor(AroundInterceptor):
    """Finds out who calls, and whether they may call this RPC."""

    def __init__(self, authenticator: Authenticator, table: AccessTable) -> None:
        """Make the interceptor.

        Args:
            authenticator: Decides who calls.
            table: Decides who may call what.
        """
        self._authenticator = authenticator
        self._table = table

    @contextlib.asynccontextmanager
    async def around(self, method: str, context: Context) -> AsyncIterator[None]:
        """Set the principal, or end the call with a status."""
        if not self._table.is_public(method):
            async with _as_status(context):
                metadata: Any = context.invocation_metadata() or ()
                peer = peer_of(context.auth_context())
                principal = await self._authenticator.principal(metadata, peer)
                if not self._table.allows(principal.actor, method):
                    raise PermissionDeniedError(
                        "RPC_NOT_ALLOWED",
                        f"A {principal.actor} may not call {method.rpartition('/')[2]}.",
                    )
            set_principal(principal)
        yield


class ErrorInterceptor(AroundInterceptor):
    """Innermost: turns whatever a handler raises into exactly one status."""

    def around(self, method: str, context: Context) -> AbstractAsyncContextManager[None]:
        """Catch everything but aborts and genuine cancels."""
        return _as_status(context)


@contextlib.asynccontextmanager
async def _as_status(context: Context) -> AsyncIterator[None]:
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Something inside was cancelled, not this call: without a status the caller would wait on.
        await _abort(context, CancelledError_("CANCELLED", "The work was cancelled."), exc)
    except Exception as exc:
        await _abort(context, _service_error(exc), exc)


async def _abort(context: Context, error: ServiceError, cause: BaseException) -> NoReturn:
    try:
        await context.abort_with_status(to_wire(error))
    except grpc.aio.AbortError as abort:
        raise abort from cause


def _service_error(exc: Exception) -> ServiceError:
    """Find the error to report; whatever nobody foresaw is logged in full and called internal."""
    cause = _leaf(exc)
    if isinstance(cause, ServiceError):
        return cause
    if isinstance(cause, (RemoteError, grpc.RpcError)):
        remote = cause if isinstance(cause, RemoteError) else read_status(cause)
        if remote.code is Code.UNAVAILABLE:
            return UnavailableError(
                remote.reason or "NEIGHBOUR_UNAVAILABLE",
                "A service that is needed cannot be reached; try again.",
                retry_seconds=remote.retry_seconds or 1.0,
            )
        if remote.code is Code.DEADLINE_EXCEEDED:
            return DeadlineExceededError(
                remote.reason or "NEIGHBOUR_TOO_SLOW", "A service that is needed did not answer."
            )
    log.error("rpc_raised_unexpectedly", error_type=type(cause).__name__, exc_info=exc)
    return InternalError("INTERNAL", "Internal error.")


def _leaf(exc: BaseException) -> BaseException:
    """Unwrap the groups that a `TaskGroup` raises; a foreseen error outweighs its siblings."""
    if not isinstance(exc, BaseExceptionGroup):
        return exc
    leaves = [_leaf(one) for one in exc.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, ServiceError)), leaves[0])
