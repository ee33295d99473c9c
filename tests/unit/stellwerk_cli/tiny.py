"""Tiny services as the supervisor starts them; see `tiny_service.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stellwerk_cli.ports import free_ports
from stellwerk_cli.services import SERVICE_NAMES, ServiceSpec

TINY_SERVICE = Path(__file__).with_name("tiny_service.py")


def specs_in(data: Path, **environment: str) -> tuple[ServiceSpec, ...]:
    """Describe one for each of ours; all speak gRPC."""
    ports = free_ports(len(SERVICE_NAMES))
    return tuple(
        ServiceSpec(
            name=name,
            address=f"127.0.0.1:{port}",
            command=(sys.executable, str(TINY_SERVICE)),
            environment={
                **os.environ,
                "TINY_LISTEN_ADDRESS": f"127.0.0.1:{port}",
                **environment,
            },
            log_path=data / "logs" / f"{name}.log",
            stop_seconds=10.0,
        )
        for name, port in zip(SERVICE_NAMES, ports, strict=True)
    )
