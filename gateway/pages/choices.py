"""Styles and outputs that people can choose from, sorted for the page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.plain import plain_message
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

if TYPE_CHECKING:
    from gateway.neighbours import Neighbours

Json = dict[str, Any]

MOST = 1000
"""Configs in one page of the orchestrator's list; nobody chooses from more."""
ASKING_SECONDS = 2.0
"""A page does not wait longer to be told what is missing."""
LEVELS = ("kids", "youth", "adult", "off")
"""From strict to lax."""
RUNNERS = ("p5.js", "tone.js")
"""Tags of outputs that are programs: what they are written for."""
_MEDIA = ("image", "audio", "music", "video", "3d", "text")


@dataclass(frozen=True)
class Choices:
    """What can be chosen, in the plain form of the contract.

    Attributes:
        styles: How ideas can be rewritten.
        outputs: What can be made of them; those that need nothing beside Stellwerk come first.
        levels: The levels that the person can get.
        level: The one to offer first.
        longest: Most characters of a text.
        most_outputs: Most outputs of one run.
    """

    styles: list[Json]
    outputs: list[Json]
    levels: list[str]
    level: str
    longest: int
    most_outputs: int

    def names(self) -> dict[str, Json]:
        """Return the names of all styles and outputs by id."""
        return {each["id"]: each.get("name", {}) for each in self.styles + self.outputs}

    def runners(self) -> dict[str, str]:
        """Return which outputs are programs that a page can run, and what they are written for."""
        return {
            out["id"]: tag for out in self.outputs for tag in out.get("tags", []) if tag in RUNNERS
        }

    def style(self, config: str) -> Json | None:
        """Return a style; None: there is none of this id."""
        return next((style for style in self.styles if style["id"] == config), None)

    def simple_outputs(self) -> list[Json]:
        """Return the outputs that work wherever Stellwerk does."""
        return [out for out in self.outputs if works_alone(out)]

    def other_outputs(self) -> dict[str, list[Json]]:
        """Return the outputs that need another machine, by what they make."""
        found = {
            medium: [
                out
                for out in self.outputs
                if out.get("media_type") == medium and not works_alone(out)
            ]
            for medium in _MEDIA
        }
        return {medium: outputs for medium, outputs in found.items() if outputs}


async def choices_of(neighbours: Neighbours) -> Choices:
    """Ask the orchestrator what this deployment has."""
    stub = neighbours.orchestrator
    info, styles, outputs = await asyncio.gather(
        stub.GetServerInfo(pb.GetServerInfoRequest()),
        _configs(neighbours, pb.CONFIG_KIND_INTERCEPTION),
        _configs(neighbours, pb.CONFIG_KIND_OUTPUT),
    )
    facts = plain_message(info)
    laxest = LEVELS.index(facts.get("max_safety_level", "kids"))
    level = facts.get("default_safety_level", "kids")
    return Choices(
        styles=styles,
        outputs=sorted(outputs, key=lambda out: not works_alone(out)),
        levels=list(LEVELS[: laxest + 1]),
        level=level if LEVELS.index(level) <= laxest else LEVELS[laxest],
        longest=facts.get("max_text_length", 20_000),
        most_outputs=facts.get("max_outputs", 8),
    )


async def missing_of(neighbours: Neighbours, choices: Choices) -> dict[str, str]:
    """Return the outputs that cannot be made now, each with what is missing.

    It is `worker` where nothing here makes such things, `away` where that is not ready now, and
    `model` where no language model can write them. Without the generation service nothing is said:
    what fails then says so itself.
    """
    roles = {out["role"] for out in choices.outputs if out.get("role")}
    try:
        found, known = await asyncio.gather(
            neighbours.generation.ListBackends(
                generation_pb.ListBackendsRequest(), timeout=ASKING_SECONDS
            ),
            asyncio.gather(*(_is_known(neighbours, role) for role in sorted(roles))),
        )
    except grpc.aio.AioRpcError:
        return {}
    backends = {each.name: each for each in found.backends}
    lacking = {role for role, is_known in zip(sorted(roles), known, strict=True) if not is_known}

    def missing(output: Json) -> str:
        if role := output.get("role"):
            return "model" if role in lacking else ""
        backend = backends.get(output.get("backend", ""))
        if backend is None or not backend.worker_count:
            return "worker"
        return "" if backend.ready_worker_count else "away"

    reasons = {out["id"]: missing(out) for out in choices.outputs}
    return {output: reason for output, reason in reasons.items() if reason}


async def _is_known(neighbours: Neighbours, role: str) -> bool:
    """Tell whether there is a model for a role."""
    try:
        await neighbours.generation.ResolveRole(
            generation_pb.ResolveRoleRequest(role=role), timeout=ASKING_SECONDS
        )
    except grpc.aio.AioRpcError as exc:
        if exc.code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise
    return True


def works_alone(output: Json) -> bool:
    """Tell whether an output needs nothing beside Stellwerk itself."""
    return "offline" in output.get("tags", [])


async def _configs(neighbours: Neighbours, kind: pb.ConfigKind.ValueType) -> list[Json]:
    request = pb.ListConfigsRequest(kind=kind, page_size=MOST)
    page = await neighbours.orchestrator.ListConfigs(request)
    return [plain_message(config) for config in page.configs]
