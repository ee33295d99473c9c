"""A certificate authority for tests: makes and renews the files that services read."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HERE = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
"""Where the servers of the tests listen."""


@dataclass(frozen=True)
class TlsFiles:
    """The three files of one service."""

    ca: Path
    certificate: Path
    key: Path

    def settings(self) -> dict[str, Any]:
        """Return them as settings name them."""
        return {
            "tls_ca_file": self.ca,
            "tls_certificate_file": self.certificate,
            "tls_key_file": self.key,
        }


class Authority:
    """Signs certificates."""

    def __init__(self, name: str = "a school") -> None:
        """Make its own."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(
        self, folder: Path, name: str, *, alternative: bool = True, others: Sequence[str] = ()
    ) -> TlsFiles:
        """Write a new certificate for `name` into `folder`, over the one that was there.

        Args:
            folder: Where the three files are.
            name: Whose it is.
            alternative: Name it and this machine as alternative names; else as the common name
                alone.
            others: Further alternative names.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = TlsFiles(folder / "ca.pem", folder / "tls.pem", folder / "tls.key")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(_name(name), self._name, key.public_key())
        if alternative:
            names = x509.SubjectAlternativeName(
                [*(x509.DNSName(one) for one in (name, *others)), *HERE]
            )
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        files.ca.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        files.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def serial_number(certificate: bytes) -> int:
    """Return the serial number of a PEM certificate."""
    return x509.load_pem_x509_certificate(certificate).serial_number
