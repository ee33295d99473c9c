"""Mutual TLS between services: who gets in by which port, and certificates renewed under load."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import ValidationError

from servicekit.api_keys import create_key
from servicekit.certificates import Certificates
from servicekit.channel import open_channel, open_neighbour
from servicekit.errors import Code, RemoteError, remote_error
from servicekit.principals import SERVICE, Principal, Role, acting_as, current_principal
from servicekit.server import start_server
from servicekit.settings import ConfigurationError, ServiceSettings
from tests.support import eventually
from tests.unit.servicekit.authorities import Authority, serial_number
from tests.unit.servicekit.probe import probe, unary_stream, unary_unary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from servicekit.server import RunningServer
    from tests.unit.servicekit.authorities import TlsFiles

LOOPBACK = "127.0.0.1:0"


def settings_with(files: TlsFiles, **more: Any) -> ServiceSettings:
    """Return settings of a service with these certificates and all three ports."""
    ports = dict.fromkeys(("listen_address", "callers_address", "probe_address"), LOOPBACK)
    return ServiceSettings.model_validate({"grace_seconds": 1, **ports, **files.settings(), **more})


class Tracker:
    """A service with certificates, and whom it took its callers for."""

    def __init__(self, server: RunningServer, seen: list[tuple[Principal, int]]) -> None:
        """Remember what runs."""
        self.server = server
        self.seen = seen

    def was_shown(self, number: int) -> bool:
        """Tell whether a caller showed the certificate with this serial number of late."""
        return number in {shown for _, shown in self.seen[-50:]}


@pytest.fixture
def authority() -> Authority:
    """The authority of the house."""
    return Authority()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> TlsFiles:
    """The files of the service that is called."""
    return authority.issue(tmp_path / "tracker", "tracker")


@contextlib.asynccontextmanager
async def running(settings: ServiceSettings) -> AsyncIterator[Tracker]:
    """Run a service that notes its callers and the serial numbers of their certificates."""
    seen: list[tuple[Principal, int]] = []

    async def look(context: Any) -> None:
        shown = context.auth_context().get("x509_pem_cert")
        seen.append((current_principal(), serial_number(shown[0]) if shown else 0))

    async with start_server(settings, probe(look)) as server:
        yield Tracker(server, seen)


async def refusal(channel: grpc.aio.Channel, **options: Any) -> RemoteError:
    """Return why a call is refused."""
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary_unary(channel, timeout=20, **options)
    return remote_error(caught.value)


async def test_a_neighbour_is_known_by_its_certificate(
    tmp_path: Path, files: TlsFiles, authority: Authority
) -> None:
    """A certificate of our authority with a neighbour's name is a service, on behalf of a user."""
    caller = settings_with(authority.issue(tmp_path / "gateway", "gateway"))
    lea = Principal("lea", Role.LEARNER, "s1", "4b", actor=Role.SERVICE)
    async with (
        running(settings_with(files)) as tracker,
        open_neighbour(caller, tracker.server.address) as channel,
    ):
        await unary_unary(channel)
        with acting_as(lea):
            await unary_stream(channel)
    assert [who for who, _ in tracker.seen] == [SERVICE, lea]


async def test_the_common_name_counts_where_there_is_no_other(
    tmp_path: Path, files: TlsFiles, authority: Authority
) -> None:
    """An old-style certificate names its service by the common name."""
    caller = authority.issue(tmp_path / "gateway", "gateway", alternative=False)
    async with (
        running(settings_with(files)) as tracker,
        open_neighbour(settings_with(caller), tracker.server.address) as channel,
    ):
        await unary_unary(channel)
    assert tracker.seen[0][0] == SERVICE


async def test_another_name_of_our_authority_is_no_service(
    tmp_path: Path, files: TlsFiles, authority: Authority
) -> None:
    """A certificate that names no neighbour opens the port and nothing else, but for a key."""
    caller = settings_with(authority.issue(tmp_path / "printer", "printer"))
    keys = tmp_path / "keys.json"
    key = create_key(keys, role=Role.TEACHER, user="tom")
    async with running(settings_with(files, api_keys_file=keys)) as tracker:
        refused = await refusal(open_neighbour(caller, tracker.server.address))
        with_key = [("authorization", f"Bearer {key}")]
        async with open_neighbour(caller, tracker.server.address) as channel:
            await unary_unary(channel, metadata=with_key)
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert [who.actor for who, _ in tracker.seen] == [Role.TEACHER]


async def test_a_foreign_authority_does_not_count(tmp_path: Path, files: TlsFiles) -> None:
    """Neither a stranger's certificate nor a connection without one reaches the main port."""
    stranger = Authority("somebody else").issue(tmp_path / "stranger", "gateway")
    forged = Certificates(files.ca, stranger.certificate, stranger.key)
    async with running(settings_with(files)) as tracker:
        for certificates in (forged, Certificates(files.ca), None):
            channel = open_channel(tracker.server.address, certificates=certificates)
            assert (await refusal(channel)).code is Code.UNAVAILABLE
    assert not tracker.seen


async def test_a_caller_notices_a_false_service(tmp_path: Path, files: TlsFiles) -> None:
    """A caller speaks to nobody whose certificate its own authority did not sign."""
    false = Authority("somebody else").issue(tmp_path / "false", "tracker")
    async with running(settings_with(false)) as tracker:
        channel = open_channel(tracker.server.callers_address, certificates=Certificates(files.ca))
        assert (await refusal(channel, metadata=())).code is Code.UNAVAILABLE
    assert not tracker.seen


