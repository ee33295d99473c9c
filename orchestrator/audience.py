"""Whose own configs a caller may choose: learners see theirs, who teaches or cares sees all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.principals import Role

if TYPE_CHECKING:
    from servicekit.principals import Principal


def as_learner(principal: Principal) -> str | None:
    """Return the user to whom other learners' configs are hidden, or None."""
    return principal.id if principal.role is Role.LEARNER else None
