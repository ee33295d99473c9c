"""The compose file for one server."""

from __future__ import annotations

import tomllib

import pytest
import yaml

from tests.deploy.rendering import PORTS, ROOT, SERVICES, Manifest
from tests.deploy.test_deployments import SETTINGS

COMPOSE: Manifest = yaml.safe_load((ROOT / "compose.yaml").read_text())
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DATA = {"orchestrator", "generation", "tracker"}
"""Who keeps what must not be lost."""


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """One of the five."""
    name: str = request.param
    return name


def test_services_have_no_right_that_they_do_not_need(service: str) -> None:
    """Each runs as nobody, on a read-only disk, with no capability, within limits."""
    container = COMPOSE["services"][service]
    assert container["user"] == "10001:10001"
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]
    assert container["pids_limit"]


def test_images_are_those_of_this_version(service: str) -> None:
    """The file names what `make images` makes."""
    name, _, tag = COMPOSE["services"][service]["image"].rpartition(":")
    assert name.removesuffix("-embedded") == f"localhost/stellwerk-{service}"
    assert tag == VERSION


def test_settings_are_what_the_service_reads(service: str) -> None:
    """Each variable is a setting of the service, and nobody is let in without a credential."""
    told = COMPOSE["services"][service]["environment"]
    fields = {f"{service.upper()}_{name}".upper() for name in SETTINGS[service].model_fields}
    shared = {"COMFYUI_NODE_CLASSES", "COMFYUI_WORKERS", "FORWARDED_ALLOW_IPS"}
    assert told.keys() <= fields | shared
    assert told.keys() >= {f"{service.upper()}_{name}" for name in ("API_KEYS_FILE", "SERVICE_KEY")}
    for name, value in told.items():
        if any(word in name for word in ("KEY", "SECRET")) and not name.endswith("_FILE"):
            assert value is None or value.startswith("${"), name
    for neighbour, port in PORTS.items():
        address = told.get(f"{service.upper()}_{neighbour.upper()}_ADDRESS")
        assert address in (None, f"dns:///{neighbour}:{port}")


def test_what_must_not_be_lost_is_on_a_volume(service: str) -> None:
    """Spool, media and records survive their containers; the others keep nothing."""
    volumes = [it for it in COMPOSE["services"][service]["volumes"] if it.endswith(":/data")]
    assert volumes == ([f"{service}:/data"] if service in DATA else [])
    assert COMPOSE["volumes"].keys() == DATA


def test_services_get_time_to_stop(service: str) -> None:
    """A stop waits for longer than the last calls take."""
    grace = SETTINGS[service].model_fields["grace_seconds"].default
    patience = COMPOSE["services"][service]["stop_grace_period"]
    assert float(patience.removesuffix("s")) > grace + 10


def test_only_the_page_is_reachable_and_only_here() -> None:
    """No service but the gateway has a port outside, and the gateway's is for this machine."""
    ports = {name: it.get("ports", []) for name, it in COMPOSE["services"].items()}
    assert ports.pop("gateway") == ["127.0.0.1:8080:8080"]
    assert not any(ports.values())
