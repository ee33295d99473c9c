"""What text checks cost: layers 1-2, layers 1-3, a bare automaton scan for scale, and over gRPC.

Texts of 70 and of 1 500 characters are put together from harmless words, each text another one.
Layers 1-2 are the check at level `off`, which does not ask the classifier. Figures are microseconds
in one thread; "new words" is the first pass over the texts, with words that the classifier may not
have met before. A cost linear in the text makes 1 500 characters 21.4 times as dear as 70.
Checks per second over gRPC are counted per second of CPU of one process that is server and client.
"""

from __future__ import annotations

import asyncio
import random
import time
from statistics import median
from typing import TYPE_CHECKING

from ahocorasick_rs import AhoCorasick

from bench.figures import Figure, at_most
from bench.report import main
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
    from collections.abc import Callable, Iterator, Sequence

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
LENGTHS = (70, 1_500)
LONGEST_US = {70: 50.0, 1_500: 1_000.0}
LONGER_COSTS = 25.0
LEVELS = {"1-2": Level.OFF, "1-3": Level.KIDS}


def figures(short: bool) -> Iterator[Figure]:
    """Measure both lengths, then checks over gRPC."""
    texts = 300 if short else 1_000
    checker = TextChecker(load_policy())
    chance = random.Random(7)
    spoken = _WORDS.split()
    words = ["".join(chance.choices("abcdefghiklmnoprstuw", k=8)) for _ in range(_PATTERNS)]
    automaton = AhoCorasick(words)
    p50: dict[tuple[str, int], float] = {}
    for length in LENGTHS:
        sample = [_text(chance, spoken, length) for _ in range(texts)]
        scan = median(_each(sample, automaton.find_matches_as_indexes))
        for layers, level in LEVELS.items():

            def check(text: str, level: Level = level) -> object:
                return checker.check(text, level, Direction.INPUT)

            name = f"text check, layers {layers}, {length} characters"
            first, again = median(_each(sample, check)), median(_each(sample, check))
            p50[layers, length] = again
            goals = (at_most(LONGEST_US[length]),) if layers == "1-2" else ()
            yield Figure(f"{name}, p50", "µs", again, scan, goals)
            yield Figure(f"{name}, new words, p50", "µs", first, scan)
    for layers in LEVELS:
        short_text, long_text = (p50[layers, length] for length in LENGTHS)
        goals = (at_most(LONGER_COSTS, "ratio"),) if layers == "1-2" else ()
        name = f"text check, layers {layers}, {LENGTHS[1]} characters, beside {LENGTHS[0]}"
        yield Figure(name, "µs", long_text, short_text, goals)
    sample = [_text(chance, spoken, LENGTHS[0]) for _ in range(texts)]
    each = asyncio.run(_over_grpc(sample))
    yield Figure("text checks over gRPC per CPU second", "/s", each, more_is_better=True)


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


if __name__ == "__main__":
    main("safety", figures)
