"""How a process gets into NATS: where the servers are, who it is, whom it trusts.

The library keeps what is in an address to that address: of the other servers of a cluster, which
it hears of, it would know neither user nor password. So they are taken out and given for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import nats.errors
import structlog
from nats.aio.client import Client

from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pydantic import SecretStr

log = structlog.get_logger(__name__)

LOST = (nats.errors.Error, TimeoutError, OSError)
"""What NATS or its network may fail with; trying again helps unless the settings are wrong."""
_CONNECT_SECONDS = 5
_RECONNECT_SECONDS = 0.25


@dataclass(frozen=True)
class NatsOptions:
    """Where NATS is and how to get in.

    Attributes:
        url: Of the server, or of several with commas between; user and password, or a token, may
            be in the first one.
        prefix: Before all subjects and streams; deployments that share a server differ in it.
        credentials: A credentials file of the account; None: what the URL says.
        authority: Certificate of the authority (PEM) that signed the server's; None: the system's.
        certificate: Own certificate chain (PEM), for servers that ask for one; None: none.
        key: Its private key (PEM).
        tls_first: Speak TLS before the server has said anything.
        replicas: On how many servers of a NATS cluster each document is kept.
        in_memory: Keep documents in the server's memory only; for tests.
    """

    url: SecretStr
    prefix: str = "stellwerk"
    credentials: Path | None = None
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    tls_first: bool = False
    replicas: int = 1
    in_memory: bool = False


@contextlib.asynccontextmanager
async def connected(
    options: NatsOptions, *, connect_seconds: float, turned_out: Callable[[], None]
) -> AsyncIterator[Client]:
    """Connect, and stay connected: servers that restart are found again.

    Args:
        options: Where and how.
        connect_seconds: How long a server may take to let us in at the start.
        turned_out: Called when a server ends a connection for good, such as for a password that is
            no longer right: this client will not come back.

    Raises:
        ConfigurationError: No server was there by then, or none let us in.
    """
    client = Client()
    watcher = _Watcher(client, options, turned_out)
    connecting = asyncio.create_task(_connect(client, options, watcher))
    refused = asyncio.create_task(watcher.refused.wait())
    try:
        await asyncio.wait(
            {connecting, refused}, timeout=connect_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if not connecting.done():
            raise ConfigurationError(
                watcher.refusal
                or f"No NATS server answered within {connect_seconds:.0f} s. Is "
                "GENERATION_NATS_URL right?"
            )
        connecting.result()
    finally:
        for task in (connecting, refused):
            task.cancel()
        await asyncio.gather(connecting, refused, return_exceptions=True)
    try:
        yield client
    finally:
        watcher.leaving = True
        with contextlib.suppress(*LOST):
            await client.close()


class _Watcher:
    """Hears what becomes of a connection.

    Attributes:
        tls: How TLS is spoken; None: as the library would, if a server asks for it.
        refusal: Why a server or we ourselves would not have the connection; empty: nobody said so.
        refused: Set when that is known.
        leaving: It is we who end it.
    """

    def __init__(
        self, client: Client, options: NatsOptions, turned_out: Callable[[], None]
    ) -> None:
        self.tls = _tls(options)
        self.refusal = ""
        self.refused = asyncio.Event()
        self.leaving = False
        self._client = client
        self._options = options
        self._turned_out = turned_out
        self._said = ""

    async def error(self, error: Exception) -> None:
        """Tell of each trouble once, however often it is met again."""
        self.refusal = _refusal(error) or self.refusal
        if self.refusal:
            self.refused.set()
        said = self.refusal or str(error) or type(error).__name__
        if said != self._said:
            log.warning("nats_error", error=said)
        self._said = said

    async def disconnected(self) -> None:
        """Take the certificate of today along to the next connection."""
        log.warning("nats_disconnected")
        if self.tls is not None:
            try:
                _load(self.tls, self._options)
            except ConfigurationError as exc:
                log.warning("nats_certificate_unusable", hint=str(exc))

    async def reconnected(self) -> None:
        """Say that all is well."""
        self._said = self.refusal = ""
        log.info("nats_reconnected")

    async def closed(self) -> None:
        """Tell an end that the server wanted from one that we wanted."""
        if not self.leaving:
            log.error("nats_turned_us_out", error=str(self._client.last_error))
            self._turned_out()


async def _connect(client: Client, options: NatsOptions, watcher: _Watcher) -> None:
    servers, user, password = _addresses(options.url.get_secret_value())
    while True:
        try:
            await client.connect(
                servers=servers,
                name="stellwerk-generation",
                user=user if password else None,
                password=password or None,
                token=user if user and not password else None,
                error_cb=watcher.error,
                disconnected_cb=watcher.disconnected,
                reconnected_cb=watcher.reconnected,
                closed_cb=watcher.closed,
                connect_timeout=_CONNECT_SECONDS,
                reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]  # int by name only
                max_reconnect_attempts=-1,
                tls=watcher.tls,
                tls_handshake_first=options.tls_first,
                user_credentials=str(options.credentials) if options.credentials else None,
            )
        except LOST:
            await asyncio.sleep(_RECONNECT_SECONDS)
        else:
            return


def _addresses(urls: str) -> tuple[list[str], str, str]:
    """Take user and password, or a token, out of addresses."""
    bare, user, password = [], "", ""
    for url in (part.strip() for part in urls.split(",")):
        scheme, there, rest = url.rpartition("://")
        parts = urlsplit(url if there else f"nats://{url}")
        user = user or unquote(parts.username or "")
        password = password or unquote(parts.password or "")
        bare.append(f"{scheme or 'nats'}://{rest.rpartition('@')[2]}")
    return bare, user, password


def _tls(options: NatsOptions) -> ssl.SSLContext | None:
    if options.authority is None and options.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.authority is None:
        context.load_default_certs()
    _load(context, options)
    return context


def _load(context: ssl.SSLContext, options: NatsOptions) -> None:
    try:
        if options.authority is not None:
            context.load_verify_locations(cafile=options.authority)
        if options.certificate is not None:
            context.load_cert_chain(options.certificate, options.key)
    except OSError as exc:  # ssl.SSLError is one
        raise ConfigurationError(
            "GENERATION_NATS_AUTHORITY, GENERATION_NATS_CERTIFICATE or GENERATION_NATS_KEY cannot "
            "be used: each must be a readable PEM file, and the key must fit the certificate."
        ) from exc


def _refusal(error: Exception) -> str:
    """Say what to look at when one side refuses the other; empty: nobody was there, or the like."""
    if isinstance(error, ssl.SSLError):
        return (
            f"The NATS server and this service do not trust each other ({error.reason}). Look at "
            "GENERATION_NATS_AUTHORITY, and where the server asks for a certificate at "
            "GENERATION_NATS_CERTIFICATE and GENERATION_NATS_KEY."
        )
    if "authorization" in str(error).lower():
        return (
            "The NATS server does not let this service in. Look at user and password in "
            "GENERATION_NATS_URL, or at GENERATION_NATS_CREDENTIALS."
        )
    return ""
