"""Tokens of an identity provider (OIDC): a school's own login instead of keys of ours.

What counts is written in one JSON file that all services share: whose tokens, made for whom, by
which algorithms, and which of their claims says the role, the session and the group. Nothing in a
token itself is believed before its signature is, least of all the algorithm or where to find keys.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import jwt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from servicekit.context import is_valid_id
from servicekit.errors import PermissionDeniedError, UnauthenticatedError
from servicekit.principals import Principal, Role
from servicekit.settings import ConfigurationError, faults_of_file
from servicekit.signing_keys import check_url

if TYPE_CHECKING:
    from pathlib import Path

    from servicekit.signing_keys import SigningKeys

MAX_TOKEN_LENGTH = 8_192
"""Longest token in characters; gRPC's peers accept headers of 8 KiB."""
_REMEMBERED = 4_096
"""Tokens whose signature need not be checked again."""
_RANKS = (Role.ADMIN, Role.RESEARCHER, Role.TEACHER, Role.LEARNER)
"""Whoever has several roles has the first of these."""

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Signatures with a private key alone: with a shared secret, every service could make tokens."""
KeySource = Annotated[HttpUrl, AfterValidator(lambda url: HttpUrl(check_url(str(url))))]
"""An address from which keys may come."""
PersonRole = Literal["learner", "teacher", "researcher", "admin"]


class TokenRules(BaseModel):
    """Which tokens count, and what they say; the content of the file `OIDC_FILE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: KeySource = Field(description="The `iss` of the tokens.")
    audience: str = Field(min_length=1, description="Whom they must be for: our client id.")
    jwks_url: KeySource | None = Field(
        None,
        description="Where the provider's keys are. Unset: as `ISSUER/.well-known/"
        "openid-configuration` says.",
    )
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    leeway_seconds: float = Field(30.0, ge=0, le=300, description="How far clocks may differ.")
    user_claim: str = Field("sub", min_length=1, description="Who it is; kept as a pseudonym.")
    session_claim: str = Field(
        "", description="The session, such as `sid`. Empty: one for each person."
    )
    group_claim: str = Field("", description="Class or workshop. Empty: none.")
    role_claim: str = Field(
        "stellwerk_role", description="The role, a text or a list; `a.b` is `b` within `a`."
    )
    roles: dict[str, PersonRole] = Field(
        {role: role for role in ("learner", "teacher", "researcher", "admin")},
        description="What the values of that claim mean here.",
    )
    default_role: PersonRole | None = Field(
        None, description="The role of people whose claim means none. Unset: they are refused."
    )


def read_token_rules(path: Path) -> TokenRules:
    """Read the file.

    Raises:
        ConfigurationError: It is missing or faulty.
    """
    try:
        return TokenRules.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise ConfigurationError(f"OIDC file {path}: {exc.strerror}") from exc
    except ValidationError as exc:
        raise ConfigurationError(f"OIDC file {path} is faulty: {faults_of_file(exc)}") from exc


