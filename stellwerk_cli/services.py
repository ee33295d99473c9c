"""What the services are called, where they listen and what `up` tells each of them.

One place, because the supervisor, `doctor` and `demo` must agree on names, ports and folders.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.configs.folders import schema_dir, shipped_configs_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST = "127.0.0.1"
DEFAULT_BASE_PORT = 50051
LAST_PORT = 65535

_MODULES = {
    "orchestrator": "orchestrator",
    "safety": "safety_service",
    "generation": "generation_service",
    "tracker": "tracker_service",
    "gateway": "gateway",
}
SERVICE_NAMES = tuple(_MODULES)
"""The services in the order of their ports."""

PAGE = "gateway"
"""The one that browsers speak to: it serves HTTP, the others gRPC."""

AUDIT_NAME = "audit.jsonl"
"""The file in the data folder to which all services append administrative acts."""

STOP_ORDER = ((PAGE,), ("orchestrator",), ("safety", "generation"), ("tracker",))
"""Who is stopped after whom: nobody loses a service that it still needs."""


@dataclass(frozen=True)
class ServiceSpec:
    """One service as the supervisor starts it.

    Attributes:
        name: Its short name, such as `tracker`.
        address: Where it will listen, `host:port`.
        command: The program and its arguments.
        environment: Its whole environment.
        log_path: The file that takes what it prints.
        stop_seconds: How long it may take to drain before it is killed.
        http: Whether it serves HTTP instead of gRPC.
    """

    name: str
    address: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log_path: Path
    stop_seconds: float
    http: bool = False


def describe_services(
    data: Path,
    ports: Sequence[int],
    user_environment: Mapping[str, str],
    *,
    api_keys: Path | None = None,
    oidc: Path | None = None,
) -> tuple[ServiceSpec, ...]:
    """Say how each service is started.

    Args:
        data: The data folder, absolute.
        ports: Ports, in the order of `SERVICE_NAMES`.
        user_environment: Settings of the user. They pass through, but addresses and data folders
            are ours, since `--data` and `--base-port` name them.
        api_keys: File of hashed API keys; None: there are none.
        oidc: File that says whose tokens count; None: nobody's. Without either of the two every
            caller on this machine is admin.

    Returns:
        The services in the order of `SERVICE_NAMES`.
    """
    addresses = {name: f"{HOST}:{port}" for name, port in zip(SERVICE_NAMES, ports, strict=True)}
    settings = {
        **_addresses(addresses),
        **_credentials({"API_KEYS_FILE": api_keys, "OIDC_FILE": oidc}),
        **_folder_settings(data),
    }
    environment = {**_defaults(), **user_environment, **settings}
    return tuple(_spec(name, addresses[name], environment, data) for name in SERVICE_NAMES)


def _spec(name: str, address: str, environment: Mapping[str, str], data: Path) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        address=address,
        # -P: a folder called `orchestrator` where the user happens to stand must not be imported.
        command=(sys.executable, "-P", "-m", _MODULES[name]),
        environment=environment,
        log_path=data / "logs" / f"{name}.log",
        stop_seconds=_stop_seconds(name, environment),
        http=name == PAGE,
    )


def _addresses(addresses: Mapping[str, str]) -> dict[str, str]:
    settings = {f"{name.upper()}_LISTEN_ADDRESS": address for name, address in addresses.items()}
    # Every service is told every neighbour; one that needs none ignores it.
    for name in SERVICE_NAMES:
        for neighbour, address in addresses.items():
            if neighbour != name:
                settings[f"{name.upper()}_{neighbour.upper()}_ADDRESS"] = address
    return settings


def _credentials(files: Mapping[str, Path | None]) -> dict[str, str]:
    """Tell every service by what callers are known, and all of them one secret of their own."""
    named = {setting: str(path) for setting, path in files.items() if path is not None}
    if named:
        named["SERVICE_KEY"] = secrets.token_urlsafe(32)
    return {
        f"{name.upper()}_{setting}": value
        for name in SERVICE_NAMES
        for setting, value in named.items()
    }


def _folder_settings(data: Path) -> dict[str, str]:
    return {
        "ORCHESTRATOR_SPOOL_DIR": str(data / "spool"),
        "ORCHESTRATOR_IMPORTED_CONFIGS_DIR": str(data / "imported-configs"),
        "GENERATION_DATA_DIR": str(data),
        "TRACKER_DATA_DIR": str(data),
        "GATEWAY_COOKIE_SECRET_FILE": str(data / "gateway.secret"),
        **{f"{name.upper()}_AUDIT_FILE": str(data / AUDIT_NAME) for name in SERVICE_NAMES},
    }


def models_file(environment: Mapping[str, str]) -> Path:
    """Return the file of models: the one that is set, else the one beside the configs in use."""
    if told := environment.get("GENERATION_MODELS_FILE"):
        return Path(told)
    beside = shipped_configs_dir() / "models.json"
    # A folder of one's own configs need not repeat the models.
    return beside if beside.is_file() else schema_dir().parent / "models.json"


def _defaults() -> dict[str, str]:
    """What the user may override."""
    own = {"GENERATION_MODELS_FILE": str(models_file({})), "PYTHONUNBUFFERED": "1"}
    classes = shipped_configs_dir() / "node_classes.json"
    # What the orchestrator allows in a folder of one's own, the generation service does, too.
    return own | ({"GENERATION_NODE_CLASSES_FILE": str(classes)} if classes.is_file() else {})


def _stop_seconds(name: str, environment: Mapping[str, str]) -> float:
    """Drain and grace as the service reads them, and some time to close its files."""
    prefix = name.upper()
    drain = _number(environment.get(f"{prefix}_DRAIN_SECONDS"), 0.0)
    grace = _number(environment.get(f"{prefix}_GRACE_SECONDS"), 10.0)
    return drain + grace + 5.0


def _number(text: str | None, otherwise: float) -> float:
    try:
        return otherwise if text is None else float(text)
    except ValueError:  # the service itself will say so, and better
        return otherwise
