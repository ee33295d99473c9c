"""The classroom overlay, as it runs."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from stellwerk_cli.commands.demo import ACTS, Act
from stellwerk_cli.exits import Exit
from tests.containers.cluster import RUN_SECONDS
from tests.containers.engine import attempt, podman
from tests.containers.runs import complete_record, played_act
from tests.deploy.rendering import ROOT
from tests.e2e.deployment import items_of
from tests.support import eventually

if TYPE_CHECKING:
    from tests.containers.cluster import Cluster

OVERLAY = ROOT / "deploy" / "overlays" / "classroom"
AT_ONCE = 3
"""The embedded model answers one after the other, and sends away whom it would keep waiting."""
# A shell that runs ideas side by side until it is enough, and one each after that; it says of each
# how it ended: `<exit code> <execution id>`.
MANY_RUNS = """
one() {
  python -m stellwerk_cli run "Eine Blume auf der Wiese" --config dada --level youth --lang de \
    --json > /tmp/$1.jsonl 2> /tmp/$1.err
  echo "$? $(head -n 1 /tmp/$1.jsonl | sed 's/.*"execution_id": "\\([^"]*\\)".*/\\1/')"
}
many() { until [ -e /tmp/enough ]; do one $1; done; one $1; }
for person in $(seq %d); do many $person & done
wait
echo finished
"""


TOOLS = "apt-get bash cc dpkg ld make mount perl pip su"
"""What only somebody who has broken in would use."""


def test_services_run_without_any_right(classroom: Cluster) -> None:
    """Each is nobody, has no capability and can get none, and its disk cannot be written."""
    for play in classroom.plays:
        status = dict(
            line.split(":\t", 1)
            for line in classroom.in_pod(play.name, "cat", "/proc/1/status").splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == ["10001"] * 4, play.name
        assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        written = attempt("exec", classroom.container(play.name), "touch", "/app/written")
        assert written.returncode != 0, play.name
        assert "Read-only file system" in written.stderr
        looked_for = f"for tool in {TOOLS}; do command -v $tool; done; true"
        assert classroom.in_pod(play.name, "sh", "-c", looked_for) == "", play.name


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.item_type)
async def test_the_demo_runs_through_the_containers(classroom: Cluster, act: Act) -> None:
    """Each idea of the demo ends as it must, and its record is whole."""
    record = await played_act(classroom, act)
    assert len(items_of(record, act.item_type)) == act.item_count


async def test_a_killed_container_comes_back_and_nothing_is_lost(classroom: Cluster) -> None:
    """While runs go on, one container of each service is killed; no run is without its end."""
    with classroom.tool("runs", MANY_RUNS % AT_ONCE, key=classroom.learner_key) as tool:
        for workload in ("safety", "tracker", "orchestrator", "generation", "gateway"):
            await killed_and_back(classroom, classroom.names(workload)[0])
        podman("exec", tool, "touch", "/tmp/enough")
        await eventually(
            lambda: "finished" in attempt("logs", tool).stdout, within_seconds=RUN_SECONDS
        )
        lines = attempt("logs", tool).stdout.splitlines()[:-1]
    ends = {execution_id: Exit(int(code)) for code, execution_id in map(str.split, lines)}
    assert len(ends) == len(lines)
    assert sum(end in (Exit.OK, Exit.BLOCKED) for end in ends.values()) >= AT_ONCE, lines
    for execution_id, end in ends.items():
        if end is Exit.INTERRUPTED:
            resumed = classroom.command("resume", execution_id, "--json")
            assert resumed.returncode in (Exit.OK, Exit.BLOCKED), resumed.stderr
        await complete_record(classroom, execution_id)
    print(f"ends: {sorted(end.name for end in ends.values())}")


async def test_everything_is_there_after_all_pods_were_replaced(classroom: Cluster) -> None:
    """All pods are stopped and made anew, as by an upgrade: records and pictures stay."""
    act = ACTS[0]
    before = await played_act(classroom, act)
    execution_id = before["execution_id"]
    classroom.stop()
    classroom.start()
    await eventually(classroom.all_ready, within_seconds=180)
    assert await complete_record(classroom, execution_id) == before
    assert classroom.command("records", "verify", execution_id).returncode == Exit.OK
    exported = classroom.shell(
        f"python -m stellwerk_cli records export {execution_id} --format zip --to /tmp/run.zip\n"
        "python -m zipfile --list /tmp/run.zip"
    )
    assert exported.stdout.count(".png") == len(items_of(before, act.item_type)), exported.stdout


def test_the_page_is_served_by_each_replica(classroom: Cluster) -> None:
    """Browsers get the page from any gateway, and it says that it is ready."""
    for pod in classroom.names("gateway"):
        for path in ("/readyz", "/"):
            url = f"http://{classroom.address(pod)}:8080{path}"
            with urllib.request.urlopen(url, timeout=30) as response:
                assert response.status == 200


def test_nothing_that_a_person_wrote_is_in_a_log(classroom: Cluster) -> None:
    """After all these runs no log of any pod holds a word of an idea."""
    for play in classroom.plays:
        logs = classroom.logs(play.name)
        assert logs, play.name
        for word in ("Blume", "Wiese", "Nachbarn"):
            assert word not in logs, play.name


async def killed_and_back(cluster: Cluster, pod: str) -> None:
    """Kill a service and wait until another process of it is ready."""
    killed = cluster.kill(pod)
    await eventually(lambda: cluster.process(pod) not in (0, killed), within_seconds=60)
    await eventually(lambda: cluster.is_ready(pod), within_seconds=180)
