"""The classroom with mutual TLS, as it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stellwerk_cli.commands.demo import ACTS
from stellwerk_cli.exits import Exit
from tests.containers.cluster import SERVER
from tests.containers.engine import attempt
from tests.containers.runs import played_act
from tests.deploy.rendering import ROOT
from tests.e2e.deployment import items_of
from tests.support import eventually

if TYPE_CHECKING:
    from tests.containers.cluster import Cluster

OVERLAY = ROOT / "tests" / "containers" / "tls"


async def test_the_demo_runs_between_services_with_certificates(classroom: Cluster) -> None:
    """A person with a key comes by the callers' door; all services behind it speak mutual TLS."""
    act = ACTS[0]
    record = await played_act(classroom, act)
    assert len(items_of(record, act.item_type)) == act.item_count


async def test_a_replica_passes_on_what_another_one_runs(classroom: Cluster) -> None:
    """A run begun at one orchestrator is cancelled at the other, which asks the first by TLS."""
    first, second = (
        f"orchestrator-{it}.orchestrator-replicas.stellwerk.svc:50071" for it in (0, 1)
    )
    script = (
        "python -m stellwerk_cli run 'Eine Blume' --config stillepost --level youth --lang de "
        f"--json --server {first} > /tmp/run.jsonl; echo ended with $?; sleep 600"
    )
    with classroom.tool("run", script, key=classroom.learner_key) as tool:
        line = await eventually(
            lambda: attempt("exec", tool, "head", "-n", "1", "/tmp/run.jsonl").stdout,
            within_seconds=60,
        )
        execution_id = json.loads(line)["execution_id"]
        cancelled = classroom.command("cancel", execution_id, "--server", second)
        assert cancelled.returncode == Exit.OK, cancelled.stderr
        await eventually(lambda: "ended with" in attempt("logs", tool).stdout, within_seconds=60)
        assert f"ended with {Exit.CANCELLED:d}" in attempt("logs", tool).stdout


def test_nobody_without_a_certificate_reaches_the_door_of_the_services(classroom: Cluster) -> None:
    """Neither a tool with TLS and an admin's key, nor one without TLS."""
    listing = ("records", "list", "--server", SERVER)
    assert classroom.command(*listing).returncode == Exit.UNREACHABLE
    in_the_clear = classroom.shell(
        f"unset STELLWERK_TLS_CA; exec python -m stellwerk_cli {' '.join(listing)}"
    )
    assert in_the_clear.returncode == Exit.UNREACHABLE
