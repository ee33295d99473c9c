"""Tokens of a login service: whom they name, and every way in which one does not count."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from servicekit.api_keys import create_key
from servicekit.errors import Code, RemoteError, ServiceError, UnavailableError, remote_error
from servicekit.principals import Principal, Role, current_principal
from servicekit.settings import ConfigurationError, ServiceSettings
from servicekit.signing_keys import SigningKeys
from servicekit.tokens import MAX_TOKEN_LENGTH, TokenRules, Tokens, read_token_rules
from tests.fakes.identity_provider import AUDIENCE, IdentityProvider
from tests.support import serving
from tests.unit.servicekit.probe import probe, unary_unary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    """A login service."""
    async with IdentityProvider() as running:
        yield running


def rules(provider: IdentityProvider, **more: Any) -> TokenRules:
    """Return what the house says of tokens."""
    return TokenRules.model_validate({"issuer": provider.issuer, "audience": AUDIENCE, **more})


def tokens(provider: IdentityProvider, *, pause_seconds: float = 0.0, **more: Any) -> Tokens:
    """Return what checks tokens."""
    return Tokens(
        rules(provider, **more), SigningKeys(provider.issuer, pause_seconds=pause_seconds)
    )


async def fault(checked: Tokens, token: str) -> tuple[Code, str, str]:
    """Return code, reason and text of a refusal."""
    with pytest.raises(ServiceError) as caught:
        await checked.principal(token)
    return caught.value.code, caught.value.reason, caught.value.message


def signed_with_secret(secret: bytes, claims: dict[str, Any], **header: Any) -> str:
    """Make a token with a shared secret by hand: the library rightly refuses to use such keys."""
    parts = [_part({"typ": "JWT", **header}), _part(claims)]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def _part(content: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")


async def test_a_token_says_who_calls(provider: IdentityProvider, tmp_path: Path) -> None:
    """A server with an OIDC file takes a token, and knows its holder by a pseudonym."""
    file = tmp_path / "oidc.json"
    file.write_text(
        json.dumps({"issuer": provider.issuer, "audience": AUDIENCE, "group_claim": "class"})
    )
    keys = tmp_path / "keys.json"
    key = create_key(keys, role=Role.TEACHER, user="tom")
    seen: list[Principal] = []

    async def look(context: Any) -> None:
        seen.append(current_principal())

    settings = ServiceSettings(
        listen_address="127.0.0.1:0", oidc_file=file, api_keys_file=keys, grace_seconds=1
    )
    token = provider.token(**{"class": "4b"})
    refused: list[RemoteError] = []
    async with serving(probe(look), settings) as channel:
        for shown in (token, key, token):
            await unary_unary(channel, metadata=[("authorization", f"Bearer {shown}")])
        for wrong in ([("authorization", f"Bearer {token[:-6]}AAAAAA")], []):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary_unary(channel, metadata=wrong)
            refused.append(remote_error(caught.value))
    lea, tom, _ = seen
    assert (lea.role, lea.actor, lea.group) == (Role.LEARNER, Role.LEARNER, "4b")
    assert lea.id == lea.session
    assert lea.id.startswith("oidc-")
    assert "lea" not in lea.id
    assert (tom.id, tom.role) == ("tom", Role.TEACHER)
    assert [one.reason for one in refused] == ["TOKEN_INVALID", "CREDENTIALS_MISSING"]
    assert provider.asked_count == 1


async def test_people_and_sessions_are_told_apart(provider: IdentityProvider) -> None:
    """The same person is always the same, another one another, each sitting its own session."""
    checked = tokens(provider, session_claim="sid")
    lea, again, leo = [
        await checked.principal(provider.token(sub=who, sid=sitting))
        for who, sitting in (("lea", "s1"), ("lea", "s2"), ("leo", "s1"))
    ]
    assert lea.id == again.id
    assert len({lea.session, again.session, leo.session}) == 3
    assert lea.id != leo.id


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ({"realm_access": {"roles": ["pupil", "offline_access"]}}, Role.LEARNER),
        ({"realm_access": {"roles": ["pupil", "staff"]}}, Role.TEACHER),
        ({"realm_access": {"roles": "staff"}}, Role.TEACHER),
        ({"realm_access": {"roles": ["admin"]}}, None),
        ({"realm_access": {"roles": [["staff"], 7, None]}}, None),
        ({"realm_access": "staff"}, None),
        ({}, None),
    ],
)
async def test_the_settings_say_what_a_claim_means(
    provider: IdentityProvider, claim: dict[str, Any], role: Role | None
) -> None:
    """The words of the provider become our roles; whoever has none is refused by name."""
    names: dict[str, Any] = {
        "role_claim": "realm_access.roles",
        "roles": {"pupil": "learner", "staff": "teacher"},
    }
    token = provider.token(stellwerk_role="admin", **claim)
    if role is None:
        code, reason, _ = await fault(tokens(provider, **names), token)
        assert (code, reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
        learner = await tokens(provider, default_role="learner", **names).principal(token)
        assert learner.role is Role.LEARNER
    else:
        assert (await tokens(provider, **names).principal(token)).role is role


def test_nobody_becomes_a_service_by_a_token(provider: IdentityProvider) -> None:
    """No mapping makes a token a neighbour's, who may name anybody."""
    with pytest.raises(ValueError, match="roles"):
        TokenRules.model_validate(
            {"issuer": "https://idp.example", "audience": "x", "roles": {"robot": "service"}}
        )


