"""From metadata to principal: certificates, credentials, the local admin, acting on behalf.

Kept apart from the interceptor so that the rules read as rules, without gRPC between the lines.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.api_keys import KEY_PREFIX, ApiKeys
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
from servicekit.signing_keys import SigningKeys
from servicekit.tokens import Tokens, read_token_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from servicekit.settings import ServiceSettings

_SCHEME = "bearer "
_IDENTITY_KEYS = (USER_KEY, SESSION_KEY, GROUP_KEY, ROLE_KEY)


@dataclass(frozen=True)
class Peer:
    """The other end of a connection.

    Attributes:
        names: What the certificate that it showed says it is; empty: it showed none.
        encrypted: Whether nobody between can listen.
    """

    names: frozenset[str] = frozenset()
    encrypted: bool = False


NOBODY = Peer()
"""Somebody who connected without TLS."""


def peer_of(properties: Mapping[str, Iterable[bytes]]) -> Peer:
    """Return who is at the other end.

    Args:
        properties: What gRPC found out (`auth_context()`), after checking the certificate. As
            browsers do, the common name counts only where there are no alternative names.
    """
    names = properties.get("x509_subject_alternative_name") or properties.get(
        "x509_common_name", ()
    )
    return Peer(
        names=frozenset(name.decode("utf-8", "replace") for name in names),
        encrypted=b"ssl" in properties.get("transport_security_type", ()),
    )


class Authenticator:
    """Decides who calls."""

    def __init__(
        self,
        *,
        keys: ApiKeys | None = None,
        tokens: Tokens | None = None,
        service_key: str | None = None,
        neighbour_names: frozenset[str] = frozenset(),
        needs_encryption: bool = False,
        admits_anybody: bool = False,
    ) -> None:
        """Make an authenticator.

        Args:
            keys: The API keys, if there are any.
            tokens: Checks tokens of an identity provider, if there is one.
            service_key: The secret that neighbours show, if there is one.
            neighbour_names: What neighbours are called in their certificates.
            needs_encryption: Whether whoever connected without TLS is refused.
            admits_anybody: Whether a caller without credentials is the local admin.
        """
        self._keys = keys
        self._tokens = tokens
        self._service_key = service_key
        self._neighbour_names = neighbour_names
        self._needs_encryption = needs_encryption
        self.admits_anybody = admits_anybody

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> Authenticator:
        """Make the authenticator that `settings` ask for.

        Raises:
            ConfigurationError: The key file or the OIDC file is missing or faulty.
        """
        path, secret = settings.api_keys_file, settings.service_key
        reachable = not is_loopback(settings.listen_address)
        closed = path or settings.oidc_file or settings.tls_ca_file
        return cls(
            keys=ApiKeys(path) if path else None,
            tokens=_tokens(settings),
            service_key=secret.get_secret_value() if secret else None,
            neighbour_names=settings.neighbour_names,
            needs_encryption=settings.tls_ca_file is not None,
            admits_anybody=not closed and (settings.insecure or not reachable),
        )

    async def principal(
        self, metadata: Iterable[tuple[str, str | bytes]], peer: Peer = NOBODY
    ) -> Principal:
        """Return who calls.

        Args:
            metadata: What came with the call.
            peer: From where it came.

        Returns:
            The principal the call is for; its `actor` is the role that authenticated.

        Raises:
            UnauthenticatedError: No credential, or a wrong one.
            UnavailableError: It cannot be checked now.
            InvalidArgumentError: A name is malformed or given twice.
            PermissionDeniedError: The caller names somebody else and may not.
        """
        if self._needs_encryption and not peer.encrypted:
            raise UnauthenticatedError("TLS_REQUIRED", "Connect by TLS; this port is for probes.")
        values = _single_values(metadata)
        caller = await self._caller(values.get(AUTHORIZATION_KEY), peer)
        named = {key: values[key] for key in _IDENTITY_KEYS if key in values}
        return _on_behalf(caller, named) if named else caller

    async def _caller(self, authorization: str | None, peer: Peer) -> Principal:
        if authorization is None:
            if not self._neighbour_names.isdisjoint(peer.names):
                return SERVICE
            if self.admits_anybody:
                return LOCAL_ADMIN
            raise UnauthenticatedError(
                "CREDENTIALS_MISSING",
                "Send an API key or a token as `authorization: Bearer <key>`.",
            )
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            principal = await self._bearer(authorization[len(_SCHEME) :].strip())
            if principal is not None:
                return principal
        raise UnauthenticatedError(
            "CREDENTIALS_INVALID", "This key is unknown or revoked; ask for a new one."
        )

    async def _bearer(self, token: str) -> Principal | None:
        if self._service_key and hmac.compare_digest(token.encode(), self._service_key.encode()):
            return SERVICE
        if self._tokens is not None and not token.startswith(KEY_PREFIX):
            return await self._tokens.principal(token)
        return await self._keys.principal(token) if self._keys else None


def _tokens(settings: ServiceSettings) -> Tokens | None:
    if settings.oidc_file is None:
        return None
    rules = read_token_rules(settings.oidc_file)
    url = str(rules.jwks_url) if rules.jwks_url else ""
    return Tokens(rules, SigningKeys(str(rules.issuer), url))


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
