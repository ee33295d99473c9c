"""Config files and what becomes of them: folder → checked generation → plan of one execution.

Importable without gRPC or stubs, so that `stellwerk configs check` works offline.
"""

from orchestrator.configs.faults import ConfigError, Fault
from orchestrator.configs.folders import shipped_configs_dir
from orchestrator.configs.loader import check_folder, load_configs
from orchestrator.configs.model import ConfigSet
from orchestrator.configs.plan import Plan, PlannedChunk, PlannedOutput
from orchestrator.configs.planning import PlanRequest, build_plan
from orchestrator.configs.templates import render

__all__ = [
    "ConfigError",
    "ConfigSet",
    "Fault",
    "Plan",
    "PlanRequest",
    "PlannedChunk",
    "PlannedOutput",
    "build_plan",
    "check_folder",
    "load_configs",
    "render",
    "shipped_configs_dir",
]
