"""Limits of a model: how many may ask at once, how many may wait, and for how long.

A classroom presses the same button in the same second. Without a bound the last child's request
would wait behind all others until everybody's patience is over, so a full line is refused at once
and named as such.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from generation_service.text.interface import ModelBusyError, ModelTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping

T = TypeVar("T")


class ProviderLimits(BaseModel):
    """Limits of one provider, for each of its models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrent: int = Field(2, ge=1, le=256, description="Requests that a model works on at once.")
    waiting: int = Field(64, ge=0, le=4096, description="Requests that may wait for a place.")
    wait_seconds: float = Field(60, gt=0, le=600, description="Longest wait for a place.")
    connect_seconds: float = Field(3, gt=0, le=60, description="Longest wait for a connection.")
    first_token_seconds: float = Field(
        60, gt=0, le=600, description="Longest wait for the first token; loading is part of it."
    )
    between_tokens_seconds: float = Field(
        20, gt=0, le=600, description="Longest silence between two tokens."
    )
    total_seconds: float = Field(
        180, gt=0, le=3600, description="Longest time from a place to the end of the answer."
    )
    answer_chars: int = Field(
        40_000, ge=100, le=1_000_000, description="Longest answer in code points."
    )


class ModelSlots:
    """Places at the models of one provider, with a bounded line before each model."""

    def __init__(self, limits: ProviderLimits, places: Mapping[str, int] | None = None) -> None:
        """Take the limits, and the places of models that have others than the provider says."""
        self._limits = limits
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(limits.concurrent),
            {model: asyncio.Semaphore(number) for model, number in (places or {}).items()},
        )
        self._waiting: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def place(self, model: str) -> AsyncIterator[None]:
        """Hold a place at `model`; wait for one if the line is not full.

        Raises:
            ModelBusyError: The line is full, or the wait took too long.
        """
        places = self._places[model]
        if places.locked() and self._waiting[model] >= self._limits.waiting:
            raise ModelBusyError("Too many requests wait for the model. Try again in a moment.")
        self._waiting[model] += 1
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await places.acquire()
        except TimeoutError as exc:
            raise ModelBusyError("The model had no time for this request. Try again.") from exc
        finally:
            self._waiting[model] -= 1
        try:
            yield
        finally:
            places.release()


class AnswerClock:
    """The time of one answer: limits each wait by its phase, and measures."""

    def __init__(self, limits: ProviderLimits, started: float | None = None) -> None:
        """Start the clock.

        Args:
            limits: The limits of the phases.
            started: Reading of `time.perf_counter` when the request came in; None: now.
        """
        self._limits = limits
        self._asked = time.perf_counter()
        self._started = self._asked if started is None else started
        self._last_token: float | None = None
        self._first_token: float | None = None

    def token(self) -> None:
        """Note that the model has sent something."""
        self._last_token = time.perf_counter()
        if self._first_token is None:
            self._first_token = self._last_token

    @property
    def run_seconds(self) -> float:
        """From the request until now."""
        return time.perf_counter() - self._started

    @property
    def first_token_seconds(self) -> float:
        """From the request to the first token; until now where there was none."""
        end = time.perf_counter() if self._first_token is None else self._first_token
        return end - self._started

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await the model's next sign of life.

        Raises:
            ModelTimeoutError: The phase or the whole answer took too long.
        """
        if self._last_token is None:
            limit, what = self._limits.first_token_seconds, "did not begin to answer"
            end = self._asked + limit
        else:
            limit, what = self._limits.between_tokens_seconds, "fell silent"
            end = self._last_token + limit
        total_end = self._asked + self._limits.total_seconds
        if total_end < end:
            end, limit, what = total_end, self._limits.total_seconds, "did not finish"
        try:
            async with asyncio.timeout(end - time.perf_counter()):
                return await awaitable
        except TimeoutError as exc:
            raise ModelTimeoutError(f"The model {what} within {limit:g} s.") from exc
