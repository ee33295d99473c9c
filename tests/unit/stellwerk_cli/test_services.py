"""What `up` tells each service."""

from __future__ import annotations

from pathlib import Path

from stellwerk_cli.services import SERVICE_NAMES, describe_services

DATA = Path("/srv/stellwerk")
PORTS = (1001, 1002, 1003, 1004, 1005)


def environment_of(name: str, user: dict[str, str], api_keys: Path | None = None) -> dict[str, str]:
    """Return the environment that a service gets."""
    specs = describe_services(DATA, PORTS, user, api_keys=api_keys)
    (spec,) = [spec for spec in specs if spec.name == name]
    return dict(spec.environment)


def test_services_get_the_ports_in_order() -> None:
    """Orchestrator, safety, generation, tracker and gateway take the ports as given."""
    specs = describe_services(DATA, PORTS, {})
    assert [(spec.name, spec.address) for spec in specs] == [
        (name, f"127.0.0.1:{port}") for name, port in zip(SERVICE_NAMES, PORTS, strict=True)
    ]


def test_services_know_their_neighbours_and_folders() -> None:
    """The orchestrator is told where the others are, and everything goes into the data folder."""
    environment = environment_of("orchestrator", {})
    assert environment["ORCHESTRATOR_TRACKER_ADDRESS"] == "127.0.0.1:1004"
    assert environment["SAFETY_GENERATION_ADDRESS"] == "127.0.0.1:1003"
    folders = ("ORCHESTRATOR_SPOOL_DIR", "GENERATION_DATA_DIR", "TRACKER_DATA_DIR")
    assert all(Path(environment[name]).is_relative_to(DATA) for name in folders)


def test_settings_of_the_user_pass_through_but_not_addresses() -> None:
    """The user's settings reach the services; addresses and folders are those of the options."""
    user = {
        "GENERATION_MODELS_PROFILE": "local",
        "GENERATION_MODELS_FILE": "/etc/models.json",
        "TRACKER_LISTEN_ADDRESS": "0.0.0.0:1",
        "TRACKER_DATA_DIR": "/elsewhere",
    }
    environment = environment_of("tracker", user)
    assert environment["GENERATION_MODELS_PROFILE"] == "local"
    assert environment["GENERATION_MODELS_FILE"] == "/etc/models.json"
    assert environment["TRACKER_LISTEN_ADDRESS"] == "127.0.0.1:1004"
    assert environment["TRACKER_DATA_DIR"] == str(DATA)


def test_models_file_is_found_wherever_the_command_is_started() -> None:
    """Without a setting the shipped models file is named by its absolute path."""
    models_file = Path(environment_of("generation", {})["GENERATION_MODELS_FILE"])
    assert models_file.is_absolute()
    assert models_file.is_file()


def test_api_keys_come_with_one_secret_for_all_services() -> None:
    """With a key file every service gets it, and one secret that is new each time."""
    keys = Path("/srv/keys.json")
    environment = environment_of("safety", {}, keys)
    secrets = {environment[f"{name.upper()}_SERVICE_KEY"] for name in SERVICE_NAMES}
    assert len(secrets) == 1
    assert environment["GENERATION_API_KEYS_FILE"] == str(keys)
    assert environment_of("safety", {}, keys)["SAFETY_SERVICE_KEY"] not in secrets
    assert "SAFETY_SERVICE_KEY" not in environment_of("safety", {})


def test_a_login_service_comes_with_a_secret_too() -> None:
    """With an OIDC file alone the services get it, need no key file, and know each other."""
    rules = Path("/srv/oidc.json")
    (gateway,) = [
        spec for spec in describe_services(DATA, PORTS, {}, oidc=rules) if spec.name == "gateway"
    ]
    assert gateway.environment["GATEWAY_OIDC_FILE"] == str(rules)
    assert gateway.environment["GATEWAY_SERVICE_KEY"]
    assert "GATEWAY_API_KEYS_FILE" not in gateway.environment


def test_time_to_stop_covers_drain_and_grace() -> None:
    """A service that was told to drain for long is not killed before."""
    specs = describe_services(
        DATA, PORTS, {"TRACKER_GRACE_SECONDS": "30", "TRACKER_DRAIN_SECONDS": "5"}
    )
    assert specs[3].stop_seconds > 35
    assert specs[0].stop_seconds > 10
