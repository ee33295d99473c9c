"""Shows what each layer sees in a text, without a server: what `safety explain` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import Direction, Level
from safety_service.policy import SHIPPED_POLICIES, load_policy
from safety_service.text_check import TextChecker

if TYPE_CHECKING:
    from pathlib import Path

    from safety_service.classifier import Judgement
    from safety_service.model import Verdict


@dataclass(frozen=True, slots=True)
class ExplainedTerm:
    """A listed term that was found.

    Attributes:
        entry_id: The list entry.
        category: Its category.
        text: The part of the text, as it was written.
        start: Its first character, in code points.
        end: One past its last character.
        counts: Whether it speaks against the text at this level.
        why_not: Why it does not: `allowed`, `context:<set>`, `needs`, `level`; empty if it counts.
    """

    entry_id: str
    category: str
    text: str
    start: int
    end: int
    counts: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each layer saw.

    Attributes:
        verdict: The verdict.
        readings: How layer 1 reads the text: the plain reading, then those without disguises.
        terms: What layer 2 found, also what does not count.
        judgement: What layer 3 makes of it, also below its threshold; None where it is not asked.
    """

    verdict: Verdict
    readings: tuple[str, ...]
    terms: tuple[ExplainedTerm, ...]
    judgement: Judgement | None


def explain(
    text: str,
    level: Level | str,
    *,
    direction: Direction = Direction.INPUT,
    policy_dir: Path = SHIPPED_POLICIES,
) -> Explanation:
    """Judge a text and show how the verdict came about.

    Args:
        text: Any text.
        level: `kids`, `youth`, `adult` or `off`.
        direction: Whether a person or a model wrote it.
        policy_dir: The policy to judge by.

    Returns:
        The verdict and what led to it.

    Raises:
        ValueError: The level is unknown.
        PolicyError: The policy has faults.
    """
    level = Level(level)
    trace = TextChecker(load_policy(policy_dir)).trace(text, level, direction)
    terms = tuple(
        ExplainedTerm(
            entry_id=finding.entry.id,
            category=finding.entry.category,
            text=text[finding.span.start : finding.span.end],
            start=finding.span.start,
            end=finding.span.end,
            counts=(counts := finding in trace.counted),
            why_not="" if counts else finding.excused or "level",
        )
        for finding in trace.findings
    )
    return Explanation(trace.verdict, trace.readings, terms, trace.judgement)
