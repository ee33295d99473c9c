"""Settings that every service has, and one way to read them.

A service is configured by its environment alone and reads it once, at the start, into a frozen
model. A wrong value must stop the service with a message that names every fault at once, because
an operator who mends one fault per restart loses an afternoon.
"""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

EXIT_CONFIG = 78
"""Exit code for faulty settings (`EX_CONFIG` of sysexits.h)."""


class ConfigurationError(Exception):
    """What was configured does not work; its text tells an operator what to change."""


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port` or `[ipv6]:port`.

    Args:
        address: The address as a person writes it.

    Returns:
        Host without brackets, and port (0 lets the system choose).

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected host:port, got {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach `address` (`host:port`)."""
    host, _ = split_address(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_address(address: str) -> str:
    split_address(address)
    return address


Address = Annotated[str, AfterValidator(_checked_address)]
"""A `host:port`, checked when the settings are read."""


class ServiceSettings(BaseSettings):
    """What every service can be told; a service adds its fields and its own `env_prefix`."""

    model_config = SettingsConfigDict(env_prefix="SERVICE_", frozen=True)

    listen_address: Address = Field(
        "127.0.0.1:0",
        description="`host:port` to serve on. Anything but loopback needs `API_KEYS_FILE`, "
        "`OIDC_FILE`, `SERVICE_KEY`, the `TLS_…` files or `INSECURE`. Port 0 lets the system "
        "choose.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="JSON file of hashed API keys (`stellwerk keys`). Once set, every call needs "
        "a credential. Read again when it changes.",
    )
    oidc_file: Path | None = Field(
        None,
        description="JSON file that says whose tokens count and what they mean; see access.md. "
        "Once set, every call needs a credential.",
    )
    service_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret shared by the services: whoever shows it is a service, and a service "
        "shows it to its neighbours. At least 16 characters.",
    )
    tls_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authorities whose word counts. With it the services "
        "speak TLS, and whoever connects to `LISTEN_ADDRESS` needs a certificate of theirs. "
        "The three files are read again when they change.",
    )
    tls_certificate_file: Path | None = Field(
        None, description="The certificate (PEM) of this service, its chain behind it."
    )
    tls_key_file: Path | None = Field(None, description="The private key (PEM) of it.")
    tls_neighbours: str = Field(
        "orchestrator,safety,generation,tracker,gateway",
        description="What neighbours are called in their certificates (alternative names, else "
        "the common name), with commas between: these are services, all others need a key.",
    )
    callers_address: Address | None = Field(
        None,
        description="A second `host:port`, with TLS, for people's tools: they need a key or a "
        "token, and no certificate. Needs the `TLS_…` files.",
    )
    probe_address: Address | None = Field(
        None,
        description="A third `host:port`, without TLS, that answers health checks and reflection "
        "alone: the probes of Kubernetes know no TLS. Needs the `TLS_…` files.",
    )
    calls_per_minute: int = Field(
        1_200,
        ge=0,
        le=1_000_000,
        description="Calls that one person may make in a minute; 0: any number.",
    )
    works_per_minute: int = Field(
        120,
        ge=0,
        le=1_000_000,
        description="Calls that let models or disks work, such as a run, an upload or an export, "
        "that one person may make in a minute; 0: any number.",
    )
    audit_file: Path | None = Field(
        None,
        description="File to which administrative acts are appended, one JSON object a line; "
        "several services of one machine may share it. Unset: they are only logged.",
    )
    insecure: bool = Field(
        False,
        description="Serve on a reachable address without credentials: every caller is admin.",
    )
    drain_seconds: float = Field(
        0.0,
        ge=0,
        le=600,
        description="Seconds between `not ready` and the stop, so that load balancers look away "
        "first. 0 where nothing balances.",
    )
    grace_seconds: float = Field(
        10.0,
        ge=0,
        le=600,
        description="Seconds that running calls get to finish before they are cancelled.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
    )
    metrics_address: Address | None = Field(
        None,
        description="`host:port` to serve Prometheus' `/metrics` on, without credentials: numbers "
        "only, no ids and no texts. Port 0 lets the system choose. Unset: not served.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/@\s]+$",
        description="Collector that takes OpenTelemetry traces (OTLP over gRPC), such as "
        "`http://collector:4317`. Needs the extra `otel`. Unset: nothing is traced.",
    )
    reflection: bool = Field(
        True, description="Let gRPC clients ask which services and messages there are."
    )

    @property
    def has_credentials(self) -> bool:
        """Whether there is anything by which callers can be told apart."""
        return any((self.api_keys_file, self.oidc_file, self.service_key, self.tls_ca_file))

    @property
    def neighbour_names(self) -> frozenset[str]:
        """What neighbours are called in their certificates."""
        names = (name.strip() for name in self.tls_neighbours.split(","))
        return frozenset(name for name in names if name)

    @model_validator(mode="after")
    def _refuse_half_of_tls(self) -> Self:
        prefix = self.model_config.get("env_prefix", "")
        files = (self.tls_ca_file, self.tls_certificate_file, self.tls_key_file)
        if any(files) and not all(files):
            raise ValueError(
                f"{prefix}TLS_CA_FILE, {prefix}TLS_CERTIFICATE_FILE and {prefix}TLS_KEY_FILE "
                "belong together: set all three, or none."
            )
        if (self.callers_address or self.probe_address) and not all(files):
            raise ValueError(
                f"{prefix}CALLERS_ADDRESS and {prefix}PROBE_ADDRESS are for services with TLS: "
                f"set {prefix}TLS_CA_FILE and its two companions, or drop them."
            )
        return self

    @model_validator(mode="after")
    def _refuse_open_doors(self) -> Self:
        if is_loopback(self.listen_address) or self.insecure:
            return self
        if not self.has_credentials:
            prefix = self.model_config.get("env_prefix", "")
            raise ValueError(
                f"{prefix}LISTEN_ADDRESS {self.listen_address} can be reached from other machines. "
                f"Set {prefix}API_KEYS_FILE to a file of API keys, or {prefix}INSECURE=true "
                "to serve everybody without credentials."
            )
        return self

    @property
    def short_name(self) -> str:
        """What the service is called, such as `tracker`."""
        return str(self.model_config.get("env_prefix", "")).rstrip("_").lower()


S = TypeVar("S", bound=ServiceSettings)


def load_settings(cls: type[S]) -> S:
    """Read settings from the environment, or end the process with every fault named.

    Args:
        cls: The settings class of the service.

    Returns:
        The frozen settings.

    Raises:
        SystemExit: A value is faulty; code 78, all faults on stderr in one message.
    """
    try:
        return cls()
    except ValidationError as exc:
        exit_with_fault("\n  ".join(["Faulty settings:", *_faults(cls, exc)]))


def exit_with_fault(message: str) -> NoReturn:
    """End the process as misconfigured: `message` on stderr, exit code 78."""
    print(message, file=sys.stderr)
    raise SystemExit(EXIT_CONFIG)


def _faults(cls: type[ServiceSettings], exc: ValidationError) -> list[str]:
    """One line per fault, named by its variable; never the value, which may be a secret."""
    prefix = cls.model_config.get("env_prefix", "")
    lines = []
    for error in exc.errors(include_input=False, include_url=False):
        message = error["msg"].removeprefix("Value error, ")
        name = ".".join(str(part) for part in error["loc"])
        lines.append(f"{prefix}{name.upper()}: {message}" if name else message)
    return lines


def faults_of_file(exc: ValidationError) -> str:
    """Return where a file is faulty and how, on one line; never what stands there."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
        for fault in exc.errors(include_input=False, include_url=False)
    )
