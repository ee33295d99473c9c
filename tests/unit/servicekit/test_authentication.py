"""Who a caller is taken for, in every combination of credentials and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from servicekit.api_keys import create_key, list_keys, revoke_key
from servicekit.errors import Code, RemoteError, remote_error
from servicekit.principals import Principal, Role, current_principal, identity_metadata
from servicekit.settings import ServiceSettings
from tests.support import local_settings, serving
from tests.unit.servicekit.probe import EVERY_OPENING, probe, unary_unary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "a-secret-of-the-services"
Metadata = list[tuple[str, str]]


def bearer(key: str) -> Metadata:
    """Return the metadata that shows `key`."""
    return [("authorization", f"Bearer {key}")]


def with_keys(path: Path) -> ServiceSettings:
    """Return settings with a key file and a service key."""
    return ServiceSettings.model_validate(
        {
            "listen_address": "127.0.0.1:0",
            "grace_seconds": 1,
            "api_keys_file": path,
            "service_key": SECRET,
        }
    )


def admin_key(path: Path) -> str:
    """Make a key file with one key, and return that."""
    return create_key(path, role=Role.ADMIN, user="ada")


async def identify(
    settings: ServiceSettings, metadata: Metadata, call: Callable[..., Any] = unary_unary
) -> Principal | RemoteError:
    """Return whom a server takes a caller for, or why it refuses."""
    seen: list[Principal] = []

    async def look(context: Any) -> None:
        seen.append(current_principal())

    async with serving(probe(look), settings) as channel:
        try:
            await call(channel, metadata=metadata)
        except grpc.aio.AioRpcError as exc:
            return remote_error(exc)
    return seen[0]


async def refusal(settings: ServiceSettings, metadata: Metadata) -> RemoteError:
    """Return why a server refuses a caller."""
    outcome = await identify(settings, metadata)
    assert isinstance(outcome, RemoteError)
    return outcome


async def test_everybody_on_this_machine_is_the_local_admin() -> None:
    """Loopback without a key file needs no credential."""
    assert await identify(local_settings(), []) == Principal(
        "local", Role.ADMIN, "local", "", actor=Role.ADMIN
    )


async def test_insecure_admits_everybody_as_admin() -> None:
    """A reachable address with INSECURE behaves like loopback."""
    settings = ServiceSettings(listen_address="0.0.0.0:0", insecure=True, grace_seconds=1)
    outcome = await identify(settings, [])
    assert isinstance(outcome, Principal)
    assert outcome.actor is Role.ADMIN


async def test_the_local_admin_may_be_anybody() -> None:
    """The local admin names user, session, group and role freely, and stays the actor."""
    named = identity_metadata(user="lea", session="s1", group="4b", role="learner")
    assert await identify(local_settings(), named) == Principal(
        "lea", Role.LEARNER, "s1", "4b", actor=Role.ADMIN
    )


async def test_a_local_user_without_a_role_is_admin() -> None:
    """Whoever only names a session keeps the rest."""
    assert await identify(local_settings(), identity_metadata(session="s2")) == Principal(
        "local", Role.ADMIN, "s2", "", actor=Role.ADMIN
    )


async def test_a_wrong_credential_is_never_ignored() -> None:
    """Even the local admin is refused when the key that is shown is unknown."""
    seen = await refusal(local_settings(), bearer("sw_000000000000_" + "x" * 43))
    assert (seen.code, seen.reason) == (Code.UNAUTHENTICATED, "CREDENTIALS_INVALID")


@pytest.mark.parametrize("call", EVERY_OPENING)
async def test_a_key_file_makes_credentials_necessary(tmp_path: Path, call: Any) -> None:
    """With a key file nobody gets in without a credential, by no kind of RPC."""
    admin_key(tmp_path / "keys.json")
    outcome = await identify(with_keys(tmp_path / "keys.json"), [], call)
    assert isinstance(outcome, RemoteError)
    assert (outcome.code, outcome.reason) == (Code.UNAUTHENTICATED, "CREDENTIALS_MISSING")


@pytest.mark.parametrize("role", list(Role))
async def test_a_key_says_who_calls(tmp_path: Path, role: Role) -> None:
    """The principal of an API key is what the key file says."""
    path = tmp_path / "keys.json"
    key = create_key(path, role=role, user="lea", session="s1", group="4b")
    assert await identify(with_keys(path), bearer(key)) == Principal(
        "lea", role, "s1", "4b", actor=role
    )


async def test_a_key_without_a_session_has_one_of_its_own(tmp_path: Path) -> None:
    """Two keys never share a session by accident."""
    path = tmp_path / "keys.json"
    for user in ("lea", "leo"):
        create_key(path, role=Role.LEARNER, user=user)
    sessions = {entry.session for entry in list_keys(path)}
    assert len(sessions) == 2
    assert "" not in sessions


async def test_the_service_key_is_a_service(tmp_path: Path) -> None:
    """Whoever shows the service key acts as a service, for itself unless it names somebody."""
    admin_key(tmp_path / "keys.json")
    settings = with_keys(tmp_path / "keys.json")
    assert await identify(settings, bearer(SECRET)) == Principal(
        "service", Role.SERVICE, "", "", actor=Role.SERVICE
    )


async def test_a_service_acts_on_behalf(tmp_path: Path) -> None:
    """A service names its user; rights stay those of the service."""
    admin_key(tmp_path / "keys.json")
    named = identity_metadata(user="lea", session="s1", group="4b", role="teacher")
    outcome = await identify(with_keys(tmp_path / "keys.json"), bearer(SECRET) + named)
    assert outcome == Principal("lea", Role.TEACHER, "s1", "4b", actor=Role.SERVICE)


async def test_a_user_without_a_role_is_a_learner(tmp_path: Path) -> None:
    """A service that names a user without a role gets the least rights for them."""
    admin_key(tmp_path / "keys.json")
    metadata = bearer(SECRET) + identity_metadata(user="lea", session="s1")
    outcome = await identify(with_keys(tmp_path / "keys.json"), metadata)
    assert outcome == Principal("lea", Role.LEARNER, "s1", "", actor=Role.SERVICE)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SERVICE])
@pytest.mark.parametrize(
    "named",
    [{"user": "leo"}, {"session": "s9"}, {"group": "5a"}, {"role": "admin"}, {"role": "service"}],
)
async def test_nobody_else_names_somebody_else(
    tmp_path: Path, role: Role, named: dict[str, str]
) -> None:
    """A key of a person, an admin's too, cannot call as another."""
    path = tmp_path / "keys.json"
    key = create_key(path, role=role, user="lea", session="s1", group="4b")
    outcome = await identify(with_keys(path), bearer(key) + identity_metadata(**named))
    if named == {"role": role.value}:
        assert isinstance(outcome, Principal)
    else:
        assert isinstance(outcome, RemoteError)
        assert (outcome.code, outcome.reason) == (Code.PERMISSION_DENIED, "IDENTITY_NOT_ALLOWED")


