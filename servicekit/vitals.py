"""What every process tells about itself, whatever it serves."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from servicekit.metrics import BUILD_INFO, CERTIFICATE_EXPIRY, FREE_BYTES
from servicekit.version import software_version

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from servicekit.metrics import Meter
    from servicekit.settings import ServiceSettings


def tell_vitals(meter: Meter, settings: ServiceSettings) -> None:
    """Let `meter` say which service this is, and until when its certificate lasts."""
    who = (settings.short_name, software_version())
    meter.read(BUILD_INFO, lambda: {who: 1})
    file = settings.tls_certificate_file
    if file is not None:
        meter.read(CERTIFICATE_EXPIRY, lambda: expiry_of(file).timestamp())


def tell_free_bytes(meter: Meter, folder: Path) -> None:
    """Let `meter` say how much room is left where a service keeps its data."""
    meter.read(FREE_BYTES, lambda: shutil.disk_usage(folder).free)


def expiry_of(certificate: Path) -> datetime:
    """Return until when a certificate lasts, the first one of a PEM file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none.
    """
    from cryptography import x509  # slow to import, and needed with TLS only

    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
