"""The connection to NATS: questions with answers, and news that nobody has to hear.

Everything here is core NATS, at most once and kept nowhere. Whoever asks asks again until there
is an answer, and whoever answers does the same thing twice gladly; what has to outlive a process
is a document (`documents.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import structlog

from generation_service.queue.jetstream.access import LOST, connected
from generation_service.queue.jetstream.wire import (
    Fields,
    error_fields,
    error_from_fields,
    pack,
    unpack,
)
from servicekit.errors import (
    InternalError,
    InvalidArgumentError,
    ServiceError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.js import JetStreamContext

    from generation_service.queue.jetstream.access import NatsOptions

T = TypeVar("T")

log = structlog.get_logger(__name__)

Answerer: TypeAlias = "Callable[[Fields], Awaitable[Fields]]"
Listener: TypeAlias = "Callable[[Fields], None]"

_ANSWERS_AT_ONCE = 2000
_HEADROOM_BYTES = 32 * 1024


class NobodyAnswersError(Exception):
    """There was no answer in time, or nobody to ask."""


class SilenceError(Exception):
    """A question is not for this process: another one will answer."""


class MessageTooLargeError(InvalidArgumentError):
    """What is to be sent is larger than the server lets through."""


class Link:
    """A connection that comes back by itself. Made by `open_link`."""

    def __init__(self, client: Client, options: NatsOptions, *, answer_seconds: float) -> None:
        """Use a connected client; its owner closes it."""
        self._client = client
        self._answer_seconds = answer_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self.options = options
        self.jetstream: JetStreamContext = client.jetstream(timeout=answer_seconds)

    def subject(self, *parts: str) -> str:
        """A subject of this deployment."""
        return ".".join((self.options.prefix, *parts))

    def inbox(self) -> str:
        """A subject that only one knows."""
        return str(self._client.new_inbox())

    async def ask(self, subject: str, question: Fields) -> Fields:
        """Ask once.

        Raises:
            NobodyAnswersError: Nobody answered in time.
            ServiceError: That is the answer.
        """
        try:
            answer = await heeding(
                self._client.request(subject, self._packed(question), timeout=self._answer_seconds)
            )
        except LOST as exc:
            raise NobodyAnswersError(subject) from exc
        fields = unpack(answer.data)
        if (error := fields.get("error")) is not None:
            raise error_from_fields(error)
        return fields

    async def tell(self, subject: str, news: Fields) -> None:
        """Tell whoever listens; while there is no connection, nobody does."""
        if self._client.is_connected:
            with contextlib.suppress(*LOST):
                await self._client.publish(subject, self._packed(news))

    async def answer(self, subject: str, answerer: Answerer) -> Subscription:
        """Answer questions, many at once, until the subscription is ended."""

        async def take(message: Msg) -> None:
            if len(self._tasks) >= _ANSWERS_AT_ONCE:
                return  # who asks will ask again
            task = asyncio.create_task(self._respond(message, answerer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return await self._client.subscribe(subject, cb=take)

    async def listen(self, subject: str, listener: Listener) -> Subscription:
        """Hear news until the subscription is ended; the listener returns at once."""

        async def take(message: Msg) -> None:
            listener(unpack(message.data))

        return await self._client.subscribe(subject, cb=take)

    async def settle(self) -> None:
        """Return when the server knows of all that was subscribed to."""
        with contextlib.suppress(*LOST):
            await heeding(self._client.flush(timeout=max(1, round(self._answer_seconds))))

    async def close(self) -> None:
        """End what is being answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _respond(self, message: Msg, answerer: Answerer) -> None:
        try:
            try:
                answer = await answerer(unpack(message.data))
            except SilenceError:
                return
            except ServiceError as exc:
                answer = {"error": error_fields(exc)}
            except Exception:
                # The edge of a question: our bug must not leave the one who asks without an answer.
                log.exception("question_crashed", subject=message.subject)
                answer = {"error": error_fields(InternalError("INTERNAL", "Internal error."))}
            await self._client.publish(message.reply, self._packed(answer))
        except LOST:
            log.info("answer_lost", subject=message.subject)

    def _packed(self, fields: Fields) -> bytes:
        data = pack(fields)
        if len(data) > self._client.max_payload - _HEADROOM_BYTES:
            raise MessageTooLargeError(
                "JOB_TOO_LARGE", "The workflow or what was asked for is too large for the queue."
            )
        return data


async def heeding(call: Coroutine[Any, Any, T]) -> T:
    """Await a call of the client so that being cancelled ends it.

    It waits with `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that comes
    together with the answer; a task that nobody can end would be left.
    """
    task = asyncio.ensure_future(call)
    task.add_done_callback(_look_at_error)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    return task.result()


def _look_at_error(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def end(subscription: Subscription) -> None:
    """End a subscription, whether or not the server is there."""
    with contextlib.suppress(*LOST):
        await subscription.unsubscribe()


@contextlib.asynccontextmanager
async def open_link(
    options: NatsOptions,
    *,
    answer_seconds: float = 2.0,
    connect_seconds: float = 60.0,
    turned_out: Callable[[], None] = lambda: None,
) -> AsyncIterator[Link]:
    """Connect, and stay connected: a server that restarts is found again.

    Args:
        options: Where and how.
        answer_seconds: How long one question waits for its answer.
        connect_seconds: How long the server may take to be there at the start.
        turned_out: Called when a server ends the connection for good.

    Raises:
        ConfigurationError: It was not there by then, or does not let us in.
    """
    way_in = connected(options, connect_seconds=connect_seconds, turned_out=turned_out)
    async with way_in as client:
        link = Link(client, options, answer_seconds=answer_seconds)
        try:
            yield link
        finally:
            await link.close()


class QueueUnavailableError(UnavailableError):
    """No process leads the queue for now, or NATS is away."""

    def __init__(self) -> None:
        """Say when to come again."""
        super().__init__(
            "QUEUE_UNAVAILABLE",
            "The queue cannot be reached. Try again in a moment.",
            retry_seconds=5.0,
        )
