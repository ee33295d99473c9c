"""The certificate under which media are marked: the deployment's, or one made here once.

C2PA asks for a certificate that an authority has issued, not for one that vouches for itself. So a
self-made one comes with an authority of its own, whose key is thrown away at once: nothing else
can ever be signed with it. Whoever is given `authority.pem` can check that a file came from here;
to everybody else the signer is unknown, though any change of the file still shows.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servicekit.settings import ConfigurationError

AUTHORITY, CHAIN, KEY = "authority.pem", "certificate.pem", "key.pem"
_LIFE = timedelta(days=25 * 365)
_CLOCKS_DIFFER = timedelta(days=1)
_MAX_NAME_CHARACTERS = 64  # X.520, upper bound of a common name
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Credentials:
    """What signs.

    Attributes:
        algorithm: C2PA's name of it, such as `es256`.
        chain: Certificates in PEM, the signing one first.
        key: Private key in PEM.
    """

    algorithm: str
    chain: bytes
    key: bytes = field(repr=False)


def read_credentials(certificate: Path, key: Path) -> Credentials:
    """Read a certificate chain and its key from PEM files.

    Raises:
        ConfigurationError: They cannot be read, do not belong together or have run out.
    """
    try:
        chain, secret = certificate.read_bytes(), key.read_bytes()
        signing = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(secret, password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise ConfigurationError(
            f"The certificate for marking media cannot be read: {certificate} and {key} must be "
            "PEM files, the key without a password."
        ) from exc
    if private.public_key() != signing.public_key():
        raise ConfigurationError(f"{key} is not the key of the certificate {certificate}.")
    if not signing.not_valid_before_utc <= datetime.now(UTC) <= signing.not_valid_after_utc:
        raise ConfigurationError(f"The certificate {certificate} is not valid today.")
    return Credentials(_algorithm(private), chain, secret)


def self_made_credentials(folder: Path, name: str) -> Credentials:
    """Read the certificate in `folder`; make it when there is none.

    Args:
        folder: Holds `certificate.pem`, `key.pem` and the `authority.pem` that others may trust.
        name: Who marks, for people: a school, a museum.

    Raises:
        ConfigurationError: What is there cannot be used, or the folder cannot be written.
    """
    if not folder.exists():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".marking-"))
            _write(beside, name[:_MAX_NAME_CHARACTERS])
            _move(beside, folder)
        except OSError as exc:
            raise ConfigurationError(f"The folder {folder} cannot be made: {exc}.") from exc
    return read_credentials(folder / CHAIN, folder / KEY)


def _move(beside: Path, folder: Path) -> None:
    """Rename into place; if another process was faster, its certificate counts."""
    try:
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside)
        if not folder.exists():
            raise


def _write(folder: Path, name: str) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(
        f"{name} (authority)"[:_MAX_NAME_CHARACTERS], name, None, authority_key
    )
    signing = _certificate(name, name, authority, authority_key, key.public_key())
    pem = serialization.Encoding.PEM
    (folder / AUTHORITY).write_bytes(authority.public_bytes(pem))
    (folder / CHAIN).write_bytes(signing.public_bytes(pem) + authority.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(folder / KEY, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(secret)


def _certificate(
    common_name: str,
    organisation: str,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey | None = None,
) -> x509.Certificate:
    """An authority's certificate of itself, or what C2PA 2.x (15.5) wants of a signing one."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    is_authority = public_key is None
    subject_key = public_key or issuer_key.public_key()
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(subject_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), True)
        .add_extension(_usage(signs_certificates=is_authority), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )
    if not is_authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _algorithm(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise ConfigurationError(
        "The key for marking media must be of P-256, P-384, P-521, Ed25519 or RSA."
    )
