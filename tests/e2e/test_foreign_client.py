"""A gRPC client that is not ours: `buf curl` knows nothing but the address."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment

BUF = Path(sysconfig.get_path("scripts")) / "buf"


def buf_curl(deployment: Deployment, *arguments: str) -> str:
    """Call the orchestrator by what its reflection says."""
    result = subprocess.run(
        [
            *(str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge"),
            *arguments,
        ],
        # It keeps a cache, which must not be the user's.
        env={**os.environ, "HOME": str(deployment.data.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_services_are_listed_by_reflection(served: Deployment) -> None:
    """Reflection lists the service and the standard health service."""
    listed = buf_curl(served, "--list-services", f"http://{served.server}").split()
    assert set(listed) >= {
        "stellwerk.orchestrator.v1.OrchestratorService",
        "grpc.health.v1.Health",
    }


def test_execution_runs_by_reflection(served: Deployment) -> None:
    """A run from the start to its end with nothing but reflection."""
    request = {
        "config": "dada",
        "texts": ["Eine Blume auf der Wiese"],
        "safetyLevel": "SAFETY_LEVEL_KIDS",
        "textOnly": True,
    }
    method = "stellwerk.orchestrator.v1.OrchestratorService/RunExecution"
    out = buf_curl(served, "--data", json.dumps(request), f"http://{served.server}/{method}")
    assert "EXECUTION_STATE_COMPLETED" in out
    assert "pipeline_complete" in out
