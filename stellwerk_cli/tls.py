"""Speaking TLS with a deployment: said once before the command, or by a variable, for all of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from servicekit.settings import ConfigurationError
from stellwerk_cli.console import complain
from stellwerk_cli.exits import Exit
from stellwerk_client.connections import TLS_CA_VARIABLE, trusted_authorities

TlsCaOption = Annotated[
    Path | None,
    typer.Option(
        envvar=TLS_CA_VARIABLE,
        exists=True,
        dir_okay=False,
        help="Speak TLS with servers: file of the authorities (PEM) that vouch for them.",
    ),
]


def speak_tls(tls_ca: Path | None) -> None:
    """Let every client of this command trust `tls_ca`; None changes nothing.

    Raises:
        typer.Exit: The file holds no certificates.
    """
    if tls_ca is None:
        return
    try:
        trusted_authorities(tls_ca)
    except ConfigurationError as exc:
        complain(str(exc))
        raise typer.Exit(Exit.USAGE) from exc
    os.environ[TLS_CA_VARIABLE] = str(tls_ca)  # where clients look
