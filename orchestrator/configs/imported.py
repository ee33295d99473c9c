"""Folders of the predecessor that were imported: kept as they came, loaded beside our own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from orchestrator.configs.loader import load_configs, load_node_classes
from orchestrator.configs.predecessor import Result, read_folder
from orchestrator.configs.predecessor.files import config_paths

if TYPE_CHECKING:
    from orchestrator.configs.model import ConfigSet

log = structlog.get_logger()


def load_with_imported(folder: Path, imported: Path | None) -> ConfigSet:
    """Read our own configs and, on top, every folder that was imported. Blocks: reads files.

    Args:
        folder: Our own.
        imported: Holds one folder for each import; None, or not there: nothing was imported.

    Raises:
        ConfigError: Our own are faulty. A faulty file of an imported folder is left out and logged.
    """
    configs = load_configs(folder)
    if imported is None or not imported.is_dir():
        return configs
    allowed = load_node_classes(folder)
    for each in sorted(imported.iterdir()):
        if each.name.startswith(".") or not each.is_dir():
            continue
        found = read_folder(each, configs, allowed)
        configs = found.configs
        refused = [report.file for report in found.reports if report.result is Result.REFUSED]
        log.info(
            "configs_imported",
            folder=each.name,
            loaded_count=len(found.reports) - len(refused),
            refused=refused,
        )
    return configs


def keep_copy(source: Path, imported: Path) -> Path:
    """Copy the files of a folder that count to where the orchestrator looks, all or none of them.

    Args:
        source: The folder; stays as it is.
        imported: Holds one folder for each import; made where it is missing.

    Returns:
        The copy; one of the same name from before is replaced.

    Raises:
        OSError: Something cannot be read or written.
    """
    imported.mkdir(parents=True, exist_ok=True)
    target = imported / source.resolve().name
    with tempfile.TemporaryDirectory(prefix=".new-", dir=imported) as scratch:
        fresh, old = Path(scratch, "fresh"), Path(scratch, "old")
        fresh.mkdir()
        for path in config_paths(source):
            copy = fresh / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    return target
