"""Puts the workers together: the slots of this service and the ComfyUI servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from generation_service.backends.comfyui.addresses import may_be_worker
from generation_service.backends.comfyui.client import ComfyUIWorker
from generation_service.queue.interface import AddressInvalidError
from generation_service.workers.comfyui import ComfyUIDriver
from generation_service.workers.in_process import InProcessDriver
from generation_service.workers.settings import (
    comfyui_addresses,
    comfyui_deadlines,
)
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from generation_service.backends.interface import MediaBackend
    from generation_service.queue.drivers import WorkerDriver
    from generation_service.workers.settings import WorkerSettings

_MAX_ADDRESS_CHARACTERS = 300


@dataclass(frozen=True)
class Crew:
    """The workers of a process, before anybody looks after them.

    Attributes:
        drivers: Those that the settings name by their addresses.
        built_in: Those that are part of the process.
        connect: Makes a worker from an address. Raises AddressInvalidError.
    """

    drivers: Sequence[WorkerDriver]
    built_in: Sequence[WorkerDriver]
    connect: Callable[[str], WorkerDriver]


def _nowhere(address: str) -> WorkerDriver:
    raise AddressInvalidError("This process has no workers.")


NO_CREW = Crew((), (), _nowhere)
"""Of a process without workers."""


def make_crew(
    settings: WorkerSettings,
    embedded: MediaBackend,
    read_input: Callable[[str], Awaitable[bytes]],
    *,
    host: str = "",
    others: Sequence[WorkerDriver] = (),
) -> Crew:
    """Make all workers that the settings name.

    Args:
        settings: Addresses, slots, limits.
        embedded: Makes things within this service.
        read_input: Reads a file of the media store by its hash.
        host: Name of this process, where there are others with workers.
        others: Workers of other backends.

    Raises:
        ConfigurationError: An address of the settings is none.
    """
    deadlines = comfyui_deadlines(settings)

    def connect(address: str) -> WorkerDriver:
        url = worker_url(address)
        worker = ComfyUIWorker(url, name=worker_name(url))
        return ComfyUIDriver(worker, url, read_input, deadlines)

    slots = range(1, settings.worker_slots + 1)
    after = f"@{host}" if host else ""
    built_in: list[WorkerDriver] = [
        InProcessDriver(f"{embedded.name}-{number}{after}", embedded) for number in slots
    ]
    try:
        drivers = [connect(address) for address in comfyui_addresses(settings)]
    except AddressInvalidError as exc:
        raise ConfigurationError(f"COMFYUI_WORKERS: {exc.message}") from exc
    return Crew(drivers, [*built_in, *others], connect)


def identify(address: str) -> tuple[str, str]:
    """The backend and the name of the worker at an address that people add.

    Raises:
        AddressInvalidError: The address is none.
    """
    return ComfyUIDriver.backend, worker_name(worker_url(address))


def worker_name(url: str) -> str:
    """What the worker at an address is called: host and port."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.netloc


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
