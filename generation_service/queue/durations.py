"""Measured run times, from which people are told how long they will wait."""

from __future__ import annotations

from dataclasses import dataclass, field

_WEIGHT_OF_NEW = 0.3
DurationKey = tuple[str, bool]
"""Output config, and whether the worker had the models loaded."""


@dataclass
class Durations:
    """Run times per output config, on warm and on cold workers apart."""

    seconds: dict[DurationKey, float] = field(default_factory=dict)
    max_entries: int = 1000

    def add(self, output_config: str, seconds: float, *, warm: bool) -> None:
        """Take a measurement; recent ones weigh more."""
        key = (output_config, warm)
        known = self.seconds.pop(key, None)
        if known is not None:
            seconds = (1 - _WEIGHT_OF_NEW) * known + _WEIGHT_OF_NEW * seconds
        self.seconds[key] = seconds
        if len(self.seconds) > self.max_entries:
            self.seconds.pop(next(iter(self.seconds)))

    def typical(self, output_config: str, *, warm: bool) -> float | None:
        """Seconds that a job takes.

        Of this config, warm or cold as asked if that was measured, else the other; of any config
        if this one never ran; None if nothing was measured at all.
        """
        for key in ((output_config, warm), (output_config, not warm)):
            if key in self.seconds:
                return self.seconds[key]
        if not self.seconds:
            return None
        return sum(self.seconds.values()) / len(self.seconds)
