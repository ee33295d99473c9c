"""Builds the service from its settings, from the outside in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from safety_service.clients import GenerationGuards, GenerationMediaReader
from safety_service.decoding import ImageDecoder
from safety_service.guards.desk import GuardDesk, GuardLimits
from safety_service.guards.interface import IMAGE_GUARD_ROLE, TEXT_GUARD_ROLE
from safety_service.images import ImageChecker
from safety_service.metrics import VerdictMetrics
from safety_service.model import IMAGE_GUARD, TEXT_GUARD
from safety_service.policy import PolicyError, load_policy
from safety_service.servicer import SafetyServicer
from safety_service.text_review import TextReview
from servicekit.channel import open_neighbour
from servicekit.reloading import Reloading
from servicekit.settings import ConfigurationError
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc

if TYPE_CHECKING:
    import grpc

    from safety_service.policy import Policy
    from safety_service.settings import SafetySettings
    from servicekit.server import Owned, Register, ServiceNames

_NAME = safety.DESCRIPTOR.services_by_name["SafetyService"].full_name
POLICY_HEALTH = "policy"
"""The name under which health tells whether the policy's files are in order."""


def registration(settings: SafetySettings) -> Register:
    """Return what adds this service to a server.

    Args:
        settings: The settings.
    """

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        live = _open_policy(settings)

        def in_force() -> Policy:
            return live.value

        channel = await owned.enter_async_context(
            open_neighbour(settings, settings.generation_address)
        )
        decoder = ImageDecoder(timeout_seconds=settings.decode_timeout_seconds)
        owned.push_async_callback(decoder.close)
        media = GenerationMediaReader(channel, timeout_seconds=settings.media_timeout_seconds)
        text_guard, image_guard = _open_guards(settings, channel)
        guards = {TEXT_GUARD: text_guard, IMAGE_GUARD: image_guard}
        servicer = SafetyServicer(
            in_force,
            lambda: live.fault.faults if isinstance(live.fault, PolicyError) else (),
            TextReview(in_force, text_guard),
            ImageChecker(in_force, media, decoder, image_guard),
            missing=[name for name, guard in guards.items() if guard is None],
            metrics=VerdictMetrics(owned.meter),
        )
        safety_grpc.add_SafetyServiceServicer_to_server(servicer, server)
        in_order = partial(_tell_health, owned)
        await owned.enter_async_context(live.watching(settings.policy_poll_seconds, in_order))
        return [_NAME]

    return register


async def _tell_health(owned: Owned, in_order: bool) -> None:
    await owned.report(POLICY_HEALTH, in_order=in_order)


def _open_policy(settings: SafetySettings) -> Reloading[Policy]:
    folders = [settings.policy_dir, *([settings.extra_lists] if settings.extra_lists else [])]
    load = partial(load_policy, settings.policy_dir, settings.extra_lists)
    try:
        return Reloading("policy", load, folders, PolicyError)
    except PolicyError as exc:
        raise ConfigurationError("\n  ".join(["Faulty policy:", *exc.faults])) from exc


def _open_guards(
    settings: SafetySettings, channel: grpc.aio.Channel
) -> tuple[GuardDesk | None, GuardDesk | None]:
    """The guards for texts and for pictures, as far as the settings ask for them."""
    models = GenerationGuards(channel, timeout_seconds=settings.guard_timeout_seconds)
    limits = GuardLimits(
        timeout_seconds=settings.guard_timeout_seconds,
        concurrent=settings.guard_concurrent,
        waiting=settings.guard_waiting,
    )
    return (
        GuardDesk(TEXT_GUARD_ROLE, models, limits) if settings.text_guard else None,
        GuardDesk(IMAGE_GUARD_ROLE, models, limits) if settings.image_guard else None,
    )
