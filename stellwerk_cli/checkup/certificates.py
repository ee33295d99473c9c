"""How long certificates last: those of services here by their files, a server's by asking it."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from servicekit.settings import split_address
from stellwerk_cli.checkup.findings import Finding, fault, missing, ok
from stellwerk_client.connections import TLS_CA_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_DAYS = 3.0
_CONNECT_SECONDS = 3.0
_DAY = 86_400.0


def certificates(environment: Mapping[str, str], server: str) -> list[Finding]:
    """Look at every certificate that is in use.

    Args:
        environment: Names the files of the services here.
        server: The orchestrator, which shows its own where TLS is spoken.
    """
    files = {value for name, value in environment.items() if name.endswith("_TLS_CERTIFICATE_FILE")}
    found = [_file(Path(path)) for path in sorted(files - {""})]
    if authorities := os.environ.get(TLS_CA_VARIABLE, ""):
        found.append(_shown(server, authorities))
    return found or [
        missing("certificates", "no TLS is set up here; on one machine none is needed")
    ]


def _file(path: Path) -> Finding:
    from servicekit.vitals import expiry_of

    try:
        expiry = expiry_of(path).timestamp()
    except (OSError, ValueError) as exc:
        fix = "Write a certificate (PEM) there; services take it up without a restart."
        return fault("certificates", f"{path} cannot be read ({exc})", fix)
    return _judged(str(path), expiry)


def _shown(server: str, authorities: str) -> Finding:
    try:
        host, port = split_address(server)
        context = ssl.create_default_context(cafile=authorities)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            shown = wrapped.getpeercert() or {}
    except (OSError, ValueError) as exc:
        fix = f"Check {TLS_CA_VARIABLE}, and whether the server speaks TLS under this name."
        return fault("certificates", f"{server}: {exc}"[:300], fix)
    return _judged(server, ssl.cert_time_to_seconds(str(shown.get("notAfter"))))


def _judged(name: str, expiry: float) -> Finding:
    days = (expiry - time.time()) / _DAY
    if days < 0:
        words = f"{name}: expired {-days:.0f} days ago"
        return fault("certificates", words, "Renew it now: no neighbour speaks to this one.")
    if days < LEAST_DAYS:
        return fault("certificates", f"{name}: lasts {days:.1f} more days", "Renew it.")
    return ok("certificates", f"{name}: lasts {days:.0f} more days")
