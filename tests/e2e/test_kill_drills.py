"""Services that die during a run, with and without somebody who starts them again."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from stellwerk_cli.readiness import check_serving
from tests.e2e.deployment import assert_well_formed, items_of
from tests.e2e.processes import first_execution_id, read_execution_id
from tests.fakes.text_server import Fault
from tests.support import eventually

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment, Result
    from tests.fakes.ollama import FakeOllama

LONG_ANSWER = "word " * 20
IDEA = ("A red kite over the sea", "--config", "stillepost", "--level", "adult")


async def healed(deployment: Deployment, service: str, old_pid: int) -> None:
    """Wait until a service that ended serves again, as another process."""
    await eventually(lambda: deployment.pid(service) != old_pid, within_seconds=30)
    await eventually(lambda: check_serving(deployment.address(service)), within_seconds=30)


def finish(deployment: Deployment, *options: str) -> Result:
    """Run an idea with a picture to its end."""
    return deployment.run("A red kite", "--config", "dada", "--level", "kids", *options)


async def test_safety_killed_fails_the_run_and_nothing_is_generated(
    mortal: Deployment, ollama: FakeOllama
) -> None:
    """Without safety a run ends FAILED with SAFETY_UNAVAILABLE before any model is asked."""
    mortal.kill("safety")
    result = finish(mortal)
    assert result.code == 4
    assert "SAFETY_UNAVAILABLE" in result.reasons()
    assert ollama.requests == []
    record = mortal.complete_record(result.execution_id)
    assert_well_formed(record)
    assert (record["status"], record["error"]) == ("failed", "SAFETY_UNAVAILABLE")
    assert not items_of(record, "output_image")


async def test_safety_killed_during_a_run_lets_nothing_through(
    mortal: Deployment, ollama: FakeOllama
) -> None:
    """A run whose safety service dies in stage 2 ends FAILED and delivers nothing."""
    ollama.answer, ollama.token_delay_seconds = LONG_ANSWER, 0.1
    with mortal.started(
        "run", "A red kite", "--config", "dada", "--level", "kids", "--json"
    ) as run:
        await eventually(lambda: ollama.requests)
        mortal.kill("safety")
        out, _ = run.communicate(timeout=60)
    assert run.returncode == 4
    assert b"SAFETY_UNAVAILABLE" in out
    assert b"output_ready" not in out


async def test_generation_killed_fails_the_run_with_a_reason(
    mortal: Deployment, ollama: FakeOllama
) -> None:
    """Without generation a run ends FAILED and says so; its record is complete."""
    mortal.kill("generation")
    result = finish(mortal)
    assert result.code == 4
    (reason,) = result.reasons()
    assert "GENERATION" in reason
    record = mortal.complete_record(result.execution_id)
    assert_well_formed(record)
    assert (record["status"], record["error"]) == ("failed", reason)


async def test_tracker_killed_during_a_run_loses_no_item(
    mortal: Deployment, ollama: FakeOllama
) -> None:
    """A run finishes without the tracker; once it is back no item is missing."""
    ollama.answer, ollama.token_delay_seconds = LONG_ANSWER, 0.02
    with mortal.started("run", *IDEA, "--json") as run:
        await eventually(lambda: len(ollama.requests) >= 2)
        mortal.kill("tracker")
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    mortal.revive("tracker")
    record = mortal.complete_record(first_execution_id(out))
    assert_well_formed(record)
    assert record["status"] == "completed"
    assert len(items_of(record, "interception_iteration")) == 8


async def test_orchestrator_killed_during_a_run_keeps_what_was_recorded(
    served: Deployment, ollama: FakeOllama
) -> None:
    """The next orchestrator delivers the items of a run that died, without a gap."""
    ollama.answer, ollama.fault = LONG_ANSWER, Fault.HANG_BETWEEN
    with served.started("run", *IDEA, "--json") as run:
        await eventually(lambda: ollama.requests)
        execution_id = read_execution_id(run)
        old_pid = served.pid("orchestrator")
        served.signal("orchestrator", signal.SIGKILL)
        await healed(served, "orchestrator", old_pid)

    def items_arrived() -> bool:
        shown = served.command("records", "show", execution_id, "--json")
        assert shown.code == 0, shown.err
        return "stage1_safety_check" in shown.out

    await eventually(items_arrived, within_seconds=30)
    record = served.record(execution_id)
    numbers = [item["sequence_number"] for item in record["items"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("service", ["safety", "generation", "tracker", "orchestrator"])
async def test_killed_service_heals_and_the_next_run_works(
    served: Deployment, ollama: FakeOllama, service: str
) -> None:
    """With restarts on a killed service comes back by itself, and a run works as before."""
    old_pid = served.pid(service)
    served.signal(service, signal.SIGKILL)
    await healed(served, service, old_pid)
    result = finish(served)
    assert result.code == 0, result.err
    assert_well_formed(served.complete_record(result.execution_id))


@pytest.mark.parametrize("service", ["safety", "generation", "tracker"])
async def test_drained_service_loses_nothing_of_a_run(
    served: Deployment, ollama: FakeOllama, service: str
) -> None:
    """SIGTERM to a service during a run: both end properly, and the record is complete."""
    lines_before = len(served.console)
    ollama.answer, ollama.token_delay_seconds = LONG_ANSWER, 0.02
    old_pid = served.pid(service)
    with served.started("run", *IDEA, "--json") as run:
        await eventually(lambda: ollama.requests)
        served.signal(service, signal.SIGTERM)
        out, _ = run.communicate(timeout=60)
    assert run.returncode in (0, 4)
    record = served.complete_record(first_execution_id(out))
    assert_well_formed(record)
    await healed(served, service, old_pid)
    said = [line for line in served.console[lines_before:] if line.startswith(service)]
    assert any("ended with code 0" in line for line in said), said


async def test_drained_orchestrator_lets_a_short_run_finish(
    served: Deployment, ollama: FakeOllama
) -> None:
    """SIGTERM to the orchestrator: a run that ends within the grace time ends as always."""
    ollama.answer, ollama.first_token_delay_seconds = "A short answer.", 1.0
    old_pid = served.pid("orchestrator")
    arguments = ("run", "A red kite", "--config", "dada", "--text-only", "--json")
    with served.started(*arguments) as run:
        await eventually(lambda: ollama.requests)
        served.signal("orchestrator", signal.SIGTERM)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    await healed(served, "orchestrator", old_pid)
    assert_well_formed(served.complete_record(first_execution_id(out)))


async def test_drained_orchestrator_interrupts_a_long_run(
    served: Deployment, ollama: FakeOllama
) -> None:
    """A run that outlasts the grace time reads INTERRUPTED, code 7, and loses no item."""
    ollama.answer, ollama.fault = LONG_ANSWER, Fault.HANG_BETWEEN
    old_pid = served.pid("orchestrator")
    with served.started("run", *IDEA, "--json") as run:
        await eventually(lambda: ollama.requests)
        served.signal("orchestrator", signal.SIGTERM)
        out, _ = run.communicate(timeout=60)
    assert run.returncode == 7
    await healed(served, "orchestrator", old_pid)
    record = served.record(first_execution_id(out))
    assert record["status"] == "interrupted"
    numbers = [item["sequence_number"] for item in record["items"]]
    assert numbers == list(range(1, len(numbers) + 1))
