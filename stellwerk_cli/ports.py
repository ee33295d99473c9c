"""Find out whether ports can be used before services fail on them one after another."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from stellwerk_cli.services import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence


def faulty_ports(ports: Sequence[int]) -> dict[int, str]:
    """Return those of `ports` that cannot be listened on, with the system's reason."""
    faults = {}
    for port in ports:
        with socket.socket() as probe:
            # As the services do: connections that were just closed do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as exc:
                faults[port] = (exc.strerror or str(exc)).lower()
    return faults


def free_ports(count: int) -> tuple[int, ...]:
    """Return different ports that are free now; somebody else may still be quicker."""
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((HOST, 0))
        return tuple(probe.getsockname()[1] for probe in sockets)
