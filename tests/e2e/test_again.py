"""`edit`, `regenerate` and `resume`, as a person types them."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.deployment import assert_well_formed, items_of
from tests.e2e.processes import read_execution_id
from tests.e2e.test_kill_drills import healed
from tests.fakes.text_server import Fault
from tests.support import eventually

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

IDEA = "A red kite over the sea"


def typed(deployment: Deployment, answers: str, *arguments: str) -> tuple[int, str]:
    """Run `stellwerk edit` with answers to its questions; returns exit code and output."""
    done = subprocess.run(
        [sys.executable, "-m", "stellwerk_cli", "edit", *arguments, "--server", deployment.server],
        input=answers.encode(),
        capture_output=True,
        cwd=deployment.data.parent,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def execution_in(shown: str) -> str:
    """Return the execution that a screen names first."""
    return shown.partition("execution ")[2].partition(":")[0]


async def test_a_person_edits_in_between_and_makes_it_once_more(
    served: Deployment, ollama: FakeOllama
) -> None:
    """What is typed at the prompt is what the next step works on; the picture is made twice."""
    ollama.answer = "The kite dances."
    answers = "t A blue kite over the sea\n\n"
    code, shown = typed(served, answers, IDEA, "--config", "dada", "--level", "kids")
    assert code == 0, shown
    assert "A blue kite over the sea" in ollama.requests[0].prompt
    record = served.complete_record(execution_in(shown))
    assert_well_formed(record)
    assert len(items_of(record, "user_edit")) == 1
    again = served.command("regenerate", record["execution_id"], "--json")
    assert again.code == 0, again.err
    second = served.complete_record(again.execution_id)
    assert second["parent_execution_id"] == record["execution_id"]
    assert len(items_of(second, "output_image")) == 1


async def test_cancelling_at_the_prompt(served: Deployment, ollama: FakeOllama) -> None:
    """`q` ends the execution."""
    code, shown = typed(served, "q\n", IDEA, "--config", "dada", "--level", "kids")
    assert code == 5, shown
    assert not ollama.requests


async def test_a_killed_run_is_resumed(served: Deployment, ollama: FakeOllama) -> None:
    """After the orchestrator was killed the run goes on where it was, and ends well."""
    ollama.answer = "The kite dances."
    ollama.next_faults.extend([None, None, Fault.HANG_BETWEEN])
    old_pid = served.pid("orchestrator")
    game = ("--config", "stillepost", "--level", "adult", "--json")
    with served.started("run", IDEA, *game) as run:
        execution_id = read_execution_id(run)
        await eventually(lambda: len(ollama.requests) == 3)
        served.signal("orchestrator", signal.SIGKILL)
        await healed(served, "orchestrator", old_pid)

    def resumed() -> bool:
        """The lease of the dead has to end first."""
        result = served.command("resume", execution_id, "--json")
        assert result.code == 0, result.err
        return True

    await eventually(resumed, within_seconds=60)
    record = served.complete_record(execution_id)
    assert_well_formed(record)
    assert len(items_of(record, "interception_iteration")) == 8
    assert len(ollama.requests) == 3 + 6
