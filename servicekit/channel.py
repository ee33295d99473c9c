"""Channels to other services: identity, ids and time limits go along by themselves.

A channel here wraps the one of grpc.aio and adds metadata and timeout at the start of each call.
(Client interceptors would do too, but they replace the call objects of streams by slower ones.)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import grpc

from servicekit.certificates import Certificates
from servicekit.client_spans import spanned
from servicekit.context import (
    EXECUTION_ID_KEY,
    REQUEST_ID_KEY,
    current_call,
    new_id,
    remaining_seconds,
)
from servicekit.errors import Code, RemoteError
from servicekit.principals import AUTHORIZATION_KEY, principal_metadata, principal_or_none
from servicekit.rotating import RotatingChannel
from servicekit.spans import TRACEPARENT_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from servicekit.settings import ServiceSettings

T = TypeVar("T")
C = TypeVar("C", bound="Cancellable")
Metadata = list[tuple[str, str]]
Check: TypeAlias = "Callable[[str], None]"

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest message, both ways, of servers and channels; media travel as chunks."""

DEFAULT_TIMEOUT_SECONDS = 30.0
"""Limit of a call with one response that names none itself."""

_SERVICE_CONFIG: dict[str, list[dict[str, object]]] = {"loadBalancingConfig": [{"round_robin": {}}]}

CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # neighbours are never behind the user's web proxy
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A neighbour that restarts is back in about a second; the defaults wait up to 2 minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name this is how long one attempt to connect may take, TLS included.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A frozen neighbour keeps its connection: only a ping tells.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class Cancellable(Protocol):
    """A call that can be cancelled, blocking or not."""

    def cancel(self) -> Any:
        """End the call; the other side hears of it."""


def deadline(seconds: float) -> float:
    """Return the timeout for a call: the own limit, or less if the caller waits no longer.

    Args:
        seconds: The own limit.

    Returns:
        Seconds, never below 0.
    """
    remaining = remaining_seconds()
    return seconds if remaining is None else min(seconds, remaining)


def call_metadata(credential: str | None = None) -> Metadata:
    """Return the metadata of an outgoing call: ids, principal of the current call, credential.

    Args:
        credential: API key or service key to show.
    """
    call = current_call()
    metadata = [(REQUEST_ID_KEY, call.request_id or new_id())]
    if call.execution_id:
        metadata.append((EXECUTION_ID_KEY, call.execution_id))
    if call.span.traceparent:
        metadata.append((TRACEPARENT_KEY, call.span.traceparent))
    if credential:
        metadata.append((AUTHORIZATION_KEY, f"Bearer {credential}"))
    principal = principal_or_none()
    return metadata + (principal_metadata(principal) if principal else [])


def open_channel(
    address: str,
    *,
    service_key: str | None = None,
    api_key: str | None = None,
    metadata: Sequence[tuple[str, str]] = (),
    certificates: Certificates | None = None,
    check: Check | None = None,
) -> grpc.aio.Channel:
    """Open a channel: one per target and process. Close it, or use it as a context.

    Args:
        address: `host:port`, or a gRPC target such as `dns:///tracker:50054`.
        service_key: For services: shown on each call, the current principal goes along.
        api_key: For people's tools: shown on each call.
        metadata: Sent with each call, e.g. `identity_metadata(user=…)`. Where the current
            principal says otherwise, the principal wins.
        certificates: Speak TLS with these, and go on with new ones when they change.
        check: Told the RPC (`/package.Service/Rpc`) before each call; what it raises, ends it.

    Returns:
        The channel. Its calls never outlast the call being served, and calls with a single
        request and response end after `DEFAULT_TIMEOUT_SECONDS` unless they say otherwise.
    """
    inner: grpc.aio.Channel = (
        grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        if certificates is None
        else RotatingChannel(address, certificates, CHANNEL_OPTIONS)
    )
    return _Channel(inner, service_key or api_key, list(metadata), check)


