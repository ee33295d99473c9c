"""A deployment with API keys: who may do what, seen from outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc
import pytest

from servicekit.api_keys import create_key
from servicekit.channel import open_channel
from servicekit.errors import Code, remote_error
from servicekit.principals import Role
from stellwerk.safety.v1 import safety_service_pb2 as safety_pb2
from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceStub
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.e2e.deployment import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.deployment import Deployment

PEOPLE = {"mia": Role.LEARNER, "ben": Role.LEARNER, "ada": Role.RESEARCHER}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A key for each person, and under `file` the key file."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {name: create_key(file, role=role, user=name) for name, role in PEOPLE.items()}
    return {**made, "file": str(file)}


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str], local_models: dict[str, str]
) -> Iterator[Deployment]:
    """A deployment that asks everybody for a key."""
    folder = tmp_path_factory.mktemp("guarded")
    with deployed(folder, "--api-keys", keys["file"], environment=local_models) as deployment:
        yield deployment


def test_learner_runs_and_watches_and_fetches_the_picture(
    guarded: Deployment, keys: dict[str, str]
) -> None:
    """With a learner's key a run works from the idea to the saved picture."""
    mine = {"STELLWERK_API_KEY": keys["mia"]}
    result = guarded.run("A red kite", "--config", "dada", "--level", "kids", **mine)
    assert result.code == 0, result.err
    assert [line for line in result.lines if line["event"] == "output_saved"]
    assert guarded.command("watch", result.execution_id, "--json", **mine).code == 0
    listed = guarded.command("records", "list", "--json", **mine)
    assert [line["execution_id"] for line in listed.lines] == [result.execution_id]


def test_foreign_execution_does_not_exist_for_a_learner(
    guarded: Deployment, keys: dict[str, str]
) -> None:
    """Another learner's key finds nothing: not to watch, to cancel, to read or to list."""
    mine, foreign = ({"STELLWERK_API_KEY": keys[name]} for name in ("mia", "ben"))
    result = guarded.run("A blue kite", "--config", "dada", "--text-only", **mine)
    for arguments in (
        ["watch", result.execution_id],
        ["cancel", result.execution_id],
        ["records", "show", result.execution_id],
    ):
        refused = guarded.command(*arguments, **foreign)
        assert refused.code == 2, arguments
        assert "EXECUTION_NOT_FOUND" in refused.err
    listed = guarded.command("records", "list", "--json", **foreign)
    assert result.execution_id not in listed.out
    shown = guarded.command(
        "records", "show", result.execution_id, "--json", STELLWERK_API_KEY=keys["ada"]
    )
    assert shown.code == 0, shown.err


def test_learner_gets_no_laxer_level_than_youth(guarded: Deployment, keys: dict[str, str]) -> None:
    """A learner who asks for `off` gets `youth`."""
    result = guarded.run(
        *("A kite", "--config", "dada", "--text-only", "--level", "off"),
        STELLWERK_API_KEY=keys["mia"],
    )
    start = next(item for item in result.items if item["item_type"] == "pipeline_start")
    assert start["metadata"]["safety_level"] == "youth"


def test_learner_cannot_name_somebody_else(guarded: Deployment, keys: dict[str, str]) -> None:
    """A key says who calls; naming another user is refused."""
    result = guarded.run("A kite", "--user", "ben", STELLWERK_API_KEY=keys["mia"])
    assert result.code == 4
    assert json.loads(result.err)["code"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("key", ["", "sw_000000000000_" + "x" * 43])
def test_without_a_valid_key_nobody_gets_in(guarded: Deployment, key: str) -> None:
    """No key and a wrong key are refused in one sentence."""
    result = guarded.command("records", "list", STELLWERK_API_KEY=key)
    assert result.code == 4
    assert "CREDENTIALS" in result.err


async def test_learner_may_not_call_outside_of_the_row(
    guarded: Deployment, keys: dict[str, str]
) -> None:
    """RPCs of other rows of the table are PERMISSION_DENIED for a learner."""
    async with (
        open_channel(guarded.address("safety"), api_key=keys["mia"]) as safety,
        open_channel(guarded.address("tracker"), api_key=keys["mia"]) as tracker,
    ):
        calls = (
            SafetyServiceStub(safety).CheckText(safety_pb2.CheckTextRequest(text="x")),
            TrackerServiceStub(tracker).ClaimExecution(tracker_pb2.ClaimExecutionRequest()),
        )
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert remote_error(refused.value).code is Code.PERMISSION_DENIED


def test_administrative_acts_can_be_read(guarded: Deployment, keys: dict[str, str]) -> None:
    """Who pauses the queue stands in the log of the whole deployment, and its seals fit."""
    staff = {"STELLWERK_API_KEY": keys["ada"]}
    for act in ("pause", "resume"):
        assert guarded.command("jobs", act, **staff).code == 0
    result = guarded.command("audit", "--json", "--file", str(guarded.data / "audit.jsonl"))
    assert result.code == 0, result.err
    acts = [(line["service"], line["act"], line["by"], line["outcome"]) for line in result.lines]
    assert acts[-2:] == [
        ("generation", "PauseQueue", "ada", "OK"),
        ("generation", "ResumeQueue", "ada", "OK"),
    ]
