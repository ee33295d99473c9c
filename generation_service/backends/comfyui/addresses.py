"""At which network addresses a worker may be.

Workers stand in the house's own network, so private addresses are what we expect. But no worker
has a link-local address: there, clouds hand out a machine's credentials to whoever asks. Names are
looked at each time they are resolved, since a name can change its mind.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp.resolver import ThreadedResolver

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver, ResolveResult


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


async def connect_to_worker(url: str, resolver: AbstractResolver) -> socket.socket:
    """Connect to where a worker's name leads now: what was looked at is what is spoken to.

    Args:
        url: The worker's HTTP address.
        resolver: Knows no address at which no worker may be.

    Returns:
        A connection, not blocking; the caller closes it.

    Raises:
        OSError: There is no such host, no worker may be where it is, or nobody is there.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    failure = OSError(None, "The name has no address")
    for place in await resolver.resolve(parts.hostname or "", port, socket.AF_UNSPEC):
        connection = socket.socket(place["family"], socket.SOCK_STREAM)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(connection, (place["host"], place["port"]))
        except OSError as exc:
            connection.close()
            failure = exc
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure
