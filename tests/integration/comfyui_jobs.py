"""A generation service before stand-in ComfyUI servers, and small workflows for it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from generation_service.service import add_generation
from generation_service.settings import GenerationSettings
from servicekit.principals import Role
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc
from tests.integration.generation import Echo, Stub, acting, order
from tests.support import eventually, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    import grpc

    from servicekit.server import Owned, ServiceNames

ADMIN = acting("admin-session", Role.ADMIN)


@contextlib.asynccontextmanager
async def media_factory(
    folder: Path, urls: Iterable[str], **changes: object
) -> AsyncIterator[Stub]:
    """A client of a generation service before these ComfyUI servers, once they are all well."""
    fields: dict[str, Any] = {
        "listen_address": "127.0.0.1:0",
        "data_dir": folder,
        "grace_seconds": 1,
        "comfyui_workers": ",".join(urls),
        "worker_check_seconds": 0.2,
        **changes,
    }
    settings = GenerationSettings(**fields)

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        return await add_generation(server, owned, settings, Echo())

    async with serving(register, settings) as channel:
        stub = generation_service_pb2_grpc.GenerationServiceStub(channel)

        async def all_well() -> bool:
            workers = await workers_of(stub)
            return all(worker.version or not worker.address for worker in workers.values())

        await eventually(all_well)
        yield stub


async def workers_of(stub: Stub) -> dict[str, pb.Worker]:
    """All workers by name."""
    answer = await stub.ListWorkers(pb.ListWorkersRequest(), metadata=ADMIN)
    return {worker.name: worker for worker in answer.workers}


def graph(*, seconds: float = 0.0, **inputs: object) -> dict[str, Any]:
    """A graph that makes an empty picture, after a pause if wanted."""
    size = {"width": 64, "height": 64, "batch_size": 1, "color": 255, **inputs}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size, "_meta": {"title": "Canvas"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
    }


def workflow(nodes: dict[str, Any] | None = None, **changes: Any) -> pb.Workflow:
    """A workflow whose size and colour can be chosen."""
    mappings = {
        "width": {"title": "Canvas", "field": "inputs.width"},
        "height": {"node_id": "1", "field": "inputs.height"},
        "color": {"class_type": "EmptyImage", "field": "inputs.color"},
    }
    return pb.Workflow(
        id="empty_image",
        graph_json=json.dumps(nodes or graph()).encode(),
        input_mappings_json=json.dumps(mappings).encode(),
        output_mapping_json=json.dumps({"node_id": "2", "output_type": "image"}).encode(),
        **changes,
    )


def comfy_order(number: int = 1, **changes: object) -> pb.GenerateMediaRequest:
    """A request for an empty picture whose colour is its number."""
    fields: dict[str, Any] = {
        "execution_id": f"e{number}",
        "item_id": f"i{number}",
        "output_config": "empty_image",
        "backend": "comfyui",
        "model": "",
        "media_type": types_pb2.MEDIA_TYPE_IMAGE,
        "workflow": workflow(),
        "parameters": pb.MediaParameters(
            width=72, height=64, extra_json=json.dumps({"color": number}).encode()
        ),
    }
    return order(**{**fields, **changes})
