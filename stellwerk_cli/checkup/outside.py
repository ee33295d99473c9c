"""What lies outside the services, and their settings name: from the database to the models.

Only the environment is read, as `stellwerk up` would pass it on; what is not set is not needed.
Nothing here shows a password: addresses are named by host and port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stellwerk_cli.checkup.findings import Finding, fault, missing, ok
from stellwerk_cli.services import SERVICE_NAMES, models_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONNECT_SECONDS = 3.0
_MAX_BYTES = 4 * 1024 * 1024
_NATS_URL = "nats://127.0.0.1:4222"
_DATABASE_NAME = "tracker.sqlite3"


def database(environment: Mapping[str, str], data: Path) -> Finding:
    """Look at the tracker's database and the version of its schema."""
    try:
        from tracker_service import migrations
    except ModuleNotFoundError:
        return missing("database", "no tracker is installed here")
    latest = migrations.latest_revision()
    url = environment.get("TRACKER_DATABASE_URL", "")
    where = f"PostgreSQL at {_host(url)}" if url else f"{data.resolve() / _DATABASE_NAME}"
    try:
        if url:
            present = migrations.revision_of_postgres(url, _CONNECT_SECONDS)
        elif not (data / _DATABASE_NAME).is_file():
            return missing("database", f"{where} is not there yet; the first start makes it")
        else:
            present = migrations.revision_of_sqlite(data / _DATABASE_NAME)
    except sqlite3.Error as exc:
        fix = "Stop the services and restore the last backup (docs/operations)."
        return fault("database", f"{where} cannot be read ({exc})", fix)
    except Exception as exc:  # the driver's errors, and the driver may be missing
        fix = "Check TRACKER_DATABASE_URL, and whether the server runs and lets this machine in."
        return fault("database", f"{where} cannot be used ({type(exc).__name__})", fix)
    if present is not None and present > latest:
        fix = "Install the version that wrote it, or a newer one."
        return fault("database", f"{where} was written by a newer version ({present})", fix)
    if present != latest:
        words = f"{where}, schema {present or 'none'}; the next start brings it to {latest}"
        return ok("database", words)
    return ok("database", f"{where}, schema {present} is the newest")


async def nats(environment: Mapping[str, str]) -> list[Finding]:
    """Look whether the NATS servers of the job queue answer, and have JetStream."""
    if environment.get("GENERATION_QUEUE", "local") != "jetstream":
        return [missing("nats", "not used: jobs are queued in the generation service itself")]
    urls = environment.get("GENERATION_NATS_URL") or _NATS_URL
    try:
        tls = _nats_tls(environment)
    except OSError as exc:
        fix = (
            "Check GENERATION_NATS_AUTHORITY, GENERATION_NATS_CERTIFICATE and GENERATION_NATS_KEY."
        )
        return [fault("nats", f"the certificates for NATS cannot be used ({_reason(exc)})", fix)]
    return [await _nats(url.strip(), tls) for url in urls.split(",") if url.strip()]


