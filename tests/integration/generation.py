"""A generation service in this process, with a stand-in for the language models."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal, TypeAlias

import grpc
import pytest

from generation_service.roles import ResolvedRole
from generation_service.service import add_generation
from generation_service.settings import GenerationSettings
from generation_service.text.interface import TextDelta, TextResult
from servicekit.errors import remote_error
from servicekit.principals import Role, identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping
    from pathlib import Path

    from generation_service.text.interface import TextRequest
    from servicekit.errors import RemoteError
    from servicekit.server import Owned, ServiceNames

Stub: TypeAlias = "generation_service_pb2_grpc.GenerationServiceAsyncStub"  # in type stubs only


class Echo:
    """Answers the text RPCs by repeating the question, and tells when it was left."""

    def __init__(self) -> None:
        self.left = False

    def resolve(self, role: str) -> ResolvedRole:
        return ResolvedRole(f"echo/{role}", "echo", ("echo/b",), False, "test", True)

    async def generate(self, request: TextRequest) -> AsyncIterator[TextDelta | TextResult]:
        try:
            for message in request.messages:
                yield TextDelta(message.content)
            if request.parameters.max_tokens == 1:
                await asyncio.Event().wait()
            yield TextResult(
                text="".join(m.content for m in request.messages),
                messages=request.messages,
                parameters={"seed": request.parameters.seed},
                model="echo/a",
                backend="echo",
                prompt_token_count=None,
                completion_token_count=2,
                run_seconds=1.5,
                first_token_seconds=0.25,
                finish_reason="stop",
            )
        finally:
            self.left = True


@contextlib.asynccontextmanager
async def generation(
    folder: Path,
    text: Echo,
    *,
    mark_media: Literal["models", "all", "off"] = "off",
    options: Mapping[str, object] | None = None,
) -> AsyncIterator[Stub]:
    """A client of a generation service that keeps its files in `folder`."""
    settings = GenerationSettings(
        listen_address="127.0.0.1:0",
        data_dir=folder,
        grace_seconds=1,
        session_queue_limit=3,
        upload_max_bytes=100_000,
        mark_media=mark_media,
        **options or {},  # type: ignore[arg-type]
    )

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        return await add_generation(server, owned, settings, text)

    async with serving(register, settings) as channel:
        yield generation_service_pb2_grpc.GenerationServiceStub(channel)


def acting(session: str, role: Role = Role.LEARNER) -> list[tuple[str, str]]:
    """Metadata of a service that acts on behalf of somebody."""
    return identity_metadata(user=f"user-{session}", session=session, role=role)


def order(
    prompt: str = "a cat", seed: int | None = 7, **changes: object
) -> pb.GenerateMediaRequest:
    """A request for a small picture."""
    fields: dict[str, object] = {
        "execution_id": "e1",
        "loop_iteration": 1,
        "output_config": "embedded_image",
        "backend": "embedded",
        "model": "picture-a",
        "media_type": types_pb2.MEDIA_TYPE_IMAGE,
        "prompt": prompt,
        "parameters": pb.MediaParameters(width=64, height=64, seed=seed),
        "item_id": "i1",
    }
    return pb.GenerateMediaRequest(**{**fields, **changes})  # type: ignore[arg-type]


LONG = pb.MediaParameters(width=2048, height=2048, seed=1)


async def run(
    stub: Stub, request: pb.GenerateMediaRequest, session: str = "s1"
) -> list[pb.GenerateMediaResponse]:
    """All events of a job."""
    return [event async for event in stub.GenerateMedia(request, metadata=acting(session))]


async def read(
    stub: Stub, key: pb.MediaKey, metadata: list[tuple[str, str]], offset: int = 0
) -> bytes:
    """All bytes of a file."""
    call = stub.ReadMedia(pb.ReadMediaRequest(key=key, offset=offset), metadata=metadata)
    return b"".join([piece.data async for piece in call])


async def refused(call: Awaitable[object]) -> RemoteError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return remote_error(failed.value)


def item(execution_id: str = "e1", item_id: str = "i1") -> pb.MediaKey:
    """A file by its item."""
    return pb.MediaKey(item=pb.ItemKey(execution_id=execution_id, item_id=item_id))


async def upload(stub: Stub, data: bytes, session: str = "s1") -> types_pb2.MediaRef:
    """Send a file in pieces."""

    async def parts() -> AsyncIterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(header=pb.UploadMediaHeader(filename="photo.jpg"))
        for start in range(0, len(data), 64 * 1024):
            yield pb.UploadMediaRequest(data=data[start : start + 64 * 1024])

    return (await stub.UploadMedia(parts(), metadata=acting(session))).media
