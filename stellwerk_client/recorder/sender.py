"""The one thread that talks to the tracker.

It keeps one `RecordItems` stream open, sends what the outbox hands out and settles what is acked.
It may wait as long as it likes, which is why nobody else is allowed to. gRPC's blocking API is used
on purpose: an event loop of its own beside the caller's would share grpc.aio's global poller.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from servicekit.certificates import channel_credentials
from servicekit.channel import CHANNEL_OPTIONS
from servicekit.errors import Code, RemoteError, remote_error
from servicekit.principals import AUTHORIZATION_KEY
from stellwerk.tracker.v1 import tracker_service_pb2
from stellwerk_client.recorder.outbox import Blame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servicekit.certificates import Certificates
    from stellwerk_client.recorder.limits import Limits
    from stellwerk_client.recorder.outbox import Outbox

log = structlog.get_logger(__name__)

_METHOD = "/stellwerk.tracker.v1.TrackerService/RecordItems"
_DOUBTFUL = (Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS, Code.OUT_OF_RANGE)
_JOIN_SECONDS = 2.0


def _pass_through(request: bytes) -> bytes:
    """Serializer of requests, which are assembled from serialized pieces."""
    return request


class _Link:
    """One stream, from its connection to its end."""

    def __init__(self, outbox: Outbox, linger_seconds: float) -> None:
        self._outbox = outbox
        self._linger_seconds = linger_seconds
        self._number = outbox.open_link()
        self._wake = threading.Event()
        self._ended = False
        self._call: Any = None

    def run(self, channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]) -> int:
        """Send and settle until the stream ends.

        Returns:
            How many acks came.

        Raises:
            grpc.RpcError: It did not end well.
        """
        acks = 0
        stream = channel.stream_stream(
            _METHOD,
            request_serializer=_pass_through,
            response_deserializer=tracker_service_pb2.RecordItemsResponse.FromString,
        )
        try:
            self._call = stream(self._requests(), metadata=metadata)
            if self._ended:
                self._call.cancel()
            for response in self._call:
                acks += 1
                if self._outbox.take_ack(response):
                    self._wake.set()
        finally:
            self.end()
        return acks

    def _requests(self) -> Iterator[bytes]:
        """Yield requests as there are any; gRPC calls this in a thread of its own."""
        while not self._ended:
            request = self._outbox.next_request(self._number)
            if request is not None:
                yield request.data
            if request is None or not request.full:
                # A request costs the same for one item as for a hundred, on both sides.
                self._wake.wait(self._linger_seconds)
                self._wake.clear()

    def end(self) -> None:
        """End the stream from any thread; what is unacked stays with the outbox."""
        self._ended = True
        self._wake.set()
        if self._call is not None:
            self._call.cancel()


class Sender:
    """Sends until it is stopped."""

    def __init__(
        self,
        outbox: Outbox,
        address: str,
        credential: str | None,
        limits: Limits,
        certificates: Certificates | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            outbox: What to send, and where acks go.
            address: The tracker, `host:port` or another gRPC target.
            credential: API key or service key to show.
            limits: When a tracker counts as frozen, how long to wait before a reconnect.
            certificates: Speak TLS with these, each connection with those in force then.
        """
        self.connected = False
        self._outbox = outbox
        self._address = address
        self._metadata = ((AUTHORIZATION_KEY, f"Bearer {credential}"),) if credential else ()
        self._limits = limits
        self._certificates = certificates
        self._stop = threading.Event()
        self._link: _Link | None = None
        self._attempt = 0
        self._next_log = 0.0
        self._thread = threading.Thread(target=self._run, name="recorder-sender", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def check(self) -> None:
        """End a stream whose tracker does not ack: called now and then by the keeper."""
        since = self._outbox.waiting_since()
        link = self._link
        if link and since is not None and time.monotonic() - since > self._limits.ack_seconds:
            link.end()

    def stop(self) -> None:
        """End at once."""
        self._stop.set()
        link = self._link
        if link is not None:
            link.end()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = self._limits.linger_seconds
            if self._outbox.has_work():
                try:
                    pause = self._connect()
                except Exception:  # without a sender nothing would ever arrive
                    log.exception("recorder_sender_failed")
                    pause = self._limits.max_backoff_seconds
            self._stop.wait(pause)

    def _connect(self) -> float:
        """Keep a stream as long as it lasts; returns the seconds to wait before the next one."""
        link = self._link = _Link(self._outbox, self._limits.linger_seconds)
        blame, wait = Blame.NOT_BATCH, 0.0
        with self._open_channel() as channel:
            self.connected = True
            try:
                if self._stop.is_set():
                    link.end()
                if link.run(channel, self._metadata):
                    self._attempt = 0
            except grpc.RpcError as exc:
                error = remote_error(exc)
                blame = _blame(error)
                wait = error.retry_seconds or 0.0
                self._report(error)
            finally:
                self.connected = False
                self._link = None
                self._outbox.close_link(blame)
        return max(min(wait, self._limits.max_backoff_seconds), self._backoff(blame))

    def _open_channel(self) -> grpc.Channel:
        """Open a fresh one: after an outage the old one may stick to a dead connection."""
        options = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
        if self._certificates is None:
            return grpc.insecure_channel(self._address, options=options)
        credentials = channel_credentials(self._certificates.current())
        return grpc.secure_channel(self._address, credentials, options=options)

    def _backoff(self, blame: Blame) -> float:
        least, most = self._limits.min_backoff_seconds, self._limits.max_backoff_seconds
        if blame is Blame.BATCH:
            return least  # the tracker is well; what it rejects is being narrowed down
        self._attempt += 1
        longest: float = min(most, least * 2.0 ** min(self._attempt - 1, 16))
        return random.uniform(0.5, 1.0) * longest

    def _report(self, error: RemoteError) -> None:
        now = time.monotonic()
        if self._stop.is_set() or now < self._next_log:
            return
        self._next_log = now + self._limits.log_seconds
        log.warning("tracker_stream_ended", grpc_code=error.code, reason=error.reason)


def _blame(error: RemoteError) -> Blame:
    if error.code is Code.INVALID_ARGUMENT:
        return Blame.BATCH
    too_large = error.code is Code.RESOURCE_EXHAUSTED and not error.reason
    return Blame.MAYBE_BATCH if too_large or error.code in _DOUBTFUL else Blame.NOT_BATCH
