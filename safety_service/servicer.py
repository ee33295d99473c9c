"""The doors of this service: each RPC reads, judges, answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from safety_service import converters
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc

if TYPE_CHECKING:
    import grpc

    from safety_service.images import ImageChecker
    from safety_service.model import Direction, Level, Verdict
    from safety_service.policy import Policy
    from safety_service.text_check import TextChecker

_LONG_TEXT = 2_000  # characters; longer ones would hold up the event loop for over a millisecond


class SafetyServicer(safety_grpc.SafetyServiceServicer):
    """Answers with verdicts; faults in requests are raised and become a status outside."""

    def __init__(self, policy: Policy, texts: TextChecker, images: ImageChecker) -> None:
        """Serve one policy.

        Args:
            policy: The loaded policy.
            texts: Judges texts by it.
            images: Judges pictures by it.
        """
        self._policy = policy
        self._texts = texts
        self._images = images

    async def CheckText(
        self,
        request: safety.CheckTextRequest,
        context: grpc.aio.ServicerContext[safety.CheckTextRequest, safety.CheckTextResponse],
    ) -> safety.CheckTextResponse:
        """Judge one text."""
        text, level, direction = converters.text_request_from(request)
        verdict = await self._judge(text, level, direction)
        return safety.CheckTextResponse(verdict=converters.verdict_to(verdict, text))

    async def CheckTexts(
        self,
        request: safety.CheckTextsRequest,
        context: grpc.aio.ServicerContext[safety.CheckTextsRequest, safety.CheckTextsResponse],
    ) -> safety.CheckTextsResponse:
        """Judge several texts, all of them or none."""
        response = safety.CheckTextsResponse()
        for text, level, direction in converters.texts_request_from(request):
            verdict = await self._judge(text, level, direction)
            response.verdicts.append(converters.verdict_to(verdict, text))
        return response

    async def CheckImage(
        self,
        request: safety.CheckImageRequest,
        context: grpc.aio.ServicerContext[safety.CheckImageRequest, safety.CheckImageResponse],
    ) -> safety.CheckImageResponse:
        """Judge a stored picture."""
        sha256, level, direction, photographic = converters.image_request_from(request)
        result = await self._images.check(sha256, level, direction, photographic=photographic)
        return converters.image_response_to(result)

    async def GetPolicy(
        self,
        request: safety.GetPolicyRequest,
        context: grpc.aio.ServicerContext[safety.GetPolicyRequest, safety.GetPolicyResponse],
    ) -> safety.GetPolicyResponse:
        """Describe a level."""
        return converters.policy_to(self._policy, converters.level_from(request.safety_level))

    async def _judge(self, text: str, level: Level, direction: Direction) -> Verdict:
        if len(text) <= _LONG_TEXT:
            return self._texts.check(text, level, direction)
        return await asyncio.to_thread(self._texts.check, text, level, direction)