async def test_people_need_no_certificate_but_a_key(tmp_path: Path, files: TlsFiles) -> None:
    """The callers' port takes keys over TLS, and knows no service but by its key."""
    keys = tmp_path / "keys.json"
    key = create_key(keys, role=Role.LEARNER, user="lea", session="s1")
    trusting = Certificates(files.ca)
    async with running(settings_with(files, api_keys_file=keys)) as tracker:
        address = tracker.server.callers_address
        refused = await refusal(open_channel(address, certificates=trusting))
        async with open_channel(address, api_key=key, certificates=trusting) as channel:
            await unary_unary(channel)
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert tracker.seen == [(Principal("lea", Role.LEARNER, "s1", "", Role.LEARNER), 0)]


async def test_the_port_of_probes_answers_probes_alone(tmp_path: Path, files: TlsFiles) -> None:
    """Health can be asked for without TLS; a key that came so was sent in the open and fails."""
    keys = tmp_path / "keys.json"
    key = create_key(keys, role=Role.ADMIN, user="ada")
    async with running(settings_with(files, api_keys_file=keys)) as tracker:
        address = tracker.server.probe_address
        async with open_channel(address) as channel:
            request = health_pb2.HealthCheckRequest(service="readiness")
            answer = await health_pb2_grpc.HealthStub(channel).Check(request)
        refused = await refusal(open_channel(address, api_key=key))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, "TLS_REQUIRED")


async def test_certificates_are_renewed_under_load(
    tmp_path: Path, files: TlsFiles, authority: Authority
) -> None:
    """Both sides get new certificates while calls run: none fails, and the new ones are used."""
    caller = authority.issue(tmp_path / "gateway", "gateway")
    async with (
        running(settings_with(files)) as tracker,
        open_neighbour(settings_with(caller), tracker.server.address) as channel,
    ):
        loads = [asyncio.create_task(_call_on(channel)) for _ in range(8)]
        for _ in range(2):
            authority.issue(tmp_path / "tracker", "tracker")
            authority.issue(tmp_path / "gateway", "gateway")
            renewed = serial_number(caller.certificate.read_bytes())
            await eventually(partial(tracker.was_shown, renewed))
            assert not [load for load in loads if load.done()]
        for load in loads:
            load.cancel()
        ends = await asyncio.gather(*loads, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
        async with open_neighbour(settings_with(caller), tracker.server.address) as fresh:
            await unary_unary(fresh)


async def _call_on(channel: grpc.aio.Channel) -> None:
    while True:
        await unary_unary(channel)
        await unary_stream(channel)


async def test_a_call_that_runs_keeps_its_connection(
    tmp_path: Path, files: TlsFiles, authority: Authority
) -> None:
    """A stream that began with the old certificate goes on to its end after a change."""
    caller = authority.issue(tmp_path / "gateway", "gateway")
    let_go = asyncio.Event()
    serial_numbers: set[int] = set()

    async def wait(context: Any) -> None:
        serial_numbers.add(serial_number(context.auth_context()["x509_pem_cert"][0]))
        await let_go.wait()

    async with (
        start_server(settings_with(files), probe(wait)) as server,
        open_neighbour(settings_with(caller), server.address) as channel,
    ):
        early = asyncio.create_task(unary_stream(channel))
        await eventually(lambda: len(serial_numbers) == 1)
        authority.issue(tmp_path / "gateway", "gateway")
        late: list[asyncio.Task[None]] = []

        async def uses_the_new_one() -> bool:
            late.append(asyncio.create_task(unary_unary(channel)))
            await asyncio.sleep(0)
            return len(serial_numbers) == 2

        await eventually(uses_the_new_one)
        let_go.set()
        await asyncio.gather(early, *late)


def test_files_that_do_not_fit_change_nothing(
    tmp_path: Path, files: TlsFiles, authority: Authority
) -> None:
    """Half of a change, a key without its certificate, leaves the old ones in force."""
    other = authority.issue(tmp_path / "other", "tracker")
    certificates = Certificates(files.ca, files.certificate, files.key, look_seconds=0)
    before = certificates.current()
    files.key.write_bytes(other.key.read_bytes())
    assert certificates.current() is before
    files.certificate.write_bytes(other.certificate.read_bytes())
    after = certificates.current()
    assert (after.key, after.certificate) == (
        other.key.read_bytes(),
        other.certificate.read_bytes(),
    )


@pytest.mark.parametrize("broken", ["ca", "certificate", "key"])
def test_faulty_files_stop_the_start(files: TlsFiles, broken: str) -> None:
    """A file that is no PEM, or not there, is named when the service starts."""
    path: Path = getattr(files, broken)
    for change in (lambda: path.write_text("nonsense"), path.unlink):
        change()
        with pytest.raises(ConfigurationError, match=r"TLS files.*"):
            Certificates(files.ca, files.certificate, files.key)


def test_half_of_tls_is_refused(files: TlsFiles) -> None:
    """A key without an authority, or a port for callers without TLS, is a fault of the settings."""
    for half in ({"tls_key_file": files.key}, {"callers_address": LOOPBACK}):
        with pytest.raises(ValidationError, match="TLS_CA_FILE"):
            ServiceSettings.model_validate(half)


def test_tls_is_enough_for_a_reachable_address(files: TlsFiles) -> None:
    """A service with certificates may be reached by others without any key."""
    settings = ServiceSettings.model_validate(
        {"listen_address": "0.0.0.0:0", **files.settings()},
    )
    assert settings.has_credentials
