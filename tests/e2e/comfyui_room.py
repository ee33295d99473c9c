"""A room with ComfyUI workers: a deployment as users start it, before stand-in processes."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from PIL import Image

from stellwerk.common.v1.types_pb2 import SAFETY_LEVEL_KIDS
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk_client.client import StellwerkClient
from stellwerk_client.errors import StellwerkError
from tests.e2e.deployment import Deployment, deployed, items_of
from tests.fakes.comfyui import ComfyUIProcess, prompt_id_of
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent
    from tests.e2e.deployment import Json
    from tests.fakes.comfyui.run import Run

SHIPPED = Path(__file__).parents[2] / "configs"
WORKERS = 3


@dataclass(frozen=True)
class Room:
    """A deployment and its workers.

    Attributes:
        deployment: The running `stellwerk up`.
        workers: The stand-ins that it was started with.
        spare: One more, which it does not know.
    """

    deployment: Deployment
    workers: tuple[ComfyUIProcess, ...]
    spare: ComfyUIProcess

    @property
    def runs(self) -> list[Run]:
        """What all workers really ran."""
        return [run for worker in (*self.workers, self.spare) for run in worker.runs]

    def client(self, name: str) -> StellwerkClient:
        """Return a client of a person in a session of their own."""
        server = self.deployment.server
        return StellwerkClient(server, user=f"user-{name}", session=f"session-{name}")

    async def set_all(self, **switches: Any) -> None:
        """Turn switches of all workers."""
        for worker in (*self.workers, self.spare):
            await worker.set(**switches)

    async def jobs(self, execution_id: str = "") -> list[generation_pb2.Job]:
        """Return all jobs, or those of an execution."""
        async with self.client("watcher") as client:
            return [job async for job in client.queue.list_jobs(execution_id=execution_id)]

    async def all_ready(self, count: int = WORKERS) -> None:
        """Wait until so many ComfyUI workers are ready and nothing is waiting or running."""

        async def ready() -> bool:
            async with self.client("watcher") as client:
                with contextlib.suppress(StellwerkError):  # the service is being restarted
                    workers = [each for each in await client.queue.list_workers() if each.address]
                    states = [each.state for each in workers]
                    return states == [generation_pb2.WORKER_STATE_READY] * count
            return False

        await eventually(ready, within_seconds=90)

    @contextlib.asynccontextmanager
    async def with_spare(self) -> AsyncIterator[None]:
        """Let the spare worker take jobs, too; it is gone again whatever the test comes to."""
        async with self.client("watcher") as client:
            worker = await client.queue.add_worker(self.spare.url)
            try:
                await self.all_ready(WORKERS + 1)
                yield
            finally:
                await client.queue.remove_worker(worker.name, force=True)

    async def all_idle(self) -> None:
        """Wait until no worker runs anything or has anything waiting."""

        async def idle() -> bool:
            return all([await _is_idle(each.url) for each in (*self.workers, self.spare)])

        await eventually(idle, within_seconds=60)


@contextlib.asynccontextmanager
async def room(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Room]:
    """Start the stand-ins, then `stellwerk up` with nothing more than their addresses."""
    async with contextlib.AsyncExitStack() as stack:
        started = [await stack.enter_async_context(ComfyUIProcess()) for _ in range(WORKERS + 1)]
        *workers, spare = started
        settings = {
            **environment,
            "COMFYUI_WORKERS": ",".join(worker.url for worker in workers),
            "ORCHESTRATOR_CONFIGS_DIR": str(configs_with_faults(folder)),
            "GENERATION_WORKER_CHECK_SECONDS": "0.5",
            "ORCHESTRATOR_REATTACH_SECONDS": "120",  # a busy machine is slow to start a service
        }
        deployment = stack.enter_context(deployed(folder, environment=settings))
        here = Room(deployment, tuple(workers), spare)
        await here.all_ready()
        yield here


def configs_with_faults(folder: Path) -> Path:
    """Copy the shipped configs and add outputs whose workflows only a worker finds faulty."""
    configs = folder / "configs"
    shutil.copytree(SHIPPED, configs)
    for name, node, change in (
        ("too_narrow", "picture", {"width": 0}),
        ("odd_scale", "scale", {"upscale_method": "by_magic"}),
    ):
        workflow = json.loads((configs / "workflows/empty_image.json").read_text())
        graph = workflow["graph"]
        graph["scale"] = {"class_type": "ImageScale", "inputs": dict(SCALE)}
        graph["save"]["inputs"]["images"] = ["scale", 0]
        graph[node]["inputs"] |= change
        workflow["input_mappings"] = {}
        (configs / f"workflows/{name}.json").write_text(json.dumps(workflow))
        output = json.loads((configs / "output/empty_image.json").read_text())
        output |= {"workflow": name, "parameters": {}}
        (configs / f"output/{name}.json").write_text(json.dumps(output))
    return configs


SCALE = {
    "image": ["picture", 0],
    "upscale_method": "bilinear",
    "width": 64,
    "height": 64,
    "crop": "disabled",
}


def idea(output: str = "empty_image", **parameters: Any) -> orchestrator_pb2.RunExecutionRequest:
    """Return a request for one output of a worker, which no language model has a part in."""
    return orchestrator_pb2.RunExecutionRequest(
        config="passthrough",
        texts=["A red kite"],
        outputs=[output],
        safety_level=SAFETY_LEVEL_KIDS,
        parameters={name: json.dumps(value) for name, value in parameters.items()},
    )


SMALL: dict[str, Any] = {"width": 72, "height": 64}


async def finish(client: StellwerkClient, request: Any) -> ExecutionEvent:
    """Run to the end and return the last event."""
    async for event in client.run(request):
        last = event
    return last


async def own_prompt_id(client: StellwerkClient, record: Json) -> str:
    """Check that the picture of a record is of its own prompt, and return that prompt's id."""
    (item,) = items_of(record, "output_image")
    pieces = [piece async for piece in client.read_media(record["execution_id"], item["item_id"])]
    content = b"".join(pieces)
    assert Image.open(io.BytesIO(content)).size == (SMALL["width"], SMALL["height"])
    assert prompt_id_of(content) == item["prompt_id"]
    prompt_id: str = item["prompt_id"]
    return prompt_id


async def _is_idle(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/queue") as response:
        queue = await response.json()
    return not queue["queue_running"] and not queue["queue_pending"]
