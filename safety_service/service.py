"""Builds the service from its settings, from the outside in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safety_service.clients import GenerationMediaReader
from safety_service.decoding import ImageDecoder
from safety_service.images import ImageChecker
from safety_service.policy import PolicyError, load_policy
from safety_service.servicer import SafetyServicer
from safety_service.text_check import TextChecker
from servicekit.channel import open_channel
from servicekit.settings import ConfigurationError
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc

if TYPE_CHECKING:
    import grpc

    from safety_service.settings import SafetySettings
    from servicekit.server import Owned, Register, ServiceNames

_NAME = safety.DESCRIPTOR.services_by_name["SafetyService"].full_name


def registration(settings: SafetySettings) -> Register:
    """Return what adds this service to a server.

    Args:
        settings: The settings.
    """

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        try:
            policy = load_policy(settings.policy_dir)
        except PolicyError as exc:
            raise ConfigurationError("\n  ".join(["Faulty policy:", *exc.faults])) from exc
        key = settings.service_key.get_secret_value() if settings.service_key else None
        channel = await owned.enter_async_context(
            open_channel(settings.generation_address, service_key=key)
        )
        decoder = ImageDecoder(timeout_seconds=settings.decode_timeout_seconds)
        owned.push_async_callback(decoder.close)
        media = GenerationMediaReader(channel, timeout_seconds=settings.media_timeout_seconds)
        servicer = SafetyServicer(policy, TextChecker(policy), ImageChecker(policy, media, decoder))
        safety_grpc.add_SafetyServiceServicer_to_server(servicer, server)
        return [_NAME]

    return register
