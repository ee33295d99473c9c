"""Refuses messages over the limit with an error that says what to do.

gRPC's own answer, a bare RESOURCE_EXHAUSTED, looks as if another try would help. So servers let in
somewhat more than is allowed and refuse it here; only what is far over meets gRPC's own answer.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import Message

from servicekit.channel import MAX_MESSAGE_BYTES
from servicekit.errors import InvalidArgumentError
from servicekit.interceptors import AroundInterceptor, with_behaviour

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable
    from typing import Self

    import grpc

    Handler = grpc.RpcMethodHandler[Any, Any]

MAX_RECEIVED_BYTES: Final = 2 * MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class _Oversized:
    """Stands for a message that is too large.

    Attributes:
        size_bytes: How large it is.
        field: Its largest field.
    """

    size_bytes: int
    field: str


class MessageSizeInterceptor(AroundInterceptor):
    """Ends calls whose messages are over `MAX_MESSAGE_BYTES`; stands inside of the errors."""

    def around(
        self, method: str, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AbstractAsyncContextManager[None]:
        """Do nothing around a call: its messages are what counts."""
        return nullcontext()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Have each message of a call measured while it is still bytes."""
        handler = await super().intercept_service(continuation, handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        check = _CheckedStream if handler.request_streaming else _checked
        return with_behaviour(
            handler,
            lambda behaviour: lambda request, context: behaviour(check(request), context),
            _bounded(handler.request_deserializer),
        )


def _bounded(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        message = deserialize(data)
        if len(data) <= MAX_MESSAGE_BYTES:
            return message
        return _Oversized(len(data), _largest_field(message))

    return read


def _checked(request: Any) -> Any:
    """Return a message that may be handled.

    Raises:
        InvalidArgumentError: MESSAGE_TOO_LARGE, naming the largest field.
    """
    if isinstance(request, _Oversized):
        raise InvalidArgumentError(
            "MESSAGE_TOO_LARGE",
            f"The message has {request.size_bytes} bytes; send at most {MAX_MESSAGE_BYTES}.",
            field=request.field,
        )
    return request


class _CheckedStream:
    """The same for each message of a stream; no generator, so that a handler may just leave it."""

    def __init__(self, requests: AsyncIterable[Any]) -> None:
        self._requests = aiter(requests)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return _checked(await anext(self._requests))


def _largest_field(message: Message) -> str:
    sizes = {field.name: _size(value) for field, value in message.ListFields()}
    return max(sizes, key=sizes.__getitem__, default="")


def _size(value: Any) -> int:
    """Return about how many bytes the value of a field takes."""
    if isinstance(value, Message):
        return value.ByteSize()
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, (int, float)):
        return 1
    return sum(map(_size, value))  # of a map its keys, which is near enough
