"""Where the configs that Stellwerk comes with are, from a checkout or installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ENVIRONMENT_VARIABLE = "ORCHESTRATOR_CONFIGS_DIR"
NODE_CLASSES_VARIABLE = "COMFYUI_NODE_CLASSES"


def shipped_configs_dir() -> Path:
    """Return the folder of configs to use, wherever the process was started.

    ORCHESTRATOR_CONFIGS_DIR wins; else the checkout's `configs/`; else what the wheel installed.
    The folder need not exist: loading it tells.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else own_configs_dir()


def schema_dir() -> Path:
    """Return the folder of the published schemas; always our own, whichever configs are used."""
    return own_configs_dir() / "schema"


def own_configs_dir() -> Path:
    """Return the folder that Stellwerk comes with, whatever the environment says."""
    checkout = Path(__file__).resolve().parents[2] / "configs"
    if (checkout / "schema").is_dir():
        return checkout
    return Path(sys.prefix) / "share" / "stellwerk" / "configs"


def more_node_classes() -> frozenset[str]:
    """Return the node classes that a deployment allows beside those of a file."""
    named = os.environ.get(NODE_CLASSES_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in named if name.strip())
