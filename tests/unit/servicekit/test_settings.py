"""Settings that stop a service, and how they tell."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from servicekit.settings import ServiceSettings, is_loopback, load_settings, split_address

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from servicekit.settings import ServiceSettings, load_settings

class DemoSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DEMO_", frozen=True)
    limit_count: int = Field(3, description="A limit.")

print(load_settings(DemoSettings).listen_address)
"""


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Load settings in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DEMO_")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_environment_is_read() -> None:
    """A variable with the service's prefix sets the field."""
    done = start(DEMO_LISTEN_ADDRESS="127.0.0.1:5005")
    assert (done.returncode, done.stdout) == (0, "127.0.0.1:5005\n")


def test_all_faults_are_told_at_once() -> None:
    """One message names every faulty variable, never a value, and the exit code is 78."""
    done = start(
        DEMO_LISTEN_ADDRESS="here",
        DEMO_LIMIT_COUNT="many",
        DEMO_SERVICE_KEY="tooshort",
        DEMO_LOG_LEVEL="LOUD",
    )
    assert done.returncode == 78
    lines = done.stderr.splitlines()
    assert lines[0] == "Faulty settings:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "DEMO_LISTEN_ADDRESS",
        "DEMO_SERVICE_KEY",
        "DEMO_LOG_LEVEL",
        "DEMO_LIMIT_COUNT",
    ]
    assert "tooshort" not in done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:1", "192.168.1.5:50051", "[::]:50051", "tracker:1"])
def test_a_reachable_address_needs_credentials(address: str) -> None:
    """Other machines get in only with keys, or when somebody says INSECURE; else exit code 78."""
    done = start(DEMO_LISTEN_ADDRESS=address)
    assert done.returncode == 78
    assert "DEMO_API_KEYS_FILE" in done.stderr
    assert "DEMO_INSECURE" in done.stderr
    assert start(DEMO_LISTEN_ADDRESS=address, DEMO_INSECURE="true").returncode == 0


def test_a_key_file_opens_a_reachable_address(tmp_path: Path) -> None:
    """With a key file, or a service key, any address may be served."""
    settings = ServiceSettings(listen_address="0.0.0.0:1", api_keys_file=tmp_path / "keys.json")
    assert settings.api_keys_file is not None
    done = start(DEMO_LISTEN_ADDRESS="0.0.0.0:1", DEMO_SERVICE_KEY="0123456789abcdef")
    assert done.returncode == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "127.8.8.8:0", "localhost:50051", "[::1]:50051"]
)
def test_loopback(address: str) -> None:
    """These addresses are this machine's alone."""
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:x", "host:65536", "h:-1"])
def test_malformed_addresses(address: str) -> None:
    """An address without host or with an impossible port is refused."""
    with pytest.raises(ValueError, match="expected host:port"):
        split_address(address)


def test_settings_cannot_change() -> None:
    """Settings are read once and stay."""
    settings = load_settings(ServiceSettings)
    with pytest.raises(ValidationError):
        settings.__setattr__("drain_seconds", 3)
