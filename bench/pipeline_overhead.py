"""What the orchestrator and the tracker add to a run, with models that answer at once.

The reference, measured in the same process in turn with ours, makes the same calls directly: the
check of the input, the language model, for the same text. Figures are medians over many runs, in
milliseconds; throughput is runs per second with 200 at once. All four services run in this one
process, so the machine's cores are shared by both sides alike.

Usage: `python -m bench.pipeline_overhead [RUNS] [AT_ONCE]`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from servicekit.channel import open_channel
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceStub
from tests.fakes.ollama import FakeOllama
from tests.integration.house import open_house

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.house import House

IDEA = "Eine Blume auf der Wiese"
ADULT = types_pb2.SAFETY_LEVEL_ADULT


async def measure(runs: int, at_once: int) -> dict[str, float]:
    """Return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            FakeOllama("Eine Blume tanzt.") as ollama,
            open_house(Path(folder), ollama.url) as house,
        ):
            info = await house.orchestrator.GetServerInfo(pb2.GetServerInfoRequest())
            async with (
                open_channel(info.safety_address) as to_safety,
                open_channel(info.generation_address) as to_generation,
            ):
                direct = _Direct(to_safety, to_generation, await _messages(house, ollama))

                async def ours() -> None:
                    await house.run(config="dada", texts=[IDEA], text_only=True, safety_level=ADULT)

                return await _compare(ours, direct.run, runs, at_once)


async def _messages(house: House, ollama: FakeOllama) -> list[tuple[str, str]]:
    """Run once to warm everything up, and return what the model was sent."""
    await house.run(config="dada", texts=[IDEA], text_only=True, safety_level=ADULT)
    sent = ollama.requests[0].json["messages"]
    return [(message["role"], message["content"]) for message in sent]


class _Direct:
    """The reference: the same calls without orchestrator and tracker."""

    def __init__(self, to_safety, to_generation, messages: list[tuple[str, str]]) -> None:  # type: ignore[no-untyped-def]
        self._safety = SafetyServiceStub(to_safety)
        self._generation = GenerationServiceStub(to_generation)
        self._messages = [
            generation_pb2.TextMessage(role=role, content=content) for role, content in messages
        ]

    async def run(self) -> None:
        check = safety_pb2.CheckTextRequest(
            text=IDEA, safety_level=ADULT, direction=safety_pb2.DIRECTION_INPUT
        )
        await self._safety.CheckTexts(safety_pb2.CheckTextsRequest(requests=[check]))
        request = generation_pb2.GenerateTextRequest(role="interception", messages=self._messages)
        async for _ in self._generation.GenerateText(request):
            pass


async def _compare(
    ours: Callable[[], Awaitable[None]],
    reference: Callable[[], Awaitable[None]],
    runs: int,
    at_once: int,
) -> dict[str, float]:
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(runs):
        for name, run in (("ours", ours), ("reference", reference)):
            started = time.perf_counter()
            await run()
            times[name].append((time.perf_counter() - started) * 1000)
    rates = {"ours": 0.0, "reference": 0.0}
    for name, run in (("ours", ours), ("reference", reference)):
        started = time.perf_counter()
        await asyncio.gather(*(run() for _ in range(at_once)))
        rates[name] = at_once / (time.perf_counter() - started)
    ours_ms, reference_ms = (statistics.median(times[name]) for name in ("ours", "reference"))
    return {
        "ours_p50_ms": round(ours_ms, 2),
        "reference_p50_ms": round(reference_ms, 2),
        "added_p50_ms": round(ours_ms - reference_ms, 2),
        "ours_runs_per_second": round(rates["ours"], 1),
        "reference_runs_per_second": round(rates["reference"], 1),
        "throughput_ratio": round(rates["ours"] / rates["reference"], 2),
    }


def main() -> None:
    """Measure and print the figures as one JSON object."""
    runs, at_once = (int(text) for text in (*sys.argv[1:], "100", "200")[:2])
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    print(json.dumps({"bench": "pipeline_overhead", **asyncio.run(measure(runs, at_once))}))


if __name__ == "__main__":
    main()