@pytest.mark.parametrize(
    ("claims", "reason", "word"),
    [
        ({"exp": int(time.time()) - 3600}, "TOKEN_EXPIRED", "log in again"),
        ({"exp": None}, "TOKEN_INVALID", "missing"),
        ({"nbf": int(time.time()) + 3600}, "TOKEN_INVALID", "not valid yet"),
        ({"aud": "another-app"}, "TOKEN_INVALID", "somebody else"),
        ({"aud": None}, "TOKEN_INVALID", "missing"),
        ({"iss": "https://elsewhere.example"}, "TOKEN_INVALID", "somebody else made it"),
        ({"iss": None}, "TOKEN_INVALID", "missing"),
        ({"sub": None}, "TOKEN_INVALID", "missing"),
        ({"sub": ""}, "TOKEN_INVALID", "who it is"),
    ],
)
async def test_a_token_that_says_the_wrong_thing_does_not_count(
    provider: IdentityProvider, claims: dict[str, Any], reason: str, word: str
) -> None:
    """Expired, too early, for another, by another, or without what must be there."""
    code, found, text = await fault(tokens(provider), provider.token(**claims))
    assert (code, found) == (Code.UNAUTHENTICATED, reason)
    assert word in text


async def test_clocks_may_differ_a_little(provider: IdentityProvider) -> None:
    """A token that ended ten seconds ago still counts when the leeway is half a minute."""
    token = provider.token(exp=int(time.time()) - 10)
    assert await tokens(provider, leeway_seconds=60).principal(token)
    assert (await fault(tokens(provider, leeway_seconds=0), token))[1] == "TOKEN_EXPIRED"


async def test_forged_tokens_do_not_count(provider: IdentityProvider) -> None:
    """A foreign key, none, the public one as a shared secret, changed claims: all refused."""
    claims = jwt.decode(provider.token(), options={"verify_signature": False})
    claims["stellwerk_role"] = "admin"
    other = IdentityProvider()
    other.issuer = provider.issuer
    public = provider.public_key("first").public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    header, _, signature = provider.token().split(".")
    forged = [
        other.token(key_id="first"),
        jwt.encode(claims, "", "none", headers={"kid": "first"}),
        signed_with_secret(public, claims, alg="HS256", kid="first"),
        signed_with_secret(b"", claims, alg="none", kid="first"),
        signed_with_secret(public, claims, alg="RS256", kid="first"),
        signed_with_secret(public, claims, alg=["RS256"], kid="first"),
        signed_with_secret(public, claims, alg="RS256", kid="first", jku="http://evil.example"),
        f"{header}.{_part(claims).decode()}.{signature}",
        provider.token() + "x" * MAX_TOKEN_LENGTH,
        "a.b.c",
        "ä.ö.ü",
        "",
    ]
    checked = tokens(provider)
    for token in forged:
        code, reason, _ = await fault(checked, token)
        assert (code, reason) == (Code.UNAUTHENTICATED, "TOKEN_INVALID"), token[:40]


