"""Findings, and how checks are run: side by side, within limits, none able to end the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """How something is."""

    OK = "ok"
    MISSING = "missing"
    """It is not there, and everything else works without it."""
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: How it is.
        words: What was found, in one sentence.
        fix: What to do about it; empty when there is nothing to do.
    """

    subject: str
    state: State
    words: str
    fix: str = ""

    @property
    def fine(self) -> bool:
        """Whether nobody has to do anything."""
        return self.state is not State.FAULT


def ok(subject: str, words: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(subject, State.OK, words)


def missing(subject: str, words: str, fix: str = "") -> Finding:
    """Return that something is not there, and need not be."""
    return Finding(subject, State.MISSING, words, fix)


def fault(subject: str, words: str, fix: str) -> Finding:
    """Return that something is wrong, and what to do."""
    return Finding(subject, State.FAULT, words, fix)


Check: TypeAlias = Callable[[], Awaitable[list[Finding]]]


def blocking(look: Callable[[], Finding | list[Finding]]) -> Check:
    """Make a check of a function that blocks; it has to have limits of its own."""

    async def check() -> list[Finding]:
        found = await asyncio.to_thread(look)
        return found if isinstance(found, list) else [found]

    return check


async def examine(checks: Mapping[str, Check], limit_seconds: float) -> list[Finding]:
    """Run all checks side by side.

    Args:
        checks: By subject; findings come in this order.
        limit_seconds: How long each may take.

    Returns:
        What they found; one that takes too long or breaks is a fault itself.
    """

    async def bounded(subject: str, check: Check) -> list[Finding]:
        try:
            async with asyncio.timeout(limit_seconds):
                return await check()
        except TimeoutError:
            words = f"no answer within {limit_seconds:g} s"
            return [fault(subject, words, "Look whether it hangs; --limit gives it more time.")]
        except Exception as exc:  # the others are still worth knowing
            words = f"the check itself failed ({type(exc).__name__}: {exc})"
            return [fault(subject, words[:300], "Report this, with the output of `doctor --json`.")]

    found = await asyncio.gather(*(bounded(*entry) for entry in checks.items()))
    return [finding for findings in found for finding in findings]