class Tokens:
    """Checks tokens. Belongs to one event loop."""

    def __init__(self, rules: TokenRules, keys: SigningKeys) -> None:
        """Check by `rules`, with the provider's `keys`."""
        self._rules = rules
        self._keys = keys
        self._checked: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def principal(self, token: str) -> Principal:
        """Return whom a token names.

        Raises:
            UnauthenticatedError: TOKEN_INVALID, or TOKEN_EXPIRED.
            PermissionDeniedError: ROLE_MISSING: it is good, and says no role that we know.
            UnavailableError: IDENTITY_PROVIDER_UNAVAILABLE: its keys cannot be fetched.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise _invalid("it is too long")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._checked.get(digest)
        if known is not None and time.time() < known[0]:
            return known[1]
        claims = await self._claims(token)
        principal = principal_of(claims, self._rules)
        self._remember(digest, float(claims["exp"]) + self._rules.leeway_seconds, principal)
        return principal

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as exc:
            raise _invalid("it is malformed") from exc
        if header.get("alg") not in self._rules.algorithms:
            raise _invalid("its algorithm is not allowed")
        key = await self._keys.find(header.get("kid"))
        if key is None:
            raise _invalid("nobody knows its key")
        # A signature takes up to a millisecond, which other calls need not wait for.
        return await asyncio.to_thread(self._decode, token, key)

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        rules = self._rules
        try:
            return jwt.decode(
                token,
                key,
                algorithms=list(rules.algorithms),
                audience=rules.audience,
                issuer=[_without_slash(rules.issuer), f"{_without_slash(rules.issuer)}/"],
                leeway=rules.leeway_seconds,
                options={"require": ["exp", "iss", "aud", rules.user_claim.partition(".")[0]]},
            )
        except jwt.ExpiredSignatureError as exc:
            raise UnauthenticatedError(
                "TOKEN_EXPIRED", "This token has expired; log in again."
            ) from exc
        except jwt.InvalidTokenError as exc:
            raise _invalid(_FAULTS.get(type(exc), "its signature is wrong")) from exc

    def _remember(self, digest: bytes, until: float, principal: Principal) -> None:
        self._checked[digest] = (until, principal)
        if len(self._checked) > _REMEMBERED:
            self._checked.popitem(last=False)


_FAULTS: dict[type[Exception], str] = {
    jwt.InvalidAudienceError: "it is for somebody else",
    jwt.InvalidIssuerError: "somebody else made it",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.MissingRequiredClaimError: "a claim is missing",
    jwt.InvalidAlgorithmError: "its algorithm is not that of its key",
}


def _invalid(why: str) -> UnauthenticatedError:
    return UnauthenticatedError("TOKEN_INVALID", f"This token does not count: {why}.")


def _without_slash(url: HttpUrl) -> str:
    """Return the URL as providers write it; pydantic ends a bare host with a slash."""
    return str(url).rstrip("/")


def principal_of(claims: dict[str, Any], rules: TokenRules) -> Principal:
    """Return whom the claims of a checked token name.

    What the provider calls a person may be their name or address, so only a pseudonym of it is
    kept: the same for the same person, and nothing that can be read.

    Raises:
        UnauthenticatedError: TOKEN_INVALID: it does not say who it is.
        PermissionDeniedError: ROLE_MISSING.
    """
    user = _claim(claims, rules.user_claim)
    if not isinstance(user, str) or not user:
        raise _invalid("it does not say who it is")
    issuer = _without_slash(rules.issuer)
    name = _pseudonym("oidc", issuer, user)
    session = _claim(claims, rules.session_claim)
    group = _claim(claims, rules.group_claim)
    role = _role(_claim(claims, rules.role_claim), rules)
    return Principal(
        id=name,
        role=role,
        session=_pseudonym("oidc", issuer, user, str(session)) if session else name,
        group=_id_of(group) if group else "",
        actor=role,
    )


def _claim(claims: dict[str, Any], path: str) -> Any:
    value: Any = claims
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if path else None


def _role(value: Any, rules: TokenRules) -> Role:
    words = value if isinstance(value, list) else [value]
    meant = {rules.roles[word] for word in words if isinstance(word, str) and word in rules.roles}
    found = next((role for role in _RANKS if role.value in meant), None)
    if found is None and rules.default_role is not None:
        return Role(rules.default_role)
    if found is None:
        raise PermissionDeniedError(
            "ROLE_MISSING", "Your login says no role that is known here; ask who runs this."
        )
    return found


def _id_of(group: Any) -> str:
    """Return a group's own name where it can be an id, else a pseudonym of it."""
    text = str(group[0] if isinstance(group, list) and group else group)
    return text if is_valid_id(text) else _pseudonym("group", text)


def _pseudonym(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{kind}-{digest[:32]}"
