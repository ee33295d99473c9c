"""From metadata to principal: credentials, the local admin, and acting on behalf.

Kept apart from the interceptor so that the rules read as rules, without gRPC between the lines.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from servicekit.api_keys import ApiKeys
from servicekit.context import is_valid_id
from servicekit.errors import InvalidArgumentError, PermissionDeniedError, UnauthenticatedError
from servicekit.principals import (
    AUTHORIZATION_KEY,
    GROUP_KEY,
    LOCAL_ADMIN,
    ROLE_KEY,
    SERVICE,
    SESSION_KEY,
    USER_KEY,
    Principal,
    Role,
)
from servicekit.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from servicekit.settings import ServiceSettings

_SCHEME = "bearer "
_IDENTITY_KEYS = (USER_KEY, SESSION_KEY, GROUP_KEY, ROLE_KEY)


class Authenticator:
    """Decides who calls."""

    def __init__(
        self, *, keys: ApiKeys | None, service_key: str | None, admit_local_admin: bool
    ) -> None:
        """Make an authenticator.

        Args:
            keys: The API keys, if there are any.
            service_key: The secret that neighbours show, if there is one.
            admit_local_admin: Whether a caller without credentials is the local admin.
        """
        self._keys = keys
        self._service_key = service_key
        self._admit_local_admin = admit_local_admin

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> Authenticator:
        """Make the authenticator that `settings` ask for.

        Raises:
            ConfigurationError: The key file is missing or faulty.
        """
        path, secret = settings.api_keys_file, settings.service_key
        reachable = not is_loopback(settings.listen_address)
        return cls(
            keys=ApiKeys(path) if path else None,
            service_key=secret.get_secret_value() if secret else None,
            admit_local_admin=path is None and (settings.insecure or not reachable),
        )

    async def principal(self, metadata: Iterable[tuple[str, str | bytes]]) -> Principal:
        """Return who calls.

        Args:
            metadata: What came with the call.

        Returns:
            The principal the call is for; its `actor` is the role that authenticated.

        Raises:
            UnauthenticatedError: No credential, or a wrong one.
            InvalidArgumentError: A name is malformed or given twice.
            PermissionDeniedError: The caller names somebody else and may not.
        """
        values = _single_values(metadata)
        caller = await self._caller(values.get(AUTHORIZATION_KEY))
        named = {key: values[key] for key in _IDENTITY_KEYS if key in values}
        return _on_behalf(caller, named) if named else caller

    async def _caller(self, authorization: str | None) -> Principal:
        if authorization is None:
            if self._admit_local_admin:
                return LOCAL_ADMIN
            raise UnauthenticatedError(
                "CREDENTIALS_MISSING", "Send an API key as `authorization: Bearer <key>`."
            )
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            token = authorization[len(_SCHEME) :].strip()
            if self._service_key and hmac.compare_digest(
                token.encode(), self._service_key.encode()
            ):
                return SERVICE
            principal = await self._keys.principal(token) if self._keys else None
            if principal is not None:
                return principal
        raise UnauthenticatedError(
            "CREDENTIALS_INVALID", "This key is unknown or revoked; ask for a new one."
        )


def _single_values(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Pick the entries that say who calls; each at most once, else it is unclear who is meant."""
    values: dict[str, str] = {}
    for key, value in metadata:
        if key != AUTHORIZATION_KEY and key not in _IDENTITY_KEYS:
            continue
        text = value if isinstance(value, str) else value.decode("latin-1")
        if key in values:
            raise InvalidArgumentError("INVALID_IDENTITY", "Given twice.", field=key)
        if key != AUTHORIZATION_KEY and not is_valid_id(text):
            raise InvalidArgumentError(
                "INVALID_IDENTITY",
                "Use 1 to 64 printable ASCII characters without spaces.",
                field=key,
            )
        values[key] = text
    return values


def _on_behalf(caller: Principal, named: dict[str, str]) -> Principal:
    if caller.actor is Role.SERVICE:
        # A user whose role was not named gets the least rights, never the service's own.
        default_role = Role.LEARNER if USER_KEY in named else Role.SERVICE
        return _named(named, caller, role=_role(named, default_role))
    if caller == LOCAL_ADMIN:
        return _named(named, caller, role=_role(named, Role.ADMIN))
    own = {
        USER_KEY: caller.id,
        SESSION_KEY: caller.session,
        GROUP_KEY: caller.group,
        ROLE_KEY: caller.role.value,
    }
    if any(own[key] != value for key, value in named.items()):
        raise PermissionDeniedError(
            "IDENTITY_NOT_ALLOWED", "Your key says who you are; do not name somebody else."
        )
    return caller


def _named(named: dict[str, str], caller: Principal, *, role: Role) -> Principal:
    return Principal(
        id=named.get(USER_KEY, caller.id),
        role=role,
        session=named.get(SESSION_KEY, caller.session),
        group=named.get(GROUP_KEY, caller.group),
        actor=caller.actor,
    )


def _role(named: dict[str, str], default: Role) -> Role:
    text = named.get(ROLE_KEY, default.value)
    try:
        return Role(text)
    except ValueError as exc:
        raise InvalidArgumentError(
            "INVALID_IDENTITY", f"Use one of {', '.join(Role)}.", field=ROLE_KEY
        ) from exc
