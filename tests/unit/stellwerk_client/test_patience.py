"""Waiting for one's turn where a service limits how often one may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import ResourceExhaustedError
from stellwerk_client.errors import StellwerkError
from stellwerk_client.patience import in_turn
from tests.support import serving
from tests.unit.servicekit.probe import probe, unary_unary

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def refusing(times: int, reason: str) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Return a behaviour that refuses so many calls, then lets all pass."""
    left = times

    async def do(context: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ResourceExhaustedError(reason, "Too many.", retry_seconds=0.01)

    return do


async def test_one_call_too_many_waits_for_its_turn() -> None:
    """A call that came too soon is made again when the service said so, until it is let in."""
    calls = 0

    def call() -> Coroutine[Any, Any, Any]:
        nonlocal calls
        calls += 1
        return unary_unary(channel)

    async with serving(probe(refusing(3, "RATE_LIMITED"))) as channel:
        await in_turn(call)
    assert calls == 4


async def test_nothing_else_is_waited_for() -> None:
    """A full queue, or whatever else has run out, is told at once."""
    async with serving(probe(refusing(1, "STORE_BUSY"))) as channel:
        with pytest.raises(StellwerkError, match="STORE_BUSY"):
            await in_turn(lambda: unary_unary(channel))
