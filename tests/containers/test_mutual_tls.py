"""The classroom with mutual TLS, as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk_cli.commands.demo import ACTS
from stellwerk_cli.exits import Exit
from tests.containers.cluster import SERVER
from tests.containers.runs import played_act
from tests.deploy.rendering import ROOT
from tests.e2e.deployment import items_of

if TYPE_CHECKING:
    from tests.containers.cluster import Cluster

OVERLAY = ROOT / "tests" / "containers" / "tls"


async def test_the_demo_runs_between_services_with_certificates(classroom: Cluster) -> None:
    """A person with a key comes by the callers' door; all services behind it speak mutual TLS."""
    act = ACTS[0]
    record = await played_act(classroom, act)
    assert len(items_of(record, act.item_type)) == act.item_count


def test_nobody_without_a_certificate_reaches_the_door_of_the_services(classroom: Cluster) -> None:
    """Neither a tool with TLS and an admin's key, nor one without TLS."""
    listing = ("records", "list", "--server", SERVER)
    assert classroom.command(*listing).returncode == Exit.UNREACHABLE
    in_the_clear = classroom.shell(
        f"unset STELLWERK_TLS_CA; exec python -m stellwerk_cli {' '.join(listing)}"
    )
    assert in_the_clear.returncode == Exit.UNREACHABLE
