"""Callers that go away, callers that cancel."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.e2e.deployment import assert_well_formed, items_of
from tests.e2e.processes import first_execution_id, read_execution_id
from tests.fakes.text_server import Fault
from tests.support import eventually

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

RUN = ("run", "A red kite", "--config", "dada", "--text-only", "--level", "adult", "--json")


async def test_caller_that_leaves_with_cancel_cancels_the_work(
    served: Deployment, ollama: FakeOllama
) -> None:
    """A killed caller that asked for CANCEL takes its run and the model's stream along."""
    ollama.fault = Fault.HANG_BETWEEN
    with served.started(*RUN, "--on-disconnect", "cancel") as run:
        execution_id = read_execution_id(run)
        await eventually(lambda: ollama.requests)
    record = served.complete_record(execution_id)
    assert_well_formed(record)
    assert record["status"] == "cancelled"
    await eventually(lambda: ollama.left_count == 1)


async def test_caller_that_leaves_with_keep_finds_its_run_finished(
    served: Deployment, ollama: FakeOllama
) -> None:
    """A killed caller that asked for KEEP finds the run finished, by its id."""
    ollama.answer, ollama.first_token_delay_seconds = "Kept.", 1.0
    with served.started(*RUN, "--on-disconnect", "keep") as run:
        execution_id = read_execution_id(run)
        await eventually(lambda: ollama.requests)
    watched = served.command("watch", execution_id, "--json")
    assert watched.code == 0
    record = served.complete_record(execution_id)
    assert_well_formed(record)
    assert items_of(record, "interception_final")[0]["content"] == "Kept."


async def test_ctrl_c_cancels_the_run(served: Deployment, ollama: FakeOllama) -> None:
    """Ctrl-C cancels the run, shows its end and exits with code 5."""
    ollama.fault = Fault.HANG_BETWEEN
    with served.started(*RUN) as run:
        await eventually(lambda: ollama.requests)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 5, err
    record = served.complete_record(first_execution_id(out))
    assert_well_formed(record)
    assert record["status"] == "cancelled"


async def test_cancel_by_id_ends_a_run_for_its_caller_too(
    served: Deployment, ollama: FakeOllama
) -> None:
    """`cancel ID` ends the run; the caller that watches it exits with code 5."""
    ollama.fault = Fault.HANG_BEFORE
    with served.started(*RUN) as run:
        execution_id = read_execution_id(run)
        await eventually(lambda: ollama.requests)
        assert served.command("cancel", execution_id).code == 0
        run.communicate(timeout=30)
    assert run.returncode == 5
    assert served.complete_record(execution_id)["status"] == "cancelled"
