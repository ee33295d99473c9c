"""Many people at once: nobody's words reach a neighbour's prompt or record."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from stellwerk.common.v1.types_pb2 import SAFETY_LEVEL_ADULT
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.tracker.v1.execution_pb2 import EXECUTION_STATE_COMPLETED
from stellwerk_client.client import StellwerkClient
from tests.e2e.records import record_of

if TYPE_CHECKING:
    from typing import Any

    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

CONFIGS = ("dada", "bauhaus", "overdrive", "stillepost")
PEOPLE = 40
TOKEN = re.compile(r"token\d\dx")


async def test_forty_runs_at_once_never_mix(served: Deployment, ollama: FakeOllama) -> None:
    """Forty people with four configs: each prompt and each record holds one person's token."""

    def echo(request: dict[str, Any]) -> str:
        prompt = "\n".join(str(message["content"]) for message in request["messages"])
        return f"A kite with {' and '.join(sorted(set(TOKEN.findall(prompt))))}"

    ollama.answer, ollama.token_delay_seconds = echo, 0.005
    tokens = [f"token{number:02d}x" for number in range(PEOPLE)]
    # A group, so that what fails here leaves no runs behind for the next test.
    async with asyncio.TaskGroup() as people:
        runs = [
            people.create_task(run_one(served, token, CONFIGS[number % 4]))
            for number, token in enumerate(tokens)
        ]
    records = [run.result() for run in runs]
    for request in ollama.requests:
        assert len(set(TOKEN.findall(request.prompt))) == 1
    for token, record in zip(tokens, records, strict=True):
        assert record["user_id"] == f"user-{token}"
        assert set(TOKEN.findall(str(record["items"]))) == {token}


async def run_one(deployment: Deployment, token: str, config: str) -> dict[str, Any]:
    """Run one person's idea and return its record once that is complete."""
    request = orchestrator_pb2.RunExecutionRequest(
        config=config,
        texts=[f"A kite with {token}"],
        safety_level=SAFETY_LEVEL_ADULT,
        text_only=True,
    )
    async with StellwerkClient(
        deployment.server, user=f"user-{token}", session=f"session-{token}"
    ) as client:
        async for event in client.run(request):
            last = event
        assert last.state_changed.state == EXECUTION_STATE_COMPLETED
        return await record_of(client, last.execution_id)
