"""The doors of this service: each RPC reads, judges, answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from safety_service import converters
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import grpc

    from safety_service.images import ImageChecker
    from safety_service.metrics import VerdictMetrics
    from safety_service.policy import Policy
    from safety_service.text_review import TextReview


class SafetyServicer(safety_grpc.SafetyServiceServicer):
    """Answers with verdicts; faults in requests are raised and become a status outside."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        faults: Callable[[], Sequence[str]],
        texts: TextReview,
        images: ImageChecker,
        missing: Collection[str],
        metrics: VerdictMetrics,
    ) -> None:
        """Serve a policy.

        Args:
            policy: Returns the one in force.
            faults: Returns what is wrong with the files as they are now.
            texts: Judges texts by it.
            images: Judges pictures by it.
            missing: Checks that this deployment lacks.
            metrics: Counts the verdicts.
        """
        self._policy = policy
        self._faults = faults
        self._texts = texts
        self._images = images
        self._missing = missing
        self._metrics = metrics

    async def CheckText(
        self,
        request: safety.CheckTextRequest,
        context: grpc.aio.ServicerContext[safety.CheckTextRequest, safety.CheckTextResponse],
    ) -> safety.CheckTextResponse:
        """Judge one text."""
        question = converters.text_request_from(request)
        verdict = await self._texts.check(question)
        self._metrics.reached("text", verdict)
        return safety.CheckTextResponse(verdict=converters.verdict_to(verdict, question.text))

    async def CheckTexts(
        self,
        request: safety.CheckTextsRequest,
        context: grpc.aio.ServicerContext[safety.CheckTextsRequest, safety.CheckTextsResponse],
    ) -> safety.CheckTextsResponse:
        """Judge several texts, all of them or none."""
        questions = converters.texts_request_from(request)
        verdicts = await asyncio.gather(*(self._texts.check(each) for each in questions))
        for verdict in verdicts:
            self._metrics.reached("text", verdict)
        return safety.CheckTextsResponse(
            verdicts=[
                converters.verdict_to(verdict, question.text)
                for verdict, question in zip(verdicts, questions, strict=True)
            ]
        )

    async def CheckImage(
        self,
        request: safety.CheckImageRequest,
        context: grpc.aio.ServicerContext[safety.CheckImageRequest, safety.CheckImageResponse],
    ) -> safety.CheckImageResponse:
        """Judge a stored picture."""
        sha256, level, direction, photographic = converters.image_request_from(request)
        result = await self._images.check(sha256, level, direction, photographic=photographic)
        self._metrics.reached("image", result.verdict)
        return converters.image_response_to(result)

    async def GetPolicy(
        self,
        request: safety.GetPolicyRequest,
        context: grpc.aio.ServicerContext[safety.GetPolicyRequest, safety.GetPolicyResponse],
    ) -> safety.GetPolicyResponse:
        """Describe a level."""
        level = converters.level_from(request.safety_level)
        return converters.policy_to(self._policy(), level, self._missing)

    async def ListPolicies(
        self,
        request: safety.ListPoliciesRequest,
        context: grpc.aio.ServicerContext[safety.ListPoliciesRequest, safety.ListPoliciesResponse],
    ) -> safety.ListPoliciesResponse:
        """Describe all levels and the lists behind them."""
        return converters.policies_to(self._policy(), self._faults(), self._missing)
