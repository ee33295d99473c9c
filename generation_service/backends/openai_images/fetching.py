"""Fetching a picture from an address that somebody else wrote.

An answer may name any address, also one inside our own network. So only the service's own origin
and hosts that the operator allowed are asked; their names are resolved here, every address found
must be a public one, and the connection goes to exactly that address, so that a name cannot change
its mind in between. The service's key is never sent along, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, TypeAlias

import httpx

from generation_service.backends.openai_images.options import (
    AnswerInvalidError,
    PictureAddressRefusedError,
    ServiceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from generation_service.backends.openai_images.options import ImageServiceOptions

Resolve: TypeAlias = "Callable[[str, int], Awaitable[list[str]]]"
"""Gives the addresses of a host for a port; raises OSError when there are none."""

_HTTPS_PORT = 443
_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")


async def resolve_host(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PictureFetcher:
    """Fetches pictures for one service."""

    def __init__(
        self,
        options: ImageServiceOptions,
        *,
        resolve: Resolve = resolve_host,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open a pool without any key in it; closed by `close`.

        Args:
            options: The service, its allowed hosts and limits.
            resolve: How names become addresses.
            transport: Another way to the addresses; None: the network.
        """
        self._options = options
        self._origin = _origin(httpx.URL(options.base_url))
        self._resolve = resolve
        # No proxies and .netrc of the environment: they could lead elsewhere or add a password.
        self._client = httpx.AsyncClient(
            headers={"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "stellwerk"},
            timeout=httpx.Timeout(options.total_seconds, connect=options.connect_seconds),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def fetch(self, address: str) -> bytes:
        """Fetch one picture.

        Raises:
            PictureAddressRefusedError: We do not fetch from there.
            AnswerInvalidError: It is no picture, too large, or elsewhere by now.
            ServiceUnavailableError: There was no answer.
        """
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as exc:
            raise PictureAddressRefusedError from exc
        request = await self._request(url)
        try:
            response = await self._client.send(request, stream=True)
            try:
                return await self._read(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as exc:
            raise ServiceUnavailableError("The picture could not be fetched.") from exc

    async def _request(self, url: httpx.URL) -> httpx.Request:
        if url.userinfo:
            raise PictureAddressRefusedError
        if _origin(url) == self._origin:  # whoever set the base URL has chosen this address
            return self._client.build_request("GET", url)
        if not self._is_allowed(url):
            raise PictureAddressRefusedError
        port = url.port or _HTTPS_PORT
        return self._client.build_request(
            "GET",
            url.copy_with(host=await self._public_address(url.host, port)),
            headers={"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        )

    def _is_allowed(self, url: httpx.URL) -> bool:
        if url.scheme != "https" or (url.port or _HTTPS_PORT) != _HTTPS_PORT:
            return False
        host = url.host.lower().rstrip(".")
        allowed = (self._origin[1], *(name.lower() for name in self._options.download_hosts))
        return any(
            host.endswith(name) if name.startswith(".") else host == name for name in allowed
        )

    async def _public_address(self, host: str, port: int) -> str:
        try:
            found = await self._resolve(host, port)
        except OSError as exc:
            raise ServiceUnavailableError("The picture's host was not found.") from exc
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        if not addresses or not all(map(_is_public, addresses)):
            raise PictureAddressRefusedError
        return str(addresses[0])

    async def _read(self, response: httpx.Response) -> bytes:
        if response.status_code != httpx.codes.OK:
            raise AnswerInvalidError("The picture is not where the picture service said.")
        kind = response.headers.get("Content-Type", "image/").lower()
        if not kind.startswith(_TYPES):
            raise AnswerInvalidError("What the picture service pointed to is no picture.")
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._options.max_picture_bytes:
                raise AnswerInvalidError("The picture is too large.")
            pieces.append(piece)
        return b"".join(pieces)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    default = _HTTPS_PORT if url.scheme == "https" else 80
    return url.scheme, url.host.lower().rstrip("."), url.port or default


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None and not _is_public(inner):
            return False
    return address.is_global and not address.is_multicast
