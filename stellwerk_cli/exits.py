"""Exit codes of the `stellwerk` command, in one place because scripts branch on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    """Done; a run COMPLETED."""
    FAULTS = 1
    """Faults were found, or `up` and `demo` did not come to their end."""
    USAGE = 2
    """The command line, a file or the request is wrong, or names what is not there."""
    BLOCKED = 3
    """The run was BLOCKED."""
    FAILED = 4
    """The run FAILED, or the server refused the call."""
    CANCELLED = 5
    """The run was CANCELLED."""
    UNREACHABLE = 6
    """No server answers there."""
    INTERRUPTED = 7
    """The run was INTERRUPTED: its orchestrator died or was drained."""
    CTRL_C = 130
    """Ctrl-C ended the command, and no run with it; as shells have it."""


HELP = (
    "Exit codes: 0 done or COMPLETED, 1 faults found, 2 wrong usage or request, 3 BLOCKED, "
    "4 FAILED, 5 CANCELLED, 6 server not reachable, 7 INTERRUPTED."
)
