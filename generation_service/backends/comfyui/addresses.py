"""At which network addresses a worker may be.

Workers stand in the house's own network, so private addresses are what we expect. But no worker
has a link-local address: there, clouds hand out a machine's credentials to whoever asks. Names are
looked at each time they are resolved, since a name can change its mind.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp.resolver import ThreadedResolver

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult


def may_be_worker(host: str) -> bool:
    """Tell whether a worker may be at `host`; a name may, until it is resolved."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


class WorkerResolver(ThreadedResolver):
    """The system's resolver, without the addresses at which no worker may be."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AddressFamily.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name.

        Raises:
            OSError: It has no address, or none at which a worker may be.
        """
        found = await super().resolve(host, port, family)
        allowed = [one for one in found if may_be_worker(one["host"])]
        if not allowed:
            raise OSError(None, "No worker may be at this address")
        return allowed


async def check_worker_url(url: str) -> None:
    """Look where a worker's address leads, for connections that do not resolve it by the above.

    Raises:
        OSError: There is no such host, or no worker may be where it is.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    await WorkerResolver().resolve(parts.hostname or "", port, socket.AddressFamily.AF_UNSPEC)
