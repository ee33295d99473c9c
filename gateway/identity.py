"""Who is at the other end: a learner by a cookie, or somebody with an API key.

A browser that comes for the first time is offered a pseudonym, and keeps it in a signed cookie once
it makes something; that is all a learner ever needs. Teachers and researchers show an API key, in a
header or once at the login, and a page on a machine of its own, without any keys, gives everybody
at it the local admin's rights.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from gateway.pseudonyms import has_offer, offered
from gateway.rights import rights_of
from gateway.security import SAFE_METHODS
from servicekit.api_keys import KEY_PREFIX
from servicekit.authentication import Authenticator, Peer
from servicekit.errors import PermissionDeniedError, UnauthenticatedError
from servicekit.principals import LOCAL_ADMIN, Principal, Role, set_principal
from servicekit.rate_interceptor import rates_of

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

LOGIN_SECONDS = 8 * 3600
"""A login lasts a working day; so long, too, may a revoked key still work on the page."""
_STAFF = frozenset({Role.TEACHER, Role.RESEARCHER, Role.ADMIN})
_LEARNER_ID = "learner_id"
_SESSION_ID = "session_id"
_LOGIN = "login"
_BROWSER = Peer(encrypted=True)
"""HTTPS ends before the gateway, at whatever stands in front of it."""


class Identity:
    """Finds the principal of a request."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Take who may come in.

        Raises:
            ConfigurationError: The key file is missing or faulty.
        """
        self._authenticator = Authenticator.from_settings(settings)
        self._rates = rates_of(settings)
        self.is_open = self._authenticator.admits_anybody
        """Whether everybody at this page has all rights: it is this machine's own."""

    async def by_key(self, authorization: str) -> Principal:
        """Return whom an `Authorization` header names.

        Raises:
            UnauthenticatedError: The key is unknown or revoked.
        """
        return await self._authenticator.principal([("authorization", authorization)], _BROWSER)

    async def log_in(self, request: Request, api_key: str) -> Principal:
        """Remember in the cookie who showed a key.

        Raises:
            UnauthenticatedError: The key is unknown or revoked.
        """
        if not api_key.startswith(KEY_PREFIX):  # a token ends long before a login does
            raise UnauthenticatedError("CREDENTIALS_INVALID", "This is no API key.")
        principal = await self.by_key(f"Bearer {api_key}")
        request.session[_LOGIN] = {
            "id": principal.id,
            "role": principal.role.value,
            "session": principal.session,
            "group": principal.group,
            "until": int(time.time()) + LOGIN_SECONDS,
        }
        return principal

    def log_out(self, request: Request) -> None:
        """Forget who logged in."""
        request.session.pop(_LOGIN, None)

    async def person(self, request: Request) -> Principal:
        """Return who acts: by key, by login, else the learner of this browser.

        Raises:
            UnauthenticatedError: A key came that is unknown or revoked.
            ResourceExhaustedError: RATE_LIMITED.
        """
        if authorization := request.headers.get("authorization"):
            principal: Principal | None = await self.by_key(authorization)
        else:
            principal = _logged_in(request)
        if principal is None and not (_is_somebody(request) or has_offer(request.scope)):
            # Each of its requests could be somebody new, so the address has to stand for it, and
            # a new pseudonym costs as much as work: with each there comes a share of its own.
            self._rates.take(f"at {request.client.host if request.client else ''}", works=True)
            return learner_of(request)
        principal = principal or learner_of(request)
        self.count(request, principal.id)
        return principal

    def viewer(self, request: Request) -> Principal | None:
        """Return who may see what learners may not, for the look of a page; None: a learner."""
        shown: Principal | None = getattr(request.state, "staff", None)
        principal = shown or _logged_in(request) or (LOCAL_ADMIN if self.is_open else None)
        return principal if principal and principal.role in _STAFF else None

    async def staff(self, request: Request) -> Principal:
        """Return who acts, where learners have no business.

        Raises:
            UnauthenticatedError: Nobody has shown a key yet.
            PermissionDeniedError: It is a learner's.
            ResourceExhaustedError: RATE_LIMITED.
        """
        if authorization := request.headers.get("authorization"):
            principal: Principal | None = await self.by_key(authorization)
        else:
            principal = _logged_in(request) or (LOCAL_ADMIN if self.is_open else None)
        if principal is None:
            raise UnauthenticatedError("LOGIN_NEEDED", "Log in with an API key first.")
        if principal.role not in _STAFF:
            raise PermissionDeniedError(
                "ROLE_NOT_ALLOWED", "This is for teachers and researchers only."
            )
        self.count(request, principal.id)
        return principal

    def count(self, request: Request, caller: str) -> None:
        """Count a request of somebody; what changes anything counts as work.

        Raises:
            ResourceExhaustedError: RATE_LIMITED.
        """
        self._rates.take(caller, works=request.method not in SAFE_METHODS)


def _is_somebody(request: Request) -> bool:
    """Whether this browser has made something already."""
    return _LEARNER_ID in request.session and _SESSION_ID in request.session


def learner_of(request: Request) -> Principal:
    """Return the learner that this browser is; one that is new becomes what it was offered."""
    known = request.session
    if _is_somebody(request):
        learner, sitting = known[_LEARNER_ID], known[_SESSION_ID]
    else:
        token = offered(request.scope)
        learner, sitting = f"learner-{token[:16]}", f"page-{token[16:]}"
        if request.method not in SAFE_METHODS:
            known |= {_LEARNER_ID: learner, _SESSION_ID: sitting}
    return Principal(id=learner, role=Role.LEARNER, session=sitting, group="", actor=Role.SERVICE)


def _logged_in(request: Request) -> Principal | None:
    login = request.session.get(_LOGIN)
    if not login or login["until"] < time.time():
        return None
    return Principal(
        id=login["id"],
        role=Role(login["role"]),
        session=login["session"],
        group=login["group"],
        actor=Role.SERVICE,
    )


async def act_as_person(request: Request) -> Principal:
    """Let what follows be done for whoever is at the other end."""
    identity: Identity = request.app.state.identity
    principal = await identity.person(request)
    set_principal(principal)
    return principal


async def act_as_staff(request: Request) -> Principal:
    """Let what follows be done for somebody who is no learner."""
    identity: Identity = request.app.state.identity
    principal = await identity.staff(request)
    request.state.staff = principal
    set_principal(principal)
    return principal


def staff_who_may(rpc: str) -> Any:
    """Return what lets those of the staff act who may call an RPC, such as `EraseUser`.

    For pages that offer something, and forms that ask twice before they do it.
    """

    async def act(request: Request) -> Principal:
        principal = await act_as_staff(request)
        rights_of(request).demand(principal.role, rpc)
        return principal

    return Depends(act)


Person = Annotated[Principal, Depends(act_as_person)]
Staff = Annotated[Principal, Depends(act_as_staff)]
