"""`stellwerk doctor`: what is configured, reachable and missing, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.settings import is_loopback, split_address
from stellwerk_cli.checkup import machine, outside
from stellwerk_cli.checkup.certificates import certificates
from stellwerk_cli.checkup.comfyui import workers_lack
from stellwerk_cli.checkup.deployment import READINESS, Server, deployment, health
from stellwerk_cli.checkup.findings import State, blocking, examine, missing, ok
from stellwerk_cli.commands.up import DEFAULT_DATA
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.readiness import check_serving
from stellwerk_cli.services import HOST, PAGE, SERVICE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stellwerk_cli.checkup.findings import Check, Finding

_COLOURS = {State.OK: "green", State.MISSING: "yellow", State.FAULT: "red"}
_SUBJECT_WIDTH = 13
_STEPS = 4
"""How many steps of a check of a whole deployment follow one after another."""


def doctor(
    data: Annotated[Path, typer.Option(help="The data folder of `up`.")] = DEFAULT_DATA,
    limit: Annotated[
        float, typer.Option(min=0.1, max=300, help="Seconds that one check may take.")
    ] = 10.0,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Look at everything that a deployment needs; exit code 1 if something is wrong.

    On the server's own machine: Python, weights, fonts, configs, disk, ports, key files, database,
    NATS, bucket, collector, models and their servers, certificates, as the settings in the
    environment name them. Of any server: its services and versions, roles, guards, queue, workers
    and what they lack. `missing` is what everything else works without.
    """
    findings = asyncio.run(_look(server, api_key, data, os.environ, limit))
    for finding in findings:
        say(_json(finding) if as_json else _line(finding))
    if not all(finding.fine for finding in findings):
        raise typer.Exit(Exit.FAULTS)


async def _look(
    server: str, api_key: str, data: Path, environment: Mapping[str, str], limit: float
) -> list[Finding]:
    here = _is_here(server)
    asked = Server(server, api_key, here, limit)
    own = examine(_own_checks(server, data, environment) if here else _client_checks(server), limit)
    found, served = await asyncio.gather(
        own, examine({"server": partial(deployment, asked)}, limit * _STEPS)
    )
    return [*found, *served]


def _client_checks(server: str) -> dict[str, Check]:
    """What matters on the machine of somebody who only uses a deployment elsewhere."""
    return {
        "python": blocking(machine.python),
        "certificates": blocking(partial(certificates, {}, server)),
    }


def _own_checks(server: str, data: Path, environment: Mapping[str, str]) -> dict[str, Check]:
    workers = environment.get("COMFYUI_WORKERS", "").replace(";", ",").split(",")
    checks: dict[str, Check] = {
        "python": blocking(machine.python),
        "model": blocking(machine.model),
        "extras": blocking(machine.extras),
        "fonts": blocking(machine.fonts),
        "configs": blocking(machine.configs),
        "disk": blocking(partial(machine.disk, data)),
        "ports": partial(_ports, Server(server, "", True, 0)),
        "keys": blocking(partial(machine.key_files, environment)),
        "certificates": blocking(partial(certificates, environment, server)),
        "database": blocking(partial(outside.database, environment, data)),
        "nats": partial(outside.nats, environment),
        "bucket": blocking(partial(outside.bucket, environment)),
        "traces": partial(outside.collectors, environment),
        "models": blocking(partial(outside.models, environment)),
    }
    if any(workers):
        checks["comfyui"] = partial(workers_lack, workers)
    return checks


async def _ports(server: Server) -> list[Finding]:
    """Look which of our services have their ports, and whether the others are free."""
    base = split_address(server.address)[1]
    places = {name: f"{HOST}:{base + number}" for number, name in enumerate(SERVICE_NAMES)}

    async def answers(name: str) -> bool:
        if name == PAGE:
            return await check_serving(places[name], http=True) is not None
        async with server.channel(places[name]) as channel:
            return (await health(channel, READINESS))[0] is not None

    answered = await asyncio.gather(*map(answers, places))
    serving = [name for name, one in zip(places, answered, strict=True) if one]
    page = f"http://{places[PAGE]}"
    found = await asyncio.to_thread(machine.ports, base, serving)
    if PAGE in serving:
        return [found, ok("web page", f"serves at {page}")]
    return [found, missing("web page", f"nobody answers at {page}", "`stellwerk up` serves it.")]


def _is_here(server: str) -> bool:
    try:
        return is_loopback(server)
    except ValueError:  # a gRPC target such as dns:///orchestrator:50051
        return False


def _json(finding: Finding) -> str:
    return json.dumps({**asdict(finding), "fine": finding.fine}, ensure_ascii=False)


def _line(finding: Finding) -> str:
    mark = typer.style(f"{finding.state.value:<8}", fg=_COLOURS[finding.state])
    line = f"{mark} {finding.subject:<{_SUBJECT_WIDTH}} {finding.words}"
    return f"{line}\n{'':<{10 + _SUBJECT_WIDTH}}{finding.fix}" if finding.fix else line
