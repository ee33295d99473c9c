"""To whom workflows belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.principals import Role
from tracker_service.export_workflow.store import EVERYBODY, Scope

if TYPE_CHECKING:
    from servicekit.principals import Principal


def scope_of(principal: Principal) -> Scope:
    """Return whose workflows somebody may see: the own ones, admins and services all."""
    if principal.role in (Role.ADMIN, Role.SERVICE):
        return EVERYBODY
    return Scope(principal.id)
