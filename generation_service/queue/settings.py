"""Settings about where the queue is and what this process does for it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from servicekit.settings import ServiceSettings


class QueueSettings(ServiceSettings):
    """What a process can be told about its part in the queue."""

    queue: Literal["local", "jetstream"] = Field(
        "local",
        description="The queue of jobs: in this process, with a journal in `DATA_DIR`, or in a "
        "NATS server for several replicas and workers anywhere (extra `nats`).",
    )
    role: Literal["all", "api", "worker"] = Field(
        "all",
        description="What this process does: take calls and have workers, take calls only, or have "
        "workers only. Other than `all` needs `GENERATION_QUEUE=jetstream`.",
    )
    nats_url: SecretStr = Field(
        SecretStr("nats://127.0.0.1:4222"),
        description="NATS server with JetStream, `nats://nats:4222` or `tls://…`; several with "
        "commas between. The first may hold user and password, or a token, for all of them.",
    )
    nats_prefix: str = Field(
        "stellwerk",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="Before all subjects and streams; deployments that share a server differ in "
        "it. The streams are `<PREFIX>_JOBS` and `<PREFIX>_LEASES`.",
    )
    nats_credentials: Path | None = Field(
        None, description="Credentials file (JWT and key) of the NATS account."
    )
    nats_authority: Path | None = Field(
        None, description="Certificate (PEM) of the authority that signed the NATS server's."
    )
    nats_certificate: Path | None = Field(
        None,
        description="Own certificate chain (PEM), for NATS servers that ask for one. Read again "
        "whenever the connection is made anew.",
    )
    nats_key: Path | None = Field(None, description="The private key (PEM) of it.")
    nats_tls_first: bool = Field(
        False,
        description="Speak TLS with NATS before it has said anything, so that nobody on the way "
        "can talk us out of it. Needs `handshake_first` in the server's `tls`.",
    )
    nats_replicas: int = Field(
        1, ge=1, le=5, description="On how many servers of a NATS cluster each job is kept."
    )
    queue_lease_seconds: float = Field(
        5.0,
        ge=1,
        le=300,
        description="After so long without a sign of life another replica leads the queue, and "
        "another process takes over a ComfyUI server.",
    )
    worker_silence_seconds: float = Field(
        4.0,
        ge=1,
        le=300,
        description="After so long without a sign of life a worker's job is given to another one.",
    )
    worker_host: str = Field(
        "",
        max_length=64,
        description="Name of this process among those with workers, after the `@` of the names of "
        "its own slots. Empty: the machine's name.",
    )
    worker_drain_seconds: float = Field(
        120.0,
        ge=0,
        le=3600,
        description="How long a process with workers that stops waits for their jobs.",
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.role != "all" and self.queue != "jetstream":
            raise ValueError(f"GENERATION_ROLE={self.role} needs GENERATION_QUEUE=jetstream.")
        if (self.nats_certificate is None) != (self.nats_key is None):
            raise ValueError("GENERATION_NATS_CERTIFICATE and GENERATION_NATS_KEY belong together.")
        return self

    @property
    def host_name(self) -> str:
        """What this process is called among those with workers; empty: it is the only one."""
        if self.queue == "local":
            return ""
        return self.worker_host or socket.gethostname()