def open_neighbour(
    settings: ServiceSettings, address: str, *, check: Check | None = None
) -> grpc.aio.Channel:
    """Open a channel to a neighbour, with the credentials of this service; see `open_channel`.

    Raises:
        ConfigurationError: The TLS files are faulty.
    """
    secret = settings.service_key
    return open_channel(
        address,
        service_key=secret.get_secret_value() if secret else None,
        certificates=Certificates.of_service(settings),
        check=check,
    )


class _Channel(grpc.aio.Channel):
    """Adds metadata and timeout to each call of `inner`."""

    def __init__(
        self,
        inner: grpc.aio.Channel,
        credential: str | None,
        fixed: Metadata,
        check: Check | None = None,
    ) -> None:
        self._inner = inner
        self._check = check
        self._credential = credential
        self._fixed = fixed

    async def __aenter__(self) -> _Channel:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._inner.__aexit__(*exc_info)

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        start = self._inner.unary_unary(method, *args, **kwargs)
        return self._started(method, start, DEFAULT_TIMEOUT_SECONDS)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._started(method, self._inner.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._started(method, self._inner.stream_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._started(method, self._inner.stream_stream(method, *args, **kwargs))

    def _started(
        self, method: str, start: Callable[..., Any], default_timeout: float | None = None
    ) -> Callable[..., Any]:
        def call(
            request: Any = None, *, timeout: float | None = None, metadata: Any = (), **rest: Any
        ) -> Any:
            if self._check is not None:
                self._check(method)
            limit = default_timeout if timeout is None else timeout
            return spanned(
                method,
                lambda: start(
                    request,
                    timeout=remaining_seconds() if limit is None else deadline(limit),
                    metadata=self._metadata(metadata or ()),
                    **rest,
                ),
            )

        return call

    def _metadata(self, own: Sequence[tuple[str, str]]) -> Metadata:
        """Join what the call, the context and the channel say; the first to name a key wins."""
        joined = list(own)
        for source in (call_metadata(self._credential), self._fixed):
            named = {key for key, _ in joined}
            joined.extend(pair for pair in source if pair[0] not in named)
        return joined


@contextlib.contextmanager
def ending(call: C) -> Iterator[C]:
    """Cancel a streaming call when the block is left, however it is left.

    Read every response stream inside of it: `with ending(stub.WatchItems(request)) as items:`.
    When a task that reads a stream is cancelled between two reads, grpc.aio forgets to cancel the
    call, and the server goes on working for nobody until the channel is closed.

    Args:
        call: What the stub returned.

    Yields:
        The same call.
    """
    try:
        yield call
    finally:
        call.cancel()  # does nothing if the call is over


async def retry_unavailable(
    call: Callable[[], Awaitable[T]],
    *,
    attempts: int = 4,
    first_delay_seconds: float = 0.05,
    max_delay_seconds: float = 1.0,
) -> T:
    """Call again while the answer is UNAVAILABLE; only for RPCs that are "safe to repeat".

    Args:
        call: Starts the call anew each time.
        attempts: How often at most, the first one included.
        first_delay_seconds: Wait before the second attempt; doubles each time, with jitter.
        max_delay_seconds: Longest wait.

    Returns:
        What the call returns.

    Raises:
        grpc.RpcError: What the last attempt raised; also when the time of the call being served
            does not allow another one.
        RemoteError: Likewise, where `call` raises those.
    """
    for attempt in range(attempts - 1):
        try:
            return await call()
        except (grpc.aio.AioRpcError, RemoteError) as exc:
            code = exc.code if isinstance(exc, RemoteError) else exc.code().name
            delay = min(max_delay_seconds, first_delay_seconds * 2**attempt)
            delay *= random.uniform(0.5, 1.0)
            remaining = remaining_seconds()
            if code != Code.UNAVAILABLE or (remaining is not None and remaining <= delay):
                raise
            await asyncio.sleep(delay)
    return await call()
