"""What the doctor finds on this machine and outside the services, and that it never hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from servicekit.api_keys import create_key
from servicekit.principals import Role
from stellwerk_cli.checkup import machine, outside
from stellwerk_cli.checkup.certificates import certificates
from stellwerk_cli.checkup.findings import Finding, State, blocking, examine, ok
from stellwerk_cli.main import app
from tests.fakes.ollama import FakeOllama
from tests.fakes.otlp_sink import collecting
from tests.support import free_port
from tests.unit.servicekit.authorities import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "hunter2"


@contextlib.asynccontextmanager
async def greeting(line: bytes, *, after: bytes = b"") -> AsyncIterator[str]:
    """Listen, say one line to whoever comes and has said `after`, and yield the address."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after:
            await reader.readuntil(after)
        writer.write(line)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def by_state(findings: list[Finding]) -> dict[State, list[str]]:
    """Return what was found, by how it is."""
    found: dict[State, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.state, []).append(finding.words)
    return found


async def test_a_check_that_hangs_or_breaks_holds_up_no_other() -> None:
    """Checks run side by side; too long and broken ones are faults with a fix, in their place."""

    async def hang() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    def broken() -> Finding:
        raise LookupError("nothing there")

    checks = {"hangs": hang, "breaks": blocking(broken), "works": blocking(lambda: ok("x", "y"))}
    hung, failed, worked = await examine(checks, 0.2)
    assert (hung.subject, hung.fine) == ("hangs", False)
    assert "0.2 s" in hung.words
    assert (failed.subject, failed.fine) == ("breaks", False)
    assert "LookupError" in failed.words
    assert all(finding.fix for finding in (hung, failed))
    assert worked.fine


async def test_nats_says_itself_whether_it_has_jetstream() -> None:
    """A server with JetStream is fine; one without, and none, are faults; secrets are not shown."""
    with_it = b'INFO {"version":"2.12.0","jetstream":true}\r\n'
    async with greeting(with_it) as good, greeting(b'INFO {"version":"2.12.0"}\r\n') as bad:
        urls = f"nats://user:{SECRET}@{good},nats://{bad},nats://127.0.0.1:{free_port()}"
        told = {"GENERATION_QUEUE": "jetstream", "GENERATION_NATS_URL": urls}
        found = await outside.nats(told)
    assert [finding.state for finding in found] == [State.OK, State.FAULT, State.FAULT]
    assert not [finding for finding in found if SECRET in str(finding)]
    assert (await outside.nats({}))[0].state is State.MISSING


