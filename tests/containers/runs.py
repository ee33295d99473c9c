"""Runs through the containers, by the command in a container of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stellwerk_cli.commands.demo import ATTEMPTS, Act
from stellwerk_cli.exits import Exit
from tests.e2e.deployment import assert_well_formed
from tests.support import eventually

if TYPE_CHECKING:
    from tests.containers.cluster import Cluster

Json = dict[str, Any]


async def played_act(cluster: Cluster, act: Act) -> Json:
    """Run an idea of the demo to the end that it must have; returns its record."""
    how = ("--config", act.config, "--level", "kids", "--lang", "de", "--json")
    for _ in range(ATTEMPTS):  # the model draws its words by lot
        result = cluster.command("run", act.text, *how, key=cluster.learner_key)
        if result.returncode != Exit.BLOCKED:
            break
    assert result.returncode == act.expected, result.stderr
    execution_id = json.loads(result.stdout.splitlines()[0])["execution_id"]
    return await complete_record(cluster, execution_id)


async def complete_record(cluster: Cluster, execution_id: str) -> Json:
    """Return a record once it is whole, and check what holds for every record."""

    def record() -> Json | None:
        shown = cluster.command("records", "show", execution_id, "--json")
        if shown.returncode != Exit.OK:
            return None
        found: Json = json.loads(shown.stdout)
        return found if found["complete"] else None

    found = await eventually(record, within_seconds=120)
    assert found is not None
    assert_well_formed(found)
    return found