async def test_naming_oneself_is_allowed(tmp_path: Path) -> None:
    """Names that are those of the key do no harm."""
    path = tmp_path / "keys.json"
    key = create_key(path, role=Role.LEARNER, user="lea", session="s1")
    named = identity_metadata(user="lea", session="s1", role="learner")
    assert isinstance(await identify(with_keys(path), bearer(key) + named), Principal)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stellwerk-user", "two words"),
        ("stellwerk-user", "x" * 65),
        ("stellwerk-session", ""),
        ("stellwerk-role", "headmaster"),
    ],
)
async def test_malformed_names_are_refused(key: str, value: str) -> None:
    """Ids are 1 to 64 printable ASCII characters without spaces, roles are those we know."""
    seen = await refusal(local_settings(), [(key, value)])
    assert (seen.code, seen.reason, seen.field) == (Code.INVALID_ARGUMENT, "INVALID_IDENTITY", key)


@pytest.mark.parametrize("user", ["two words", "käthe", "x" * 65, "tab\there"])
def test_malformed_names_do_not_leave_the_client(user: str) -> None:
    """A name that a server would refuse is refused where it is typed."""
    with pytest.raises(ValueError, match="stellwerk-user"):
        identity_metadata(user=user)


async def test_a_name_given_twice_is_refused() -> None:
    """Two users on one call are nobody."""
    seen = await refusal(local_settings(), [("stellwerk-user", "lea"), ("stellwerk-user", "leo")])
    assert (seen.code, seen.field) == (Code.INVALID_ARGUMENT, "stellwerk-user")


async def test_a_revoked_key_is_out_at_once(tmp_path: Path) -> None:
    """Revoking works on a running server, also for a key that was verified before."""
    path = tmp_path / "keys.json"
    admin_key(path)
    key = create_key(path, role=Role.TEACHER, user="tom")
    [entry] = [entry for entry in list_keys(path) if entry.user == "tom"]
    async with serving(probe(), with_keys(path)) as channel:
        await unary_unary(channel, metadata=bearer(key))
        assert revoke_key(path, entry.id)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary_unary(channel, metadata=bearer(key))
    assert remote_error(caught.value).code is Code.UNAUTHENTICATED


async def test_a_new_key_works_at_once(tmp_path: Path) -> None:
    """A key made while the server runs is known to it."""
    path = tmp_path / "keys.json"
    admin_key(path)
    async with serving(probe(), with_keys(path)) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await unary_unary(channel, metadata=bearer("not-made-yet"))
        key = create_key(path, role=Role.TEACHER, user="tom")
        await unary_unary(channel, metadata=bearer(key))


async def test_a_broken_file_keeps_the_keys_that_were(tmp_path: Path) -> None:
    """A typing error in the key file locks nobody out; deleting the file locks out everybody."""
    path = tmp_path / "keys.json"
    key = admin_key(path)
    async with serving(probe(), with_keys(path)) as channel:
        path.write_text("{")
        await unary_unary(channel, metadata=bearer(key))
        path.unlink()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary_unary(channel, metadata=bearer(key))
    assert remote_error(caught.value).code is Code.UNAUTHENTICATED


async def test_a_key_with_another_secret_is_wrong(tmp_path: Path) -> None:
    """The right id with another secret does not get in, whatever was verified before."""
    path = tmp_path / "keys.json"
    key = admin_key(path)
    forged = key[:-4] + ("AAAA" if not key.endswith("AAAA") else "BBBB")
    async with serving(probe(), with_keys(path)) as channel:
        await unary_unary(channel, metadata=bearer(key))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary_unary(channel, metadata=bearer(forged))
    assert remote_error(caught.value).code is Code.UNAUTHENTICATED
