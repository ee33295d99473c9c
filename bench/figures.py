"""What benchmarks find out: figures beside references and goals.

A reference was measured in the same run, so that a slow or busy machine slows both.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Of = Literal["ours", "ratio", "added"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit.

    Attributes:
        of: Of the figure itself, of its ratio to the reference, or of what it has more than that.
        limit: In the figure's unit; a ratio has none.
        at_least: Whether it is a lower limit.
    """

    of: Of
    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        """Say it in short, without the unit."""
        sign = "≥" if self.at_least else "≤"
        return f"{'' if self.of == 'ours' else f'{self.of} '}{sign} {told(self.limit)}"


def at_most(limit: float, of: Of = "ours") -> Goal:
    """Return an upper limit."""
    return Goal(of, limit)


def at_least(limit: float, of: Of = "ours") -> Goal:
    """Return a lower limit."""
    return Goal(of, limit, at_least=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured.

    Attributes:
        name: Unique within its benchmark.
        unit: Of `ours` and `reference`.
        ours: What was measured.
        reference: What the reference gave in the same run; None: there is none.
        goals: What is to be reached.
        more_is_better: Whether a higher figure is the better one.
    """

    name: str
    unit: str
    ours: float
    reference: float | None = None
    goals: tuple[Goal, ...] = ()
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Ours / reference; not a number without one."""
        return self.ours / self.reference if self.reference else math.nan

    @property
    def met(self) -> bool | None:
        """Whether all goals are reached; None: there are none."""
        return all(map(self._meets, self.goals)) if self.goals else None

    def _meets(self, goal: Goal) -> bool:
        value = {"ours": self.ours, "ratio": self.ratio, "added": self.ours - self._base}[goal.of]
        return value >= goal.limit if goal.at_least else value <= goal.limit

    @property
    def _base(self) -> float:
        return math.nan if self.reference is None else self.reference

    def cells(self) -> tuple[str, ...]:
        """Return its row of the table."""
        return (
            self.name,
            f"{told(self.ours)} {self.unit}",
            f"{told(self._base)} {self.unit}" if self.reference is not None else "",
            told(self.ratio) if self.reference else "",
            ", ".join(map(str, self.goals)),
            {True: "yes", False: "NO", None: ""}[self.met],
        )


def told(value: float) -> str:
    """Return a number with about three digits that count."""
    if math.isnan(value):
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which `share` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each value over rounds that measured the same."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
