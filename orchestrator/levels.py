"""Which safety level a run gets: a caller can only get a stricter one than its role allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.model import SafetyLevel
from servicekit.principals import Role

if TYPE_CHECKING:
    from servicekit.principals import Principal

LAXEST_BY_ROLE = {
    Role.LEARNER: SafetyLevel.YOUTH,
    Role.TEACHER: SafetyLevel.ADULT,
    Role.RESEARCHER: SafetyLevel.OFF,
    Role.ADMIN: SafetyLevel.OFF,
    Role.SERVICE: SafetyLevel.OFF,
}


def laxest_level(principal: Principal, deployment_max: SafetyLevel) -> SafetyLevel:
    """Return the laxest level that a caller can get here."""
    return min(LAXEST_BY_ROLE[principal.role], deployment_max)


def effective_level(
    wanted: SafetyLevel, principal: Principal, deployment_max: SafetyLevel
) -> SafetyLevel:
    """Return the level that applies: as wanted, or stricter."""
    return min(wanted, laxest_level(principal, deployment_max))
