"""Puts the workers together: the slots of this service and the ComfyUI servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from generation_service.backends.comfyui.addresses import may_be_worker
from generation_service.backends.comfyui.client import ComfyUIWorker
from generation_service.queue.interface import AddressInvalidError
from generation_service.queue.pool import WorkerPool
from generation_service.workers.comfyui import ComfyUIDriver
from generation_service.workers.in_process import InProcessDriver
from generation_service.workers.settings import (
    comfyui_addresses,
    comfyui_deadlines,
    health_limits,
)
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from generation_service.backends.interface import MediaBackend
    from generation_service.queue.drivers import WorkerDriver
    from generation_service.queue.notes import Journal
    from generation_service.workers.settings import WorkerSettings

_MAX_ADDRESS_CHARACTERS = 300


def make_pool(
    settings: WorkerSettings,
    embedded: MediaBackend,
    read_input: Callable[[str], Awaitable[bytes]],
    journal: Journal,
    *,
    others: Sequence[WorkerDriver] = (),
) -> WorkerPool:
    """Make the pool of all workers that the settings name.

    Args:
        settings: Addresses, slots, limits.
        embedded: Makes things within this service.
        read_input: Reads a file of the media store by its hash.
        journal: Keeps what was said about workers by RPC.
        others: Workers of other backends.

    Raises:
        ConfigurationError: An address of the settings is none.
    """
    deadlines = comfyui_deadlines(settings)

    def connect(address: str) -> WorkerDriver:
        url = worker_url(address)
        return ComfyUIDriver(ComfyUIWorker(url), url, read_input, deadlines)

    slots = range(1, settings.worker_slots + 1)
    built_in: list[WorkerDriver] = [
        InProcessDriver(f"{embedded.name}-{number}", embedded) for number in slots
    ]
    try:
        drivers = [connect(address) for address in comfyui_addresses(settings)]
    except AddressInvalidError as exc:
        raise ConfigurationError(f"COMFYUI_WORKERS: {exc.message}") from exc
    return WorkerPool(
        drivers, connect, journal, health_limits(settings), built_in=[*built_in, *others]
    )


def worker_url(address: str) -> str:
    """The address of a worker in one form: with a scheme, without a slash at the end.

    Raises:
        AddressInvalidError: It is no address, or holds a password.
    """
    text = address.strip().rstrip("/")
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        is_one = False
    plain = is_one and not parts.query and not parts.fragment and "@" not in parts.netloc
    if not plain or not text.isprintable() or len(text) > _MAX_ADDRESS_CHARACTERS:
        raise AddressInvalidError("A worker's address looks like http://gpu1:8188.")
    if not may_be_worker(parts.hostname or ""):
        raise AddressInvalidError("No worker may be at a link-local or multicast address.")
    return text


def allowed_classes(chosen: Path | None, models_file: Path) -> frozenset[str] | None:
    """Node classes that a workflow may use; None: all.

    Args:
        chosen: The file of the settings.
        models_file: The file beside which it is looked for otherwise.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    path = chosen or models_file.with_name("node_classes.json")
    if chosen is None and not path.is_file():
        return None
    try:
        groups = json.loads(path.read_text(encoding="utf-8"))["classes"]
        return frozenset(str(name) for names in groups.values() for name in names)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ConfigurationError(f"The list of node classes {path} cannot be read.") from exc
