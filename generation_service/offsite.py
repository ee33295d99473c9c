"""Whose texts may leave the site.

A school that rents a model in the cloud has not thereby allowed that children's words go there. So
every request says for whom it is, and a model outside is asked only for levels that the
deployment has named; whoever does not say is treated as a child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.errors import FailedPreconditionError
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVELS = ("kids", "youth", "adult", "off")
STRICTEST = LEVELS[0]


class OffsiteNotAllowedError(FailedPreconditionError):
    """A model outside the site would have read a text that must stay."""

    def __init__(self, model: str, level: str) -> None:
        """Name the model and the level."""
        super().__init__(
            "OFFSITE_NOT_ALLOWED",
            f"Texts at level {level!r} must stay on the site, and the model {model!r} is outside. "
            "Use a model on the site, or add the level to GENERATION_OFFSITE_LEVELS.",
        )


class OffsitePolicy:
    """The levels whose texts may leave the site."""

    def __init__(self, levels: Iterable[str]) -> None:
        """Take the levels by their words, such as `adult`."""
        self._levels = frozenset(levels)

    def check(self, model: str, level: str) -> None:
        """Refuse a model outside the site where the level does not allow it.

        Args:
            model: The model, which is outside.
            level: The safety level of the execution; empty: not told, so the strictest.

        Raises:
            OffsiteNotAllowedError: Texts at this level must stay.
        """
        level = level or STRICTEST
        if level not in self._levels:
            raise OffsiteNotAllowedError(model, level)


def read_offsite_levels(text: str) -> OffsitePolicy:
    """Read a setting such as `adult,off`; empty: no text may leave.

    Raises:
        ConfigurationError: A word is no level.
    """
    levels = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [level for level in levels if level not in LEVELS]:
        known = ", ".join(LEVELS)
        raise ConfigurationError(f"OFFSITE_LEVELS: {unknown[0]!r} is no level; there are {known}.")
    return OffsitePolicy(levels)
