"""The program of the renderers' child process: reads orders from stdin, answers on stdout.

A process of its own, so that a long render never holds up the event loop and a crash in native
code takes nothing else along. It imports nothing of the service but the renderers. It ends when
its parent does, since then stdin closes.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

from generation_service.backends.embedded.framing import DONE, FAILED, LENGTH
from generation_service.backends.embedded.works import make_work

if TYPE_CHECKING:
    from typing import BinaryIO


def main() -> None:
    """Serve until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who then closes stdin
    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    while (order := _read(orders)) is not None:
        answer = _work(order)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _work(order: bytes) -> bytes:
    try:
        return DONE + make_work(json.loads(order))
    except Exception as exc:  # the edge of a process: whatever went wrong, the parent must hear it
        return FAILED + type(exc).__name__.encode()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(head)[0])


if __name__ == "__main__":
    main()
