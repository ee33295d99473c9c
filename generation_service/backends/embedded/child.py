"""The program of the renderer's child process: reads orders from stdin, answers on stdout.

A process of its own, so that a long render never holds up the event loop and a crash in native
code takes nothing else along. It imports nothing of the service but the renderer. It ends when
its parent does, since then stdin closes.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

from generation_service.backends.embedded.framing import DONE, FAILED, LENGTH
from generation_service.backends.embedded.picture import render_picture
from generation_service.backends.embedded.variants import Variant

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
        asked = json.loads(order)
        return DONE + render_picture(
            Variant(asked["variant"]),
            asked["prompt"],
            width=asked["width"],
            height=asked["height"],
            seed=asked["seed"],
        )
    except Exception as exc:  # the edge of a process: whatever went wrong, the parent must hear it
        return FAILED + type(exc).__name__.encode()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(head)[0])


if __name__ == "__main__":
    main()