async def test_only_allowed_algorithms_count(provider: IdentityProvider) -> None:
    """A good signature by an algorithm that the house did not allow is refused."""
    provider.add_elliptic("curve")
    elliptic = provider.token(key_id="curve", algorithm="ES256")
    assert await tokens(provider).principal(elliptic)
    only_rsa = tokens(provider, algorithms=["RS256"])
    assert "algorithm" in (await fault(only_rsa, elliptic))[2]
    assert await only_rsa.principal(provider.token(key_id="first"))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512"])
def test_algorithms_without_a_private_key_cannot_be_allowed(algorithm: str) -> None:
    """A file that would let anybody sign is refused at the start."""
    with pytest.raises(ValueError, match="algorithms"):
        TokenRules.model_validate(
            {"issuer": "https://idp.example", "audience": "x", "algorithms": [algorithm]}
        )


async def test_renewed_keys_are_fetched(provider: IdentityProvider) -> None:
    """A token with a key that is not known yet makes us look again; a withdrawn key is gone."""
    checked = tokens(provider)
    old = provider.token()
    assert await checked.principal(old)
    provider.renew("second")
    assert await checked.principal(provider.token())
    withdrawn = tokens(provider)
    assert (await fault(withdrawn, old))[1] == "TOKEN_INVALID"


async def test_invented_keys_do_not_bother_the_provider(provider: IdentityProvider) -> None:
    """However many tokens with unknown keys come, at once or in a row, it is asked once."""
    checked = tokens(provider, pause_seconds=3600.0)
    other = IdentityProvider()
    other.issuer = provider.issuer
    other.renew("invented")
    wrong = [other.token(jti=str(number)) for number in range(20)]
    faults = await asyncio.gather(*(fault(checked, token) for token in wrong))
    assert {reason for _, reason, _ in faults} == {"TOKEN_INVALID"}
    assert (await fault(checked, wrong[0]))[1] == "TOKEN_INVALID"
    assert provider.asked_count == 1
    assert await checked.principal(provider.token())


async def test_a_provider_that_is_away_is_no_wrong_password(provider: IdentityProvider) -> None:
    """Without keys nobody is let in, and is told to try again; with them the house goes on."""
    checked = tokens(provider)
    provider.fault = 503
    with pytest.raises(UnavailableError) as caught:
        await checked.principal(provider.token())
    assert caught.value.reason == "IDENTITY_PROVIDER_UNAVAILABLE"
    assert caught.value.retry_seconds is not None
    provider.fault = 0
    assert await checked.principal(provider.token())
    provider.fault = 503
    assert await checked.principal(provider.token(jti="another"))


async def test_keys_are_fetched_from_where_the_settings_say(provider: IdentityProvider) -> None:
    """A provider does not send us to another place, be it by a redirect or by another scheme."""
    root = provider.issuer.removesuffix("/school")
    for url in (f"{root}/moved", f"{root}/nothing", "file:///etc/passwd"):
        with pytest.raises(UnavailableError):
            await SigningKeys(provider.issuer, url).find("first")
    assert await SigningKeys("https://unused.example", f"{provider.issuer}/keys").find("first")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "file"),
        ('{"issuer": "https://idp.example"}', "audience"),
        ('{"issuer": "idp", "audience": "x"}', "issuer"),
        ('{"issuer": "http://idp.example", "audience": "x"}', "https"),
        ('{"issuer": "https://idp.example", "audience": "x", "rolls": {}}', "rolls"),
    ],
)
def test_a_faulty_file_is_told(tmp_path: Path, text: str, word: str) -> None:
    """A fault in the OIDC file stops the start and names the place."""
    file = tmp_path / "oidc.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=word):
        read_token_rules(file)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_token_rules(tmp_path / "missing.json")
