"""A channel by TLS that goes on with the new certificate once its files have changed.

gRPC fixes a channel's credentials when it is made. So a change opens another one for the calls to
come, and the old one is closed when the calls that run on it have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.certificates import channel_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from servicekit.certificates import Certificates

RETIRE_SECONDS = 3600.0
"""How long calls may go on that began with an old certificate."""


class RotatingChannel(grpc.aio.Channel):
    """Always the channel of the certificate in force."""

    def __init__(
        self, address: str, certificates: Certificates, options: Sequence[tuple[str, Any]]
    ) -> None:
        """Open the first one.

        Args:
            address: `host:port`, or another gRPC target.
            certificates: Ours, and whom we trust.
            options: Of each channel.
        """
        self._address = address
        self._certificates = certificates
        self._options = options
        self._material = certificates.current()
        self._channel = self._open()
        self._retiring: dict[asyncio.Task[None], grpc.aio.Channel] = {}

    def _open(self) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(
            self._address, channel_credentials(self._material), options=self._options
        )

    def _current(self) -> grpc.aio.Channel:
        material = self._certificates.current()
        if material is not self._material:
            self._material, old = material, self._channel
            self._channel = self._open()
            retiring = asyncio.create_task(old.close(RETIRE_SECONDS))
            self._retiring[retiring] = old
            retiring.add_done_callback(lambda task: self._retiring.pop(task, None))
        return self._channel

    async def __aenter__(self) -> RotatingChannel:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        retiring = dict(self._retiring)
        for task, old in retiring.items():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await old.close()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._current().channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._following(lambda channel: channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._following(lambda channel: channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._following(lambda channel: channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._following(lambda channel: channel.stream_stream(*args, **kwargs))

    def _following(self, make: Callable[[grpc.aio.Channel], Any]) -> Callable[..., Any]:
        """Return what starts calls on the channel in force; stubs are made once and kept."""
        channel = self._current()
        start = make(channel)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal channel, start
            current = self._current()
            if current is not channel:
                channel, start = current, make(current)
            return start(*args, **kwargs)

        return call
