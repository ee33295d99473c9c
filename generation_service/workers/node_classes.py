"""Which ComfyUI node classes a graph may use: those of a list, and no others.

A node can do on its worker whatever Python can. The list that ships (`configs/node_classes.json`)
names the classes of a plain ComfyUI that compute, load models and write results to its output
folder; none of them runs code, opens a connection, trains or writes elsewhere. A deployment names
more; it never gets all by having no file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from generation_service.workers.settings import WorkerSettings

FILE_NAME = "node_classes.json"


def allowed_classes(settings: WorkerSettings, models_file: Path) -> frozenset[str]:
    """Return the node classes that a graph may use.

    Args:
        settings: The file, if one is chosen, and the names of more classes.
        models_file: The file beside which a deployment's own list is looked for otherwise, before
            the one that ships counts.

    Raises:
        ConfigurationError: The list cannot be read.
    """
    beside = models_file.with_name(FILE_NAME)
    path = settings.node_classes_file or (beside if beside.is_file() else _shipped())
    more = (name.strip() for name in settings.comfyui_node_classes.split(","))
    return _listed(path) | {name for name in more if name}


def _listed(path: Path) -> frozenset[str]:
    try:
        groups = json.loads(path.read_text(encoding="utf-8"))["classes"]
        return frozenset(str(name) for names in groups.values() for name in names)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ConfigurationError(
            f"The list of node classes {path} cannot be read; "
            "name one by GENERATION_NODE_CLASSES_FILE."
        ) from exc


def _shipped() -> Path:
    """Return the list that Stellwerk comes with: of the checkout or image, else of the wheel."""
    checkout = Path(__file__).resolve().parents[2] / "configs" / FILE_NAME
    if checkout.is_file():
        return checkout
    return Path(sys.prefix) / "share" / "stellwerk" / "configs" / FILE_NAME
