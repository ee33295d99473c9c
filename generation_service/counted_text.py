"""Counts answers of language models around whoever gives them."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from generation_service.metrics import TEXT_FIRST_SECONDS, TEXT_SECONDS, TEXT_SWITCHES, TEXT_TOKENS
from generation_service.text.interface import RoleNotFoundError, TextResult
from servicekit.context import current_call
from servicekit.errors import ServiceError
from servicekit.metrics import OTHER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generation_service.roles import ResolvedRole
    from generation_service.servicer import TextAnswers
    from generation_service.text.interface import TextDelta, TextRequest
    from servicekit.metrics import Meter


class CountedText:
    """A `TextAnswers` that counts."""

    def __init__(self, text: TextAnswers, meter: Meter) -> None:
        """Count the answers of `text` with `meter`."""
        self._text = text
        self._seconds = meter.distribution(TEXT_SECONDS)
        self._first_seconds = meter.distribution(TEXT_FIRST_SECONDS)
        self._tokens = meter.count(TEXT_TOKENS)
        self._switches = meter.count(TEXT_SWITCHES)

    def resolve(self, role: str) -> ResolvedRole:
        """See `TextAnswers.resolve`."""
        return self._text.resolve(role)

    async def generate(self, request: TextRequest) -> AsyncIterator[TextDelta | TextResult]:
        """See `TextAnswers.generate`."""
        role, backend, outcome = request.role, "", "left"
        started = time.perf_counter()
        # Not made the current span: between two pieces this code runs on behalf of its reader.
        with current_call().span.child("model answer") as span:
            try:
                answer = self._text.generate(request)
                # Promised to be closable, though the protocol names the wider type.
                async with aclosing(answer):  # type: ignore[type-var]
                    async for piece in answer:
                        if isinstance(piece, TextResult):
                            backend, outcome = piece.backend, "answered"
                            span.note({"stellwerk.model": piece.model, "stellwerk.role": role})
                            self._count(role, piece)
                        yield piece
            except ServiceError as exc:
                outcome = exc.reason
                if isinstance(exc, RoleNotFoundError):
                    role = OTHER  # it is anything that a caller wrote
                raise
            finally:
                self._seconds.observe(time.perf_counter() - started, role, backend, outcome)

    def _count(self, role: str, result: TextResult) -> None:
        self._first_seconds.observe(result.first_token_seconds, role, result.backend)
        self._tokens.add(result.backend, "prompt", amount=result.prompt_token_count or 0)
        self._tokens.add(result.backend, "completion", amount=result.completion_token_count or 0)
        for switch in result.switches:
            self._switches.add(role, switch.reason)
