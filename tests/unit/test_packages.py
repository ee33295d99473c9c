"""Where our packages come from."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("gateway", "gateway"),
        ("orchestrator", "orchestrator"),
        ("safety_service", "safety_service"),
        ("generation_service", "generation_service"),
        ("tracker_service", "tracker_service"),
        ("servicekit", "servicekit"),
        ("stellwerk_client", "stellwerk_client"),
        ("stellwerk_cli", "stellwerk_cli"),
        ("stellwerk", "protos/gen/stellwerk"),
    ],
)
def test_each_package_is_ours(package: str, folder: str) -> None:
    """No dependency that ships a package of the same name is loaded in our place."""
    module = importlib.import_module(package)
    assert module.__file__ is not None, f"{package} is only a folder"
    assert Path(module.__file__).parent == ROOT / folder
