"""What text checks cost: layers 1-2, layers 1-3, a bare automaton scan for scale, and over gRPC.

Texts of 70 and of 1 500 characters are put together from harmless words, each text another one.
Layers 1-2 are the check at level `off`, which does not ask the classifier. Figures are microseconds
in one thread; "first" is the first pass over the texts, with words that the classifier may not have
met before. `longer_costs` is time(1 500) / time(70); a cost linear in the text gives at most 21.4.
Checks per second over gRPC are counted per second of CPU of one process that is server and client.

Usage: `python -m bench.safety [TEXTS]`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

import structlog
from ahocorasick_rs import AhoCorasick

from safety_service.model import Direction, Level
from safety_service.policy import load_policy
from safety_service.service import registration
from safety_service.settings import SafetySettings
from safety_service.text_check import TextChecker
from servicekit.channel import open_channel
from servicekit.server import start_server
from stellwerk.common.v1 import types_pb2
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WORDS = """
Ein kleiner Drache sitzt auf der Wiese und spuckt bunte Seifenblasen in den Himmel
Meine Oma backt mit mir Plätzchen und der Hund stibitzt den Teig vom Küchentisch
Eine Ritterin reitet mit ihrem Pferd über die Zugbrücke zum großen Sommerfest
A pirate ship sails through the clouds while the parrot steers and the captain sleeps
Two astronauts plant sunflowers on the moon and wave at everybody on the blue planet
Ein Roboter aus alten Dosen lernt Geige und spielt traurige Lieder für den Mond
Wie funktioniert ein Vulkan und warum ist die Lava so heiß und so langsam
"""
_PATTERNS = 10_000


def measure(texts: int) -> dict[str, float]:
    """Return the figures."""
    checker = TextChecker(load_policy())
    chance = random.Random(7)
    spoken = _WORDS.split()
    words = ["".join(chance.choices("abcdefghiklmnoprstuw", k=8)) for _ in range(_PATTERNS)]
    automaton = AhoCorasick(words)
    figures: dict[str, float] = {}
    for length in (70, 1_500):
        sample = [_text(chance, spoken, length) for _ in range(texts)]
        scan = _each(sample, lambda text: automaton.find_matches_as_indexes(text))
        figures |= _named(f"scan_{length}", scan)
        for name, level in (("layers_1_2", Level.OFF), ("layers_1_3", Level.KIDS)):

            def check(text: str, level: Level = level) -> object:
                return checker.check(text, level, Direction.INPUT)

            first = _each(sample, check)
            figures |= _named(f"{name}_{length}", _each(sample, check))
            figures[f"{name}_{length}_first_p50"] = median(first)
    for name in ("layers_1_2", "layers_1_3"):
        figures[f"{name}_longer_costs"] = figures[f"{name}_1500_p50"] / figures[f"{name}_70_p50"]
    sample = [_text(chance, spoken, 70) for _ in range(texts)]
    figures["grpc_checks_per_cpu_second"] = asyncio.run(_over_grpc(sample))
    return {name: round(value, 1) for name, value in figures.items()}


async def _over_grpc(texts: Sequence[str]) -> float:
    """Checks at level kids per second of CPU, some at once as in a class."""
    settings = SafetySettings(listen_address="127.0.0.1:0", drain_seconds=0, grace_seconds=1)
    at_once = asyncio.Semaphore(16)
    async with (
        start_server(settings, registration(settings)) as server,
        open_channel(server.address) as channel,
    ):
        stub = SafetyServiceStub(channel)

        async def check(text: str) -> None:
            async with at_once:
                await stub.CheckText(
                    safety.CheckTextRequest(
                        text=text,
                        safety_level=types_pb2.SAFETY_LEVEL_KIDS,
                        direction=safety.DIRECTION_INPUT,
                    ),
                    timeout=30,
                )

        await check(texts[0])  # connects
        started = time.process_time()
        await asyncio.gather(*map(check, texts))
        return len(texts) / (time.process_time() - started)


def _text(chance: random.Random, words: Sequence[str], length: int) -> str:
    text = ""
    while len(text) < length:
        text += chance.choice(words) + " "
    return text[:length]


def _each(texts: Sequence[str], work: Callable[[str], object]) -> list[float]:
    """Microseconds of each text."""
    taken = []
    for text in texts:
        started = time.perf_counter()
        work(text)
        taken.append((time.perf_counter() - started) * 1e6)
    return taken


def _named(name: str, taken: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p50": median(taken), f"{name}_p95": quantiles(taken, n=20)[18]}


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
    print(json.dumps(figures, indent=2))
