"""Who calls: the principal of the call being served.

Requests carry no identity. Authentication makes a principal, and from then on it travels in a
context variable, so that "whose is this?" has one answer everywhere.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from servicekit.context import is_valid_id

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTHORIZATION_KEY = "authorization"
USER_KEY = "stellwerk-user"
SESSION_KEY = "stellwerk-session"
GROUP_KEY = "stellwerk-group"
ROLE_KEY = "stellwerk-role"


class Role(StrEnum):
    """What a principal is in the house; rights are a table of role and RPC."""

    LEARNER = "learner"
    TEACHER = "teacher"
    RESEARCHER = "researcher"
    ADMIN = "admin"
    SERVICE = "service"


@dataclass(frozen=True)
class Principal:
    """Somebody who calls, or on whose behalf a service calls.

    Attributes:
        id: The user; "service" for a service that acts for itself.
        role: The role of that user: decides levels and what they may see.
        session: One person's executions in one sitting; empty when there is none.
        group: Class or workshop; empty when there is none.
        actor: The role that authenticated: decides which RPCs may be called. Differs from `role`
            when a service or the local admin acts on behalf of somebody.
    """

    id: str
    role: Role
    session: str
    group: str
    actor: Role

    def may_see(self, owner: Principal) -> bool:
        """Tell whether what belongs to `owner` may be shown to this principal.

        Learners see their own session, teachers their group as well, everyone else all. Nobody
        owns an empty session or group.
        """
        if self.role not in (Role.LEARNER, Role.TEACHER):
            return True
        own_session = bool(self.session) and self.session == owner.session
        own_group = bool(self.group) and self.group == owner.group
        return own_session or (self.role is Role.TEACHER and own_group)


LOCAL_ADMIN = Principal(id="local", role=Role.ADMIN, session="local", group="", actor=Role.ADMIN)
"""Everybody, where a service is reachable from its own machine only and has no key file."""

SERVICE = Principal(id="service", role=Role.SERVICE, session="", group="", actor=Role.SERVICE)
"""A neighbour that showed the service key and acts for itself."""

_principal: ContextVar[Principal | None] = ContextVar("stellwerk_principal", default=None)


def current_principal() -> Principal:
    """Return who calls.

    Raises:
        LookupError: Nobody does: outside of a call, or in an RPC that is open to everyone.
    """
    principal = _principal.get()
    if principal is None:
        raise LookupError("there is no principal outside of an authenticated call")
    return principal


def principal_or_none() -> Principal | None:
    """Return who calls, or None outside of an authenticated call."""
    return _principal.get()


def set_principal(principal: Principal) -> None:
    """Make `principal` the current one for the rest of this task."""
    _principal.set(principal)


@contextlib.contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """Make `principal` the current one for a while: for tests and for background work."""
    token = _principal.set(principal)
    try:
        yield
    finally:
        _principal.reset(token)


def identity_metadata(
    *, user: str = "", session: str = "", group: str = "", role: Role | str = ""
) -> list[tuple[str, str]]:
    """Return the metadata that names somebody to act on behalf of; empty values are left out.

    Raises:
        ValueError: A value is not 1 to 64 printable ASCII characters without spaces.
    """
    pairs = [(USER_KEY, user), (SESSION_KEY, session), (GROUP_KEY, group), (ROLE_KEY, str(role))]
    named = [(key, value) for key, value in pairs if value]
    for key, value in named:
        if not is_valid_id(value):
            raise ValueError(
                f"{key}: use 1 to 64 printable ASCII characters without spaces, not {value!r}"
            )
    return named


def principal_metadata(principal: Principal) -> list[tuple[str, str]]:
    """Return the metadata with which a service passes `principal` on to its neighbours."""
    return identity_metadata(
        user=principal.id, session=principal.session, group=principal.group, role=principal.role
    )
