"""The program of the child process: llama.cpp with one model, reachable by a socket file.

Run by path, not as a module, so that it loads nothing of ours: a native crash, a leak or a slow
model then touches the child alone. It speaks llama.cpp's own HTTP API, which streams, keeps the
prefixes of earlier prompts, and stops between two tokens when the other side closes the connection.

Usage: `python -P child.py '{"model": …, "socket": …, "threads": 2, "slots": 4, "context": 8192}'`.
It writes one JSON line when it can be asked, and ends when its standard input closes: so it never
outlives the service, however that ended.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

NICENESS = 2
"""The service's event loop goes first when cores are few."""

WAIT_POLICY = "passive"
"""llama.cpp's threads meet at a barrier hundreds of times per token. Spinning there, the default,
is a little faster on idle cores and takes four times as long on busy ones (two of each)."""


def make_parameters(xllamacpp: Any, config: dict[str, Any]) -> Any:
    """Translate our settings into llama.cpp's; what the service does not use is off."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = config["model"]
    parameters.hostnames = [config["socket"]]
    parameters.cpuparams.n_threads = config["threads"]
    parameters.cpuparams_batch.n_threads = config["threads"]
    parameters.n_parallel = config["slots"]
    parameters.n_ctx = config["context"]
    parameters.kv_unified = True
    parameters.n_batch = 512
    parameters.n_ubatch = 64  # a bigger one costs memory and is no faster on two cores
    parameters.n_threads_http = config["slots"] + 2
    parameters.n_ctx_checkpoints = 0
    parameters.cache_ram_mib = 0
    parameters.warmup = False
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = -1
    return parameters


def main() -> None:
    """Load the model, say so, and serve until the parent is gone."""
    os.nice(NICENESS)
    os.environ.setdefault("OMP_WAIT_POLICY", WAIT_POLICY)
    config: dict[str, Any] = json.loads(sys.argv[1])
    # The line to the parent must stay clean of whatever the library prints.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        import xllamacpp

        server = xllamacpp.Server(make_parameters(xllamacpp, config))
    except (ImportError, RuntimeError) as exc:
        print(json.dumps({"error": type(exc).__name__}), file=answer, flush=True)
        os._exit(1)
    print(json.dumps({"ready": True}), file=answer, flush=True)
    sys.stdin.buffer.read()
    # A killed parent cannot tidy up; the folder is the child's alone.
    shutil.rmtree(os.path.dirname(config["socket"]), ignore_errors=True)
    del server
    os._exit(0)


if __name__ == "__main__":
    main()
