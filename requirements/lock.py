"""Resolves pyproject.toml into the locks of this folder; run by `make lock`.

One lock for developing, one for running everything on one machine, and one per image. The first
constrains the others, so that everybody runs the versions that were tested.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Images can do whatever a deployment chooses: traces, a shared queue, media in a bucket, marks.
TRACES = ["--extra", "otel"]
MEDIA = ["--extra", "s3", "--extra", "postgres", "--extra", "c2pa"]
GENERATION = ["--extra", "generation", "--extra", "nats", *MEDIA, *TRACES]
LOCKS = {
    "dev": ["--extra", "all", "--extra", "dev", "--group", "build"],
    "run": ["--extra", "all", "--group", "build"],
    "orchestrator": ["--extra", "orchestrator", *TRACES],
    "safety": ["--extra", "safety", *TRACES],
    "generation": GENERATION,
    "generation-embedded": [*GENERATION, "--extra", "embedded"],
    "tracker": ["--extra", "tracker", *TRACES],
    "gateway": ["--extra", "gateway", *TRACES],
    "cli": ["--extra", "cli"],
}


def lock(name: str, choice: list[str]) -> None:
    """Writes `requirements/<name>.lock`, with hashes, for all platforms, naming no index."""
    constraint = [] if name == "dev" else ["--constraint", "requirements/dev.lock"]
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *choice, *constraint),
        *("--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"),
        *("--no-emit-index-url", "--no-emit-find-links", "--no-annotate"),
        *("--custom-compile-command", "make lock", "--output-file", f"requirements/{name}.lock"),
    ]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    for lock_name, lock_choice in LOCKS.items():
        print(f"requirements/{lock_name}.lock")
        lock(lock_name, lock_choice)
