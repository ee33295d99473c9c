"""Runs a measurement in a fresh process, so that nothing which ran before disturbs it."""

from __future__ import annotations

import multiprocessing
import os
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_SECONDS = 900.0
_CONTEXT = multiprocessing.get_context("spawn")


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns in a process of its own.

    Raises:
        RuntimeError: It failed; what it said about that is on stderr.
    """
    result, told = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_work, args=(told, partial(work, *args, **kwargs)))
    process.start()
    told.close()
    try:
        if not result.poll(LONGEST_SECONDS):
            raise RuntimeError("a measurement took too long")
        value: T = result.recv()
    except EOFError as exc:
        raise RuntimeError("a measurement failed") from exc
    finally:
        process.kill()
        process.join()
    return value


def _work(told: Connection, work: Callable[[], object]) -> None:
    told.send(work())
    told.close()
    os._exit(0)  # OpenTelemetry would wait for its dead server
