"""Become a service that ends when its supervisor does.

A supervisor that is killed outright can clean nothing up, and a service that lives on would hold
its port and its database against the next start. Linux can send a signal when a parent dies, but
the child must ask for it itself, between fork and exec. Running Python there is unsafe once gRPC's
threads exist, so this file is started as a program of its own, asks, and turns into the service.

Runs as `python launch.py PARENT_PID PROGRAM ARGUMENT…` with nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then replace it.

    Args:
        arguments: Pid of the parent, then the program with its own arguments.
    """
    parent_pid = int(arguments[0])
    if sys.platform == "linux":
        # SIGTERM, not SIGKILL: the service still drains and loses nothing.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_pid:  # it died before we asked
            raise SystemExit(1)
    os.execv(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
