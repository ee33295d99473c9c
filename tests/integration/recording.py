"""A recorder to test, and ways to look at what it left on the disk."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk_client.recorder import Limits, Recorder
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(
    ack_seconds=0.5,
    min_backoff_seconds=0.01,
    max_backoff_seconds=0.05,
    linger_seconds=0.01,
    round_seconds=0.02,
)
NOWHERE = "127.0.0.1:1"


@contextmanager
def recording(spool: Path, address: str, limits: Limits = QUICK) -> Iterator[Recorder]:
    """Run a recorder that gives up at once in the end."""
    recorder = Recorder(spool, address, limits=limits)
    try:
        yield recorder
    finally:
        recorder.close(0)


def record(
    recorder: Recorder, first: int, last: int, item_type: str = "warning", execution_id: str = "e"
) -> list[str]:
    """Record the numbers from `first` to `last`; returns the ids."""
    return [
        recorder.record(
            execution_id=execution_id,
            epoch=1,
            sequence_number=number,
            stage=1,
            item_type=item_type,
            content="Eine Blume auf der Wiese",
            metadata={"seed": 2**64 - number},
        )
        for number in range(first, last + 1)
    ]


def numbers(first: int, last: int) -> list[int]:
    """The numbers from `first` to `last`."""
    return list(range(first, last + 1))


def spool_files(spool: Path) -> list[Path]:
    """All files below the spool's folder."""
    return [path for path in spool.rglob("*") if path.is_file()]


def folders(spool: Path) -> list[Path]:
    """The folders of all recorders."""
    return list(spool.iterdir())


async def settled(recorder: Recorder) -> None:
    """Wait until the tracker has answered everything."""
    await eventually(lambda: recorder.stats().pending == 0)


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module of the fakes; killed in the end."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", f"tests.fakes.{module}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGCONT)
            child.kill()


async def line_of(child: subprocess.Popen[str], begin: str) -> str:
    """Return the next line of a process that begins with `begin`."""
    assert child.stdout is not None
    while line := await asyncio.to_thread(child.stdout.readline):
        if line.startswith(begin):
            return line.strip()
    raise AssertionError(f"the process ended before it said {begin!r}")


@contextmanager
def tracker_process(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the tracker as its own process; killed in the end."""
    environment = os.environ | {
        "TRACKER_LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "TRACKER_DATA_DIR": str(data),
    }
    command = [sys.executable, "-m", "tracker_service"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
