"""Fifty people at once: no word reaches a foreign prompt, and each record can be replayed."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.configs import load_configs, shipped_configs_dir
from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from tests.fakes.ollama import FakeOllama
from tests.integration.house import House, open_house
from tests.integration.replay import Replay, canonical, sampling_in
from tests.integration.steps import Person

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.fakes.text_server import Recorded

USERS = 50
AT_ONCE = 50
TOKEN = re.compile(r"Wort\d+x\d+wort")
ADULT = types_pb2.SAFETY_LEVEL_ADULT
HARD = (
    "Ein {{CONTEXT}} und {{INPUT_TEXT}} und {Klammern} }}{{",
    "Ein \"Haus\" mit 'Fenstern' und \\ und \\n und „Türen“",
    "بيت صغير على التل \u202eRTL\u202c",
    "Eine 👩‍👩‍👧 Familie 🌱 und ein 🐈‍⬛",
    "<script>alert(1)</script> & %s ${x} \\1 \\g<0>",
)
LONG = "lang " * 3_900
PATIENCE: dict[str, Any] = {
    "safety_seconds": 120.0,
    "input_check_seconds": 120.0,
    "output_check_seconds": 120.0,
}
"""Limits for fifty people on one busy machine."""


def wishes() -> list[str]:
    """Return the shipped configs that a person can run with one text."""
    configs = load_configs(shipped_configs_dir())
    needs = {
        id_: configs.pipelines[config.pipeline].input_requirements
        for id_, config in configs.interception.items()
    }
    return sorted(id_ for id_, need in needs.items() if (need.texts, need.images) == (1, 0))


def answer(request: dict[str, Any]) -> str:
    """Answer in paragraphs with the one token that was asked about."""
    prompt = "\n".join(message["content"] for message in request["messages"])
    token = next(iter(TOKEN.findall(prompt)), "nichts")
    return f"Ein Bild von {token}.\n\nDer zweite Absatz über {token} {{{{CONTEXT}}}}.\n\nEnde."


@dataclass(frozen=True)
class Writer:
    """Somebody who writes texts as they come.

    Attributes:
        user: Their number.
        texts: Beginnings to choose from.
        choice: How they choose.
    """

    user: int
    texts: tuple[str, ...]
    choice: random.Random


async def at_work(house: House, writer: Writer, config: str, number: int) -> str:
    """Run one config step by step with edits as they come; returns the execution."""
    user, choice = writer.user, writer.choice
    token = f"Wort{user}x{number}wort"

    def text() -> str:
        return f"{choice.choice(writer.texts)}\n\nEin Garten mit {token}.\n\nDritter Absatz."

    context = {"context": f"Schreibe {token} dazu."} if config == "user_defined" else {}
    person = Person(house, f"kind-{user}", f"tisch-{user}")
    await person.start(
        config=config, texts=[text()], safety_level=ADULT, language="de", text_only=True, **context
    )
    for _ in range(choice.randint(1, 2)):
        edits = [await person.edit_of("texts[0]", text())] if choice.random() < 0.5 else []
        await person.intercept(edits=edits)
    edits = [await person.edit_of("interception", text())] if choice.random() < 0.5 else []
    await person.render(edits=edits)
    assert person.state == execution_pb2.EXECUTION_STATE_COMPLETED
    return person.execution_id


async def check(house: House, execution_id: str, token: str) -> set[tuple[str, str]]:
    """Check a record alone; returns the calls that it tells of."""
    record = await house.record(execution_id)
    assert [item.sequence_number for item in record.items] == list(range(1, len(record.items) + 1))
    assert {item.execution_id for item in record.items} == {execution_id}
    assert set(TOKEN.findall(str(record))) == {token}
    plan = await house.tracker.GetPlan(tracker_pb2.GetPlanRequest(execution_id=execution_id))
    return Replay(record, plan.plan.plan_json).calls


def received(requests: Iterable[Recorded]) -> set[tuple[str, str]]:
    """Return what the model server got, in the words of a record."""
    return {
        (canonical(request.json["messages"]), canonical(sampling_in(request.json["options"])))
        for request in requests
    }


async def fifty_people(tmp_path: Path, texts: tuple[str, ...], per_person: int, seed: int) -> int:
    """Let everybody work at once and hold the model server's book against the records.

    Returns:
        How many runs were checked.
    """
    configs = wishes()
    async with FakeOllama(answer) as ollama, open_house(tmp_path, ollama.url, **PATIENCE) as house:
        places = asyncio.Semaphore(AT_ONCE)

        async def work(user: int) -> list[tuple[str, str]]:
            writer = Writer(user, texts, random.Random(f"{seed}/{user}"))
            chosen = [configs[(user + at) % len(configs)] for at in range(per_person)]
            done = []
            for number, config in enumerate(chosen):
                async with places:
                    execution_id = await at_work(house, writer, config, number)
                done.append((execution_id, f"Wort{user}x{number}wort"))
            return done

        runs = [run for person in await asyncio.gather(*map(work, range(USERS))) for run in person]
        told: set[tuple[str, str]] = set()
        for execution_id, token in runs:
            told |= await check(house, execution_id, token)
        for request in ollama.requests:
            assert len(set(TOKEN.findall(request.prompt))) == 1
        assert received(ollama.requests) == told
    return len(runs)


async def test_fifty_people_share_nothing(tmp_path: Path) -> None:
    """No foreign word in a prompt, no paragraph lost, parameters as the config says."""
    assert await fifty_people(tmp_path, HARD, per_person=1, seed=1) == USERS


@pytest.mark.drill
@pytest.mark.timeout(900)
async def test_fifty_people_with_every_config_share_nothing(tmp_path: Path) -> None:
    """The same with every shipped config for everybody, and with very long texts."""
    count = len(wishes())
    assert await fifty_people(tmp_path, (*HARD, LONG), per_person=count, seed=2) == USERS * count
