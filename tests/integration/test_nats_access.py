"""NATS behind TLS, certificates of both sides, passwords and tokens: who gets in, who hears why."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
from pydantic import SecretStr

from generation_service.queue.jetstream.access import NatsOptions
from generation_service.queue.jetstream.documents import Documents
from generation_service.queue.jetstream.link import NobodyAnswersError, open_link
from servicekit.channel import open_channel
from servicekit.settings import ConfigurationError
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk_cli.checkup import outside
from tests.integration.generation import Echo, generation, order, run
from tests.integration.generation_fleet import Replica
from tests.nats import nats_server
from tests.support import eventually, free_port
from tests.unit.servicekit.authorities import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from generation_service.queue.jetstream.link import Link
    from tests.integration.generation import Stub
    from tests.unit.servicekit.authorities import TlsFiles

PASSWORD = 'authorization {{ user: stellwerk, password: "{}" }}\n'


def tls_config(files: TlsFiles, *, first: bool = False) -> str:
    """What a server says that shows a certificate and wants to see one."""
    return (
        f'tls {{ cert_file: "{files.certificate}", key_file: "{files.key}", '
        f'ca_file: "{files.ca}", verify: true, handshake_first: {str(first).lower()} }}\n'
    )


def way_in(address: str, who: str, files: TlsFiles | None = None) -> NatsOptions:
    """Return the options of somebody."""
    url = SecretStr(f"nats://{who}@{address}" if who else f"nats://{address}")
    if files is None:
        return NatsOptions(url)
    return NatsOptions(url, authority=files.ca, certificate=files.certificate, key=files.key)


async def answers(link: Link) -> bool:
    """Tell whether a question through a link is answered by ourselves."""
    try:
        return (await link.ask(link.subject("echo"), {"word": "Wiese"})) == {"word": "Wiese"}
    except NobodyAnswersError:
        return False


async def echo(link: Link) -> None:
    """Answer questions with themselves."""

    async def same(question: dict[str, object]) -> dict[str, object]:
        return question

    await link.answer(link.subject("echo"), same)


@pytest.mark.parametrize("first", [False, True])
async def test_a_picture_is_made_by_mutual_tls(tmp_path: Path, *, first: bool) -> None:
    """Both sides show certificates, and a password with signs that an address must escape."""
    authority = Authority()
    server, own = (authority.issue(tmp_path / name, name) for name in ("nats", "generation"))
    config = tls_config(server, first=first) + PASSWORD.format("a/b@c:d")
    with nats_server(tmp_path / "store", config) as nats:
        options = {
            "queue": "jetstream",
            "nats_url": f"tls://stellwerk:a%2Fb%40c%3Ad@{nats.address}",
            "nats_authority": own.ca,
            "nats_certificate": own.certificate,
            "nats_key": own.key,
            "nats_tls_first": first,
        }
        async with generation(tmp_path / "data", Echo(), options=options) as stub:
            await eventually(lambda: has_worker(stub))
            assert (await run(stub, order()))[-1].finished.state == pb.JOB_STATE_DONE


async def test_the_doctor_speaks_tls_first_where_we_do(tmp_path: Path) -> None:
    """A server that says nothing in plain text is found to be well."""
    authority = Authority()
    server, own = (authority.issue(tmp_path / name, name) for name in ("nats", "doctor"))
    with nats_server(tmp_path / "store", tls_config(server, first=True)) as nats:
        told = {
            "GENERATION_QUEUE": "jetstream",
            "GENERATION_NATS_URL": f"tls://{nats.address}",
            "GENERATION_NATS_AUTHORITY": str(own.ca),
            "GENERATION_NATS_CERTIFICATE": str(own.certificate),
            "GENERATION_NATS_KEY": str(own.key),
            "GENERATION_NATS_TLS_FIRST": "true",
        }
        assert [finding.fine for finding in await outside.nats(told)] == [True]
        (broken,) = await outside.nats({**told, "GENERATION_NATS_KEY": str(own.ca)})
    assert "GENERATION_NATS_CERTIFICATE" in broken.fix


async def has_worker(stub: Stub) -> bool:
    """Tell whether a renderer has made itself known."""
    answer = await stub.ListWorkers(pb.ListWorkersRequest())
    return any(worker.state == pb.WORKER_STATE_READY for worker in answer.workers)


async def test_a_token_opens(tmp_path: Path) -> None:
    """Without TLS, for a network that is our own."""
    with nats_server(tmp_path, "authorization { token: sesame }\n") as nats:
        async with open_link(way_in(nats.address, "sesame")) as link:
            await echo(link)
            assert await answers(link)


async def test_who_is_not_let_in_is_told_why(tmp_path: Path) -> None:
    """Wrong password, no certificate, one of a stranger, a server of a stranger."""
    authority, stranger = Authority(), Authority("somebody else")
    server, own = (authority.issue(tmp_path / name, name) for name in ("nats", "generation"))
    foreign = stranger.issue(tmp_path / "foreign", "generation")
    right = "stellwerk:right"
    with nats_server(tmp_path / "store", tls_config(server) + PASSWORD.format("right")) as nats:
        at = nats.address
        for options, words in (
            (way_in(at, "stellwerk:wrong", own), "user and password in GENERATION_NATS_URL"),
            (way_in(at, right, replace(foreign, ca=own.ca)), "GENERATION_NATS_CERTIFICATE"),
            (way_in(at, right, replace(own, ca=foreign.ca)), "GENERATION_NATS_AUTHORITY"),
            (way_in(at, right), "GENERATION_NATS_AUTHORITY"),
        ):
            with pytest.raises(ConfigurationError, match=words):
                async with open_link(options):
                    pass
    unreadable = replace(way_in(at, right, own), key=own.certificate)
    with pytest.raises(ConfigurationError, match="the key must fit"):
        async with open_link(unreadable):
            pass


async def test_one_server_is_no_cluster(tmp_path: Path) -> None:
    """Who wants everything kept three times is told that there is nowhere to keep it."""
    with nats_server(tmp_path) as nats:
        options = replace(way_in(nats.address, ""), replicas=3)
        async with open_link(options) as link:
            with pytest.raises(ConfigurationError, match="GENERATION_NATS_REPLICAS=3"):
                await Documents(link, "jobs").prepare()


async def test_renewed_certificates_are_used_after_a_reconnect(tmp_path: Path) -> None:
    """Another authority has signed both, and nobody has restarted the service."""
    old, new = Authority("old"), Authority("new")
    server, own = (old.issue(tmp_path / name, name) for name in ("nats", "generation"))
    with nats_server(tmp_path / "store", tls_config(server)) as nats:
        async with open_link(way_in(nats.address, "", own)) as link:
            await echo(link)
            assert await answers(link)
            for name in ("nats", "generation"):
                new.issue(tmp_path / name, name)
            await asyncio.to_thread(nats.kill)
            await asyncio.to_thread(nats.start)
            await eventually(lambda: answers(link))


async def test_nobody_hangs_behind_a_changed_password(tmp_path: Path) -> None:
    """Who is turned out for good ends, to be started anew; everybody else comes back."""
    with nats_server(tmp_path / "store", PASSWORD.format("old")) as nats:
        address = f"127.0.0.1:{free_port()}"
        settings = {
            "GENERATION_QUEUE": "jetstream",
            "GENERATION_NATS_URL": f"nats://stellwerk:old@{nats.address}",
            "GENERATION_DATA_DIR": str(tmp_path / "data"),
            "GENERATION_LISTEN_ADDRESS": address,
            "GENERATION_EMBEDDED_PRELOAD": "false",
            "GENERATION_LOG_LEVEL": "ERROR",
        }
        async with open_channel(address) as channel:
            service = Replica(settings, address, channel=channel)

            async def has_ended_or(sees: bool) -> bool:
                return service.has_ended or await sees_queue(service) is sees

            try:
                await service.start()
                await service.serving()
                await eventually(lambda: has_ended_or(sees=True))
                nats.change(PASSWORD.format("new"))
                await eventually(lambda: has_ended_or(sees=False), within_seconds=60)
                nats.change(PASSWORD.format("old"))
                await eventually(lambda: has_ended_or(sees=True), within_seconds=60)
            finally:
                await service.kill()


async def sees_queue(service: Replica) -> bool:
    """Tell whether a service knows how full the queue is."""
    try:
        await service.stub.GetQueue(pb.GetQueueRequest(), timeout=5)
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_leaving_is_no_expulsion(tmp_path: Path) -> None:
    """An end that we wanted, also while the server is away, alarms nobody."""
    turned_out = asyncio.Event()
    with nats_server(tmp_path) as nats:
        async with open_link(way_in(nats.address, ""), turned_out=turned_out.set) as link:
            await echo(link)
            await asyncio.to_thread(nats.kill)
            await asyncio.to_thread(nats.start)
            await eventually(lambda: answers(link))
            await asyncio.to_thread(nats.kill)
            await eventually(lambda: is_away(link))
    assert not turned_out.is_set()


async def is_away(link: Link) -> bool:
    """Tell whether nobody can be asked."""
    return not await answers(link)
