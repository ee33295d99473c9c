"""What a caller may know of others: whose own configs there are, and what people are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.principals import Role

if TYPE_CHECKING:
    from servicekit.principals import Principal


def as_learner(principal: Principal) -> str | None:
    """Return the user to whom other learners' configs are hidden, or None."""
    return principal.id if principal.role is Role.LEARNER else None


def knows_names(principal: Principal, owner: Principal) -> bool:
    """Tell whether a caller may know whose execution this is.

    Researchers know others by pseudonyms, and only the tracker has the key to those.
    """
    return principal.role is not Role.RESEARCHER or principal.id == owner.id
