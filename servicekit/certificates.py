"""Certificates from files, taken up again when they change: who we are, and whom we trust.

A certificate lasts for weeks or hours, a service for months. Whoever renews the files (an operator,
cert-manager, a cron job) writes them one after the other, so a change counts only once key and
certificate belong together; until then what was there before stays in force.
"""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import grpc
import structlog

from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servicekit.settings import ServiceSettings

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often the files are looked at, at most: whenever a call or a connection needs them."""

_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Material:
    """What was in the files, as PEM.

    Attributes:
        ca: Certificates of the authorities whose word counts.
        certificate: Our own chain; empty: we have none and show none.
        key: The private key of it.
    """

    ca: bytes
    certificate: bytes = b""
    key: bytes = b""


class Certificates:
    """The files, and what is in force. May be asked from any thread."""

    def __init__(
        self,
        ca: Path,
        certificate: Path | None = None,
        key: Path | None = None,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Read the files.

        Args:
            ca: Certificates of the authorities whose word counts.
            certificate: Our own chain, first our own; None: we only check others.
            key: The private key of it.
            look_seconds: How often the files are looked at, at most.

        Raises:
            ConfigurationError: A file is missing or faulty, or they do not belong together.
        """
        self._look_seconds = look_seconds
        self._files = (ca,) if certificate is None or key is None else (ca, certificate, key)
        self._lock = threading.Lock()
        self._next_look = time.monotonic() + self._look_seconds
        self._stamp = self._current_stamp()
        try:
            self._material = self._read()
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"TLS files: {exc}") from exc

    @classmethod
    def of_service(cls, settings: ServiceSettings) -> Certificates | None:
        """Return the certificates that `settings` name; None: there is no TLS.

        Raises:
            ConfigurationError: A file is missing or faulty, or they do not belong together.
        """
        if settings.tls_ca_file is None:
            return None
        return cls(settings.tls_ca_file, settings.tls_certificate_file, settings.tls_key_file)

    def current(self) -> Material:
        """Return what is in force; the same object until it changes."""
        if time.monotonic() < self._next_look:
            return self._material
        with self._lock:
            stamp = self._current_stamp()
            if stamp != self._stamp:
                self._take_up(stamp)
            self._next_look = time.monotonic() + self._look_seconds
            return self._material

    def _take_up(self, stamp: _Stamp) -> None:
        try:
            material = self._read()
        except (OSError, ValueError) as exc:
            log.warning("certificates_not_reloaded", fault=str(exc))
        else:
            if stamp != self._current_stamp():  # they are being written: look again
                return
            self._material = material
            log.info("certificates_reloaded")
        self._stamp = stamp

    def _current_stamp(self) -> _Stamp:
        return tuple(_stamp(path) for path in self._files)

    def _read(self) -> Material:
        """Read and check all files.

        Raises:
            OSError: A file is missing, faulty, or key and certificate do not belong together
                (an `ssl.SSLError` is one).
            ValueError: A file is no PEM at all.
        """
        material = Material(*(path.read_bytes() for path in self._files))
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ca, *own = self._files
        try:
            trial.load_verify_locations(cadata=material.ca.decode("ascii"))
            if own:
                trial.load_cert_chain(str(own[0]), str(own[1]))
        except ssl.SSLError as exc:
            raise ValueError(f"{', '.join(map(str, own or (ca,)))}: {exc.reason or exc}") from exc
        return material


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Return with what a channel shows who we are and checks who answers."""
    return grpc.ssl_channel_credentials(
        material.ca, material.key or None, material.certificate or None
    )


def server_credentials(
    certificates: Certificates, *, require_certificate: bool
) -> grpc.ServerCredentials:
    """Return with what a port shows who we are, each connection by the files as they are then.

    Args:
        certificates: Our own.
        require_certificate: Whether whoever connects needs a certificate of our authorities.
    """
    given = certificates.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        current = certificates.current()
        if current is given:
            return None
        given = current
        return _configuration(current)

    credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        # None is "no change", as gRPC documents and its types forget.
        _configuration(given),
        cast("Callable[[], grpc.ServerCertificateConfiguration]", changed),
        require_certificate,
    )
    return credentials


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    pair = (material.key, material.certificate)
    return grpc.ssl_server_certificate_configuration([pair], material.ca)
