"""The other replicas of this service: which one runs an execution, and calls passed on to it.

A call goes on with the caller's identity and deadline, and with a mark: a replica that gets a
marked call never passes it on. So replicas that disagree about an owner send nothing in circles.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.channel import deadline, ending
from servicekit.errors import (
    Code,
    InternalError,
    NotFoundError,
    ServiceError,
    UnavailableError,
    remote_error,
)
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

PASSED_ON: Final = ("stellwerk-passed-on", "1")
"""The mark of a call that another replica has passed on."""
KEPT_CHANNELS: Final = 64
ANSWER_SECONDS: Final = 1.0
"""How long a replica may take to say that it is there."""
ASK_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 2.0
YOUNG_SECONDS: Final = 2.0
"""How long the tracker may take to hear of a new execution."""
LOOK_SECONDS: Final = 0.05

_ERRORS: Final = {kind.code: kind for kind in ServiceError.__subclasses__()}


class OwnerUnavailableError(UnavailableError):
    """The replica that runs an execution does not answer, and its lease is not over."""

    def __init__(self) -> None:
        """Say so, and when to try again."""
        super().__init__(
            "OWNER_UNAVAILABLE",
            "The replica that runs this does not answer; try again in a moment.",
            retry_seconds=RETRY_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs an execution.

    Attributes:
        owned: Somebody's lease still runs.
        address: Who it is, `host:port`; empty: nobody, or the tracker does not know yet.
    """

    owned: bool
    address: str


class Owners(Protocol):
    """Knows who runs what."""

    async def owner_of(self, execution_id: str) -> Owner:
        """Return who runs an execution now.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        ...


class Replica:
    """Another orchestrator."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Reach it through `channel`, which is closed with this."""
        self._channel = channel
        self._stub: Any = OrchestratorServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    async def answers(self) -> bool:
        """Tell whether it is there; one that drains still is."""
        request = health_pb2.HealthCheckRequest()
        try:
            await self._health.Check(request, timeout=deadline(ANSWER_SECONDS))
        except grpc.RpcError:
            return False
        return True

    async def ask(self, rpc: str, request: Any) -> Any:
        """Pass a call on and return the response.

        Raises:
            OwnerUnavailableError: It does not answer.
            ServiceError: What it refuses the call with.
        """
        with _failures():
            call = getattr(self._stub, rpc)
            return await call(request, metadata=(PASSED_ON,), timeout=deadline(ASK_SECONDS))

    async def stream(self, rpc: str, request: Any) -> AsyncGenerator[Any, None]:
        """Pass a call on and yield the responses.

        Raises:
            OwnerUnavailableError: It does not answer, or no longer.
            ServiceError: What it refuses the call with.
        """
        call = getattr(self._stub, rpc)(request, metadata=(PASSED_ON,))
        with _failures(), ending(call):
            async for response in call:
                yield response

    async def close(self) -> None:
        """Let go of it."""
        await self._channel.close()


class Replicas:
    """Finds the replica that runs an execution."""

    def __init__(
        self, owners: Owners, *, own_address: str, connect: Callable[[str], grpc.aio.Channel]
    ) -> None:
        """Begin without a connection.

        Args:
            owners: The tracker.
            own_address: By which the others know this replica.
            connect: Opens a channel to an address.
        """
        self._owners = owners
        self._own_address = own_address
        self._connect = connect
        self._known: OrderedDict[str, Replica] = OrderedDict()

    async def owner_of(self, execution_id: str) -> Replica | None:
        """Return the replica that runs an execution which does not run here.

        Returns:
            The replica; None: nobody answers for it. Either nobody owns it, or the owner is dead
            and its lease is not over, or a process with our address owned it before us.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        owner = await self._owner(execution_id)
        if not owner.address or owner.address == self._own_address:
            return None
        replica = await self._replica(owner.address)
        return replica if await replica.answers() else None

    async def close(self) -> None:
        """Let go of all."""
        while self._known:
            _, replica = self._known.popitem()
            await replica.close()

    async def _owner(self, execution_id: str) -> Owner:
        """Ask the tracker; of an execution that has just begun it may hear in a moment."""
        while True:
            try:
                owner = await self._owners.owner_of(execution_id)
            except NotFoundError:
                if not _is_young(execution_id):
                    raise
            else:
                unknown = owner.owned and not owner.address
                if not (unknown and _is_young(execution_id)):
                    return owner
            await asyncio.sleep(LOOK_SECONDS)

    async def _replica(self, address: str) -> Replica:
        replica = self._known.get(address)
        if replica is None:
            replica = self._known[address] = Replica(self._connect(address))
        self._known.move_to_end(address)
        if len(self._known) > KEPT_CHANNELS:
            _, oldest = self._known.popitem(last=False)
            await oldest.close()
        return replica


def is_passed_on(context: Any) -> bool:
    """Tell whether the call being served came from another replica."""
    return PASSED_ON in (tuple(pair) for pair in context.invocation_metadata() or ())


def _is_young(execution_id: str) -> bool:
    """Tell by a UUIDv7 whether an execution has just begun."""
    try:
        made = uuid.UUID(execution_id)
    except ValueError:
        return False
    made_seconds = (made.int >> 80) / 1000
    return made.version == 7 and time.time() - made_seconds < YOUNG_SECONDS


@contextmanager
def _failures() -> Iterator[None]:
    """Hand on a refusal as it is, so that the caller cannot tell which replica it came from."""
    try:
        yield
    except grpc.RpcError as exc:
        error = remote_error(exc)
        if not error.reason and error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
            raise OwnerUnavailableError from exc
        raise _ERRORS.get(error.code, InternalError)(
            error.reason or "INTERNAL",
            error.message,
            violations=error.violations,
            retry_seconds=error.retry_seconds,
        ) from exc