async def test_a_bucket_is_asked_for() -> None:
    """Not set is nothing to do; a store that does not answer is a fault."""
    assert outside.bucket({}).state is State.MISSING
    told = {
        "GENERATION_MEDIA_STORE": "s3",
        "GENERATION_MEDIA_BUCKET": "media",
        "GENERATION_MEDIA_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    assert outside.bucket(told).state is State.FAULT
    end = b"\r\n\r\n"
    async with greeting(b"HTTP/1.1 404 Not Found" + end, after=end) as address:
        told["GENERATION_MEDIA_ENDPOINT"] = f"http://{address}"
        assert "no bucket media" in (await asyncio.to_thread(outside.bucket, told)).words
    async with greeting(b"HTTP/1.1 403 Forbidden" + end, after=end) as address:
        told["GENERATION_MEDIA_ENDPOINT"] = f"http://{address}"
        assert (await asyncio.to_thread(outside.bucket, told)).fine


async def test_collectors_of_traces() -> None:
    """Each endpoint that is set must take connections."""
    with collecting() as (_, endpoint):
        told = {
            "TRACKER_OTLP_ENDPOINT": endpoint,
            "SAFETY_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        }
        found = by_state(await outside.collectors(told))
    assert [len(found[state]) for state in (State.OK, State.FAULT)] == [1, 1]
    assert by_state(await outside.collectors({})).keys() == {State.MISSING}


async def test_models_that_are_not_pulled_are_named() -> None:
    """Of the profile's models each must be there; the fix is the command that gets it."""
    told = {"GENERATION_MODELS_PROFILE": "local"}
    async with FakeOllama() as ollama:
        ollama.pulled = {"gemma3:4b": 1, "qwen2.5-coder:7b": 1, "llama-guard3:1b": 1}
        told["GENERATION_OLLAMA_URL"] = ollama.url
        found = await asyncio.to_thread(outside.models, told)
    [lacking] = [finding for finding in found if not finding.fine]
    assert "image_guard" in lacking.words
    assert lacking.fix == "ollama pull qwen2.5vl:3b"
    gone = await asyncio.to_thread(outside.models, told)
    assert "no Ollama answers" in by_state(gone)[State.FAULT][0]
    nonsense = outside.models({"GENERATION_MODELS_PROFILE": "nobody"})
    assert nonsense[0].state is State.FAULT


def test_a_database_of_another_version(tmp_path: Path) -> None:
    """None yet, one that a newer version wrote, and one that is no database."""
    assert outside.database({}, tmp_path).state is State.MISSING
    path = tmp_path / "tracker.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    assert "newer version" in outside.database({}, tmp_path).words
    path.write_bytes(b"no database at all" * 100)
    assert "cannot be read" in outside.database({}, tmp_path).words


def test_a_database_that_cannot_be_reached_shows_no_password(tmp_path: Path) -> None:
    """PostgreSQL that is away is a fault that names host and port alone."""
    url = f"postgresql://user:{SECRET}@127.0.0.1:{free_port()}/tracker"
    found = outside.database({"TRACKER_DATABASE_URL": url}, tmp_path)
    assert found.state is State.FAULT
    assert "127.0.0.1" in found.words
    assert SECRET not in str(found)


def test_key_files(tmp_path: Path) -> None:
    """Sound, readable by anybody, faulty, missing, and none at all."""
    sound, open_to_all, faulty = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    for path in (sound, open_to_all):
        create_key(path, role=Role.TEACHER, user="anna")
    open_to_all.chmod(0o644)
    faulty.write_text(json.dumps({"keys": [1]}))
    told = {f"{n}_API_KEYS_FILE": str(p) for n, p in enumerate((sound, open_to_all, faulty))}
    told["X_API_KEYS_FILE"] = str(tmp_path / "nowhere.json")
    found = by_state(machine.key_files(told))
    assert ["teacher" in words for words in found[State.OK]] == [True]
    assert len(found[State.FAULT]) == 3
    assert machine.key_files({})[0].state is State.MISSING


def test_certificates_and_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long one lasts is said; one that cannot be read is a fault."""
    monkeypatch.delenv("STELLWERK_TLS_CA", raising=False)
    files = Authority().issue(tmp_path, "tracker")
    told = {
        "TRACKER_TLS_CERTIFICATE_FILE": str(files.certificate),
        "SAFETY_TLS_CERTIFICATE_FILE": str(tmp_path / "nowhere.pem"),
    }
    found = certificates(told, "127.0.0.1:1")
    assert sum("more days" in finding.words for finding in found) == 1
    assert sum("cannot be read" in finding.words for finding in found) == 1
    assert certificates({}, "127.0.0.1:1")[0].state is State.MISSING


def test_this_machine(tmp_path: Path) -> None:
    """Python, weights, fonts, configs and disk of a sound installation are in order."""
    looks = (machine.python(), machine.model(), machine.fonts(), machine.configs())
    assert [finding.state for finding in looks] == [State.OK] * len(looks), looks
    assert machine.disk(tmp_path / "not" / "there").fine


def test_a_port_that_somebody_else_has() -> None:
    """It is named with the service that wants it; ports of services that serve do not count."""
    base = free_port()
    assert machine.ports(base, [], ["one"]).fine
    assert machine.ports(base, ["one"], ["one"]).words == "each service has its own"


@pytest.mark.parametrize("address", ["ftp://x", "http://"])
def test_an_address_that_is_none(address: str) -> None:
    """A faulty address is a fault like any other, not the end of the doctor."""
    told = {"GENERATION_MODELS_PROFILE": "local", "GENERATION_OLLAMA_URL": address}
    assert State.FAULT in by_state(outside.models(told))


def test_workers_are_those_that_the_service_is_told_of(tmp_path: Path) -> None:
    """The doctor looks at the ComfyUI servers of the variable that the service reads."""
    away = f"http://127.0.0.1:{free_port()}"
    options = ["--json", "--server", f"127.0.0.1:{free_port()}", "--data", str(tmp_path)]
    told = CliRunner().invoke(app, ["doctor", *options], env={"COMFYUI_WORKERS": f"{away};"})
    found = [json.loads(line) for line in told.output.splitlines()]
    [worker] = [each for each in found if each["subject"] == "comfyui"]
    assert worker["state"] == "fault"
    assert away in worker["words"]
