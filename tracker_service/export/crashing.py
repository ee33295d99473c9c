"""How a child process that makes a file tells that it crashed: where, and not on whose words.

Python's own traceback ends with what the exception says, and typesetters quote what they could not
set. What logging offers would take longer to import than a small file takes to be made.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


def crash_without_words() -> None:
    """Let an exception that nobody catches become one line on stderr."""
    sys.excepthook = _crashed


def _crashed(kind: type[BaseException], _: BaseException, at: TracebackType | None) -> None:
    frames = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(at)]
    line = {"event": "child_crashed", "level": "error", "service": "tracker"}
    print(json.dumps({**line, "error_type": kind.__name__, "frames": frames}), file=sys.stderr)
