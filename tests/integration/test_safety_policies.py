"""The policy of a running service: all levels, a deployment's lists, changes, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2, health_pb2_grpc

from safety_service.service import POLICY_HEALTH, registration
from safety_service.settings import SafetySettings
from servicekit.channel import open_channel
from servicekit.server import start_server
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc
from stellwerk.safety.v1 import verdict_pb2
from tests.integration.guarded import ALLOW, BLOCK, KIDS, LEVELS
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

ROW = "de\tkids\tblock\t"


async def test_policies_lists_and_changes(tmp_path: Path) -> None:
    """A word added while it runs counts; a typo stops nothing, and health and the list tell."""
    path = tmp_path / "bullying.our-school.tsv"
    path.write_text(f"{ROW}quarkschnute\n", encoding="utf-8")
    settings = SafetySettings(
        listen_address="127.0.0.1:0",
        grace_seconds=1,
        extra_lists=tmp_path,
        policy_poll_seconds=0.05,
    )
    async with (
        start_server(settings, registration(settings)) as server,
        open_channel(server.address) as channel,
    ):
        stub = safety_grpc.SafetyServiceStub(channel)
        health = health_pb2_grpc.HealthStub(channel)

        async def decision(text: str) -> verdict_pb2.Decision.ValueType:
            request = safety.CheckTextRequest(
                text=text, safety_level=KIDS, direction=safety.DIRECTION_INPUT
            )
            return (await stub.CheckText(request)).verdict.decision

        async def in_order() -> bool:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=POLICY_HEALTH))
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        async def listed() -> safety.ListPoliciesResponse:
            return await stub.ListPolicies(safety.ListPoliciesRequest())

        first = await listed()
        assert [level.safety_level for level in first.levels] == list(LEVELS)
        names = {check.name for check in first.levels[0].checks}
        assert {"terms_law", "text_guard", "personal_data", "image_guard"} <= names
        (own,) = [each for each in first.lists if each.own]
        assert (own.name, own.entry_count) == ("bullying.our-school.tsv", 1)
        assert own.category == verdict_pb2.CATEGORY_BULLYING and not own.law
        assert await decision("Du Quarkschnute") == BLOCK
        assert await decision("Der Wurzelzwerg") == ALLOW

        path.write_text(f"{ROW}quarkschnute,wurzelzwerg\n", encoding="utf-8")

        async def taken_up() -> bool:
            return await decision("Der Wurzelzwerg") == BLOCK

        await eventually(taken_up, within_seconds=60)
        second = await listed()
        assert second.policy_version != first.policy_version

        path.write_text("no list at all\n", encoding="utf-8")

        async def told() -> bool:
            return bool((await listed()).faults) and not await in_order()

        await eventually(told, within_seconds=60)
        third = await listed()
        assert third.faults[0].startswith("bullying.our-school.tsv:1")
        assert third.policy_version == second.policy_version
        assert await decision("Der Wurzelzwerg") == BLOCK
        ready = await health.Check(health_pb2.HealthCheckRequest(service="readiness"))
        assert ready.status == health_pb2.HealthCheckResponse.SERVING
