"""The doors of a service: one for neighbours; with TLS one more for people's tools, one for probes.

gRPC either demands a certificate of everybody who connects to a port or of nobody, so those who
have none get a port of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.certificates import Certificates, server_credentials
from servicekit.settings import ConfigurationError, split_address

if TYPE_CHECKING:
    import grpc

    from servicekit.settings import ServiceSettings


@dataclass(frozen=True)
class Ports:
    """Where a service listens, each `host:port` to open a channel to.

    Attributes:
        address: For neighbours, and without TLS for everybody.
        callers_address: For callers without a certificate; empty: there is none.
        probe_address: For health checks without TLS; empty: there is none.
    """

    address: str
    callers_address: str = ""
    probe_address: str = ""

    @property
    def port(self) -> int:
        """The port for neighbours."""
        return split_address(self.address)[1]


def open_ports(server: grpc.aio.Server, settings: ServiceSettings) -> Ports:
    """Open what the settings ask for.

    Raises:
        ConfigurationError: A port is taken, or the TLS files are faulty.
    """
    certificates = Certificates.of_service(settings)
    if certificates is None:
        return Ports(_open(server, settings.listen_address))
    neighbours = server_credentials(certificates, require_certificate=True)
    people = server_credentials(certificates, require_certificate=False)
    return Ports(
        address=_open(server, settings.listen_address, neighbours),
        callers_address=_open(server, settings.callers_address, people),
        probe_address=_open(server, settings.probe_address),
    )


def _open(
    server: grpc.aio.Server, address: str | None, credentials: grpc.ServerCredentials | None = None
) -> str:
    if address is None:
        return ""
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as exc:
        raise ConfigurationError(
            f"Cannot listen on {address}: the port is in use, or the address is not this machine's."
        ) from exc
    host = split_address(address)[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
