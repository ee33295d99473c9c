"""What the safety service counts: verdicts, what spoke against content, and its checks."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from safety_service.model import Decision, Level, Outcome
from servicekit.metrics import counter, histogram

if TYPE_CHECKING:
    from safety_service.model import Verdict
    from servicekit.metrics import Meter

VERDICTS = counter(
    "stellwerk_verdicts_total",
    "Verdicts; `kind` is text or image, `decision` allow, block or unavailable.",
    "kind",
    "level",
    "decision",
)
REASONS = counter(
    "stellwerk_verdict_reasons_total",
    "What spoke against content, by category and by the layer that found it; a verdict counts each "
    "pair once.",
    "kind",
    "layer",
    "category",
)
CHECK_SECONDS = histogram(
    "stellwerk_check_seconds",
    "Duration of checks that were made, by what became of them: passed, hit or failed.",
    "check",
    "outcome",
    buckets=(0.000_02, 0.000_05, 0.000_1, 0.000_5, 0.002, 0.01, 0.05, 0.25, 1, 2.5, 5, 15, 30),
)
UNCHECKED = counter(
    "stellwerk_verdicts_unchecked_total",
    "Verdicts that allow content although a check could not run, as the policy says.",
    "kind",
)

DEFINITIONS = (VERDICTS, REASONS, CHECK_SECONDS, UNCHECKED)


class VerdictMetrics:
    """Counts verdicts; never what they are about."""

    def __init__(self, meter: Meter) -> None:
        """Count with `meter`."""
        self._verdicts = meter.count(VERDICTS)
        self._reasons = meter.count(REASONS)
        self._checks = meter.distribution(CHECK_SECONDS)
        self._unchecked = meter.count(UNCHECKED)
        for kind, level in product(("text", "image"), Level):
            for decision in Decision:  # an alert sees the first one only if there was a 0 before
                self._verdicts.add(kind, level.value, decision.value, amount=0)

    def reached(self, kind: str, verdict: Verdict) -> None:
        """Count a verdict.

        Args:
            kind: `text` or `image`.
            verdict: The verdict.
        """
        self._verdicts.add(kind, verdict.level.value, verdict.decision.value)
        for layer, category in {(str(one.layer), one.category.value) for one in verdict.reasons}:
            self._reasons.add(kind, layer, category)
        for run in verdict.checks:
            if run.outcome is not Outcome.SKIPPED:
                self._checks.observe(run.duration_seconds, run.name, run.outcome.value)
        if verdict.warning:
            self._unchecked.add(kind)
