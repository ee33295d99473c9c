"""People who each want one picture of a fleet of generation services, some of which die."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc

from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.fakes.comfyui import prompt_id_of
from tests.integration.comfyui_jobs import comfy_order
from tests.integration.generation import acting

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.generation_fleet import Fleet


class Caller:
    """Somebody who wants a picture and asks another replica when one goes away.

    Attributes:
        events: All that was told, each once.
    """

    def __init__(self, fleet: Fleet, number: int, rng: random.Random, sessions: int) -> None:
        self.session = f"s{number % sessions}"
        self.events: list[pb.GenerateMediaResponse] = []
        self.begin_time = 0.0
        self._fleet = fleet
        self._number = number
        self._rng = rng

    async def call(self) -> None:
        """Ask until the job has ended."""
        while not self.events or self.events[-1].WhichOneof("event") != "finished":
            try:
                async for event in self._ask():
                    self.events.append(event)
                    if event.WhichOneof("event") == "started" and not self.begin_time:
                        self.begin_time = time.monotonic()
            except grpc.aio.AioRpcError as exc:
                assert exc.code() is grpc.StatusCode.UNAVAILABLE, exc
                await asyncio.sleep(0.2)

    async def _ask(self) -> AsyncIterator[pb.GenerateMediaResponse]:
        stub = self._rng.choice(self._fleet.replicas).stub
        metadata = acting(self.session)
        if self.events:
            last = self.events[-1]
            watched = pb.WatchJobRequest(job_id=last.job_id, after_sequence=last.sequence_number)
            async for response in stub.WatchJob(watched, metadata=metadata):
                yield response.event
            return
        order = comfy_order(self._number, idempotency_key=f"k{self._number}")
        async for event in stub.GenerateMedia(order, metadata=metadata):
            yield event


async def picture_of(caller: Caller, folder: Path) -> str:
    """The prompt that made the one picture of a caller, who must have got no other one."""
    (output,) = [one.output for one in caller.events if one.WhichOneof("event") == "output"]
    assert sum(one.WhichOneof("event") == "finished" for one in caller.events) == 1
    content = await asyncio.to_thread((folder / output.media.uri).read_bytes)
    prompt_id = prompt_id_of(content)
    assert prompt_id == caller.events[-1].finished.backend_job_id
    return prompt_id