def _nats_tls(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return how to begin with TLS; None: NATS greets first, in plain text."""
    if environment.get("GENERATION_NATS_TLS_FIRST", "").lower() not in ("1", "true", "yes", "on"):
        return None
    context = ssl.create_default_context(cafile=environment.get("GENERATION_NATS_AUTHORITY"))
    if certificate := environment.get("GENERATION_NATS_CERTIFICATE"):
        context.load_cert_chain(certificate, environment.get("GENERATION_NATS_KEY"))
    return context


async def _nats(url: str, tls: ssl.SSLContext | None) -> Finding:
    host, port = _host_and_port(url, 4222)
    fix = "Check GENERATION_NATS_URL, and whether NATS runs with JetStream (`nats-server -js`)."
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            with contextlib.closing(writer):
                greeting = await reader.readline()
        info = json.loads(greeting.removeprefix(b"INFO "))
    except (OSError, ValueError, TimeoutError):
        return fault("nats", f"no NATS server answers at {host}:{port}", fix)
    if not info.get("jetstream"):
        return fault("nats", f"NATS {info.get('version')} at {host}:{port} has no JetStream", fix)
    return ok("nats", f"NATS {info.get('version')} with JetStream at {host}:{port}")


def bucket(environment: Mapping[str, str]) -> Finding:
    """Look whether the media's bucket is there."""
    name = environment.get("GENERATION_MEDIA_BUCKET", "")
    if environment.get("GENERATION_MEDIA_STORE", "folder") != "s3" and not name:
        return missing("bucket", "not set: media are files in the data folder")
    endpoint = environment.get("GENERATION_MEDIA_ENDPOINT") or "https://s3.amazonaws.com"
    try:
        status, _ = _fetched(f"{endpoint.rstrip('/')}/{name}", method="HEAD")
    except OSError as exc:
        fix = "Check GENERATION_MEDIA_ENDPOINT, and whether the store runs."
        return fault("bucket", f"{_host(endpoint)} does not answer ({_reason(exc)})", fix)
    if status == HTTPStatus.NOT_FOUND:
        fix = "Make the bucket, or correct GENERATION_MEDIA_BUCKET."
        return fault("bucket", f"there is no bucket {name} at {_host(endpoint)}", fix)
    return ok("bucket", f"{name} at {_host(endpoint)} answers")


async def collectors(environment: Mapping[str, str]) -> list[Finding]:
    """Look whether the collectors of traces can be reached."""
    told = {environment.get(f"{name.upper()}_OTLP_ENDPOINT", "") for name in SERVICE_NAMES}
    if not told - {""}:
        return [missing("traces", "no OTLP endpoint is set: nothing is traced")]
    found = []
    for endpoint in sorted(told - {""}):
        host, port = _host_and_port(endpoint, 4317)
        if await _accepts(host, port):
            found.append(ok("traces", f"a collector listens at {host}:{port}"))
        else:
            fix = "Start the collector, or unset the OTLP_ENDPOINT; spans are lost meanwhile."
            found.append(fault("traces", f"no collector listens at {host}:{port}", fix))
    return found


def models(environment: Mapping[str, str]) -> list[Finding]:
    """Look whether each role has a model, and whether its server has that model."""
    path = models_file(environment)
    try:
        file = json.loads(path.read_text(encoding="utf-8"))
        profile = environment.get("GENERATION_MODELS_PROFILE") or file["default_profile"]
        roles: dict[str, dict[str, Any]] = file["profiles"][profile]
    except (OSError, ValueError, KeyError) as exc:
        fix = "Correct GENERATION_MODELS_FILE or GENERATION_MODELS_PROFILE."
        return [fault("roles", f"{path}: no models for the profile ({exc})", fix)]
    backends = {role["model"].partition("/")[0] for role in roles.values()}
    found = [ok("roles", f"profile {profile}: {', '.join(roles)} by {', '.join(sorted(backends))}")]
    if "ollama" in backends:
        url = environment.get("GENERATION_OLLAMA_URL") or file["providers"]["ollama"]["base_url"]
        found += _ollama(url, roles)
    if "openai" in backends:
        found.append(_openai(environment, file["providers"]["openai"]))
    return found


def _ollama(url: str, roles: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    try:
        _, content = _fetched(f"{url.rstrip('/')}/api/tags")
        pulled = {str(entry["name"]) for entry in json.loads(content)["models"]}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        fix = "Start Ollama (`ollama serve`), or correct GENERATION_OLLAMA_URL."
        return [fault("ollama", f"no Ollama answers at {_host(url)} ({_reason(exc)})", fix)]
    wanted: dict[str, list[str]] = {}
    for role, choice in roles.items():
        backend, _, model = str(choice["model"]).partition("/")
        if backend == "ollama":
            wanted.setdefault(model, []).append(role)
    lacking = {name: by for name, by in wanted.items() if not {name, f"{name}:latest"} & pulled}
    faults = [
        fault("ollama", f"{name} is not pulled, for {', '.join(by)}", f"ollama pull {name}")
        for name, by in lacking.items()
    ]
    return faults or [ok("ollama", f"{_host(url)} has {', '.join(sorted(wanted))}")]


def _openai(environment: Mapping[str, str], provider: Mapping[str, Any]) -> Finding:
    url = environment.get("GENERATION_OPENAI_BASE_URL") or str(provider["base_url"])
    key = environment.get("GENERATION_OPENAI_API_KEY") or environment.get(
        str(provider.get("key_env", "")), ""
    )
    try:
        status, _ = _fetched(f"{url.rstrip('/')}/models", bearer=key)
    except OSError as exc:
        fix = "Check the network and GENERATION_OPENAI_BASE_URL."
        return fault("openai", f"{_host(url)} does not answer ({_reason(exc)})", fix)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return fault("openai", f"{_host(url)} refuses the key", "Set GENERATION_OPENAI_API_KEY.")
    return ok("openai", f"{_host(url)} answers")


def _fetched(url: str, *, method: str = "GET", bearer: str = "") -> tuple[int, bytes]:
    """Return status and body of an HTTP request; a refusal is a status, too.

    Raises:
        OSError: Nobody answers, or the address is none.
    """
    if not url.startswith(("http://", "https://")):
        raise OSError("the address does not begin with http:// or https://")
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_SECONDS) as response:
            return response.status, response.read(_MAX_BYTES)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, b""


async def _accepts(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _host_and_port(url: str, default: int) -> tuple[str, int]:
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.hostname or "localhost", parts.port or default


def _host(url: str) -> str:
    """Return the part of an address that may be shown."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "reason", "") or exc)[:200]
