"""A servicer whose every kind of RPC does what a test says; it speaks the tracker's contract.

Real RPC names are needed because the access table admits no others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.channel import ending
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1 import tracker_service_pb2_grpc as tracker_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from servicekit.server import Owned, Register

    Do = Callable[[Any], Coroutine[Any, Any, None]]

TRACKER = "stellwerk.tracker.v1.TrackerService"
GENERATION = "stellwerk.generation.v1.GenerationService"


async def nothing(context: Any) -> None:
    """Succeed."""


class Probe:
    """One RPC of each kind; each runs `do` before it answers."""

    def __init__(self, do: Do) -> None:
        """Make the probe run `do`."""
        self._do = do

    async def get_execution(self, request: Any, context: Any) -> Any:
        """Unary to unary."""
        await self._do(context)
        return tracker_pb2.GetExecutionResponse()

    async def watch_items(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Unary to stream, as a generator."""
        yield tracker_pb2.WatchItemsResponse()
        await self._do(context)
        yield tracker_pb2.WatchItemsResponse()

    async def upload_media(self, request_iterator: Any, context: Any) -> Any:
        """Stream to unary."""
        async for _ in request_iterator:
            pass
        await self._do(context)
        return generation_pb2.UploadMediaResponse()

    async def record_items(self, request_iterator: Any, context: Any) -> None:
        """Stream to stream, by writing."""
        async for _ in request_iterator:
            await context.write(tracker_pb2.RecordItemsResponse())
        await self._do(context)


def probe(do: Do = nothing) -> Register:
    """Return what registers a probe that runs `do`."""

    async def register(server: grpc.aio.Server, owned: Owned) -> list[str]:
        one = Probe(do)
        tracker: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetExecution": grpc.unary_unary_rpc_method_handler(
                one.get_execution,
                tracker_pb2.GetExecutionRequest.FromString,
                tracker_pb2.GetExecutionResponse.SerializeToString,
            ),
            "WatchItems": grpc.unary_stream_rpc_method_handler(
                one.watch_items,
                tracker_pb2.WatchItemsRequest.FromString,
                tracker_pb2.WatchItemsResponse.SerializeToString,
            ),
            "RecordItems": grpc.stream_stream_rpc_method_handler(
                one.record_items,
                tracker_pb2.RecordItemsRequest.FromString,
                tracker_pb2.RecordItemsResponse.SerializeToString,
            ),
        }
        generation: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "UploadMedia": grpc.stream_unary_rpc_method_handler(
                one.upload_media,
                generation_pb2.UploadMediaRequest.FromString,
                generation_pb2.UploadMediaResponse.SerializeToString,
            ),
        }
        for name, handlers in ((TRACKER, tracker), (GENERATION, generation)):
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
        return [TRACKER, GENERATION]

    return register


def raising(error: BaseException) -> Do:
    """Return a behaviour that raises `error`."""

    async def do(context: Any) -> None:
        raise error

    return do


async def unary_unary(channel: grpc.aio.Channel, **options: Any) -> Any:
    """Call GetExecution and return the answer."""
    stub = tracker_grpc.TrackerServiceStub(channel)
    return await stub.GetExecution(tracker_pb2.GetExecutionRequest(), **options)


async def unary_stream(channel: grpc.aio.Channel, **options: Any) -> None:
    """Call WatchItems and read to the end."""
    stub = tracker_grpc.TrackerServiceStub(channel)
    with ending(stub.WatchItems(tracker_pb2.WatchItemsRequest(), **options)) as items:
        async for _ in items:
            pass


async def stream_unary(channel: grpc.aio.Channel, **options: Any) -> None:
    """Call UploadMedia with three messages."""
    stub = generation_grpc.GenerationServiceStub(channel)
    await stub.UploadMedia(iter([generation_pb2.UploadMediaRequest()] * 3), **options)


async def stream_stream(channel: grpc.aio.Channel, **options: Any) -> None:
    """Call RecordItems with three messages and read to the end."""
    stub = tracker_grpc.TrackerServiceStub(channel)
    requests = iter([tracker_pb2.RecordItemsRequest()] * 3)
    with ending(stub.RecordItems(requests, **options)) as acks:
        async for _ in acks:
            pass


async def silence() -> AsyncIterator[Any]:
    """Send nothing: a client that still writes when the server refuses may miss the status."""
    await asyncio.Event().wait()
    yield


async def silent_stream_unary(channel: grpc.aio.Channel, **options: Any) -> None:
    """Open UploadMedia and send nothing."""
    await generation_grpc.GenerationServiceStub(channel).UploadMedia(silence(), **options)


async def silent_stream_stream(channel: grpc.aio.Channel, **options: Any) -> None:
    """Open RecordItems and send nothing."""
    stub = tracker_grpc.TrackerServiceStub(channel)
    with ending(stub.RecordItems(silence(), **options)) as acks:
        async for _ in acks:
            pass


EVERY_OPENING = [unary_unary, unary_stream, silent_stream_unary, silent_stream_stream]
EVERY_KIND = [unary_unary, unary_stream, stream_unary, stream_stream]
