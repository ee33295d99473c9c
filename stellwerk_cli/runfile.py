"""The files by which `up` tells others what runs where: a lock and `run.json`.

The lock keeps a second `up` off the same database and spool. `run.json` is written whole or not at
all, because scripts read it while services are being restarted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING

from stellwerk_client.files import PartFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LOCK_NAME = "up.lock"
RUN_FILE_NAME = "run.json"


class DataFolderInUseError(Exception):
    """Another `stellwerk up` serves from the same data folder."""


@contextlib.contextmanager
def locked_folder(data: Path) -> Iterator[None]:
    """Hold the data folder for this process; the lock falls with the process.

    Args:
        data: The folder; made if it does not exist.

    Raises:
        DataFolderInUseError: Another process holds it.
        OSError: The folder cannot be made or written.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK_NAME).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise DataFolderInUseError(
                f"the data folder {data} is in use by another `stellwerk up` (pid {holder}); "
                "stop that one or choose another folder with --data"
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def write_run_file(data: Path, processes: Mapping[str, tuple[int, str]]) -> None:
    """Write which process serves where.

    Args:
        data: The data folder.
        processes: Service name to (pid, address).
    """
    content = {name: {"pid": pid, "address": address} for name, (pid, address) in processes.items()}
    with PartFile(data / RUN_FILE_NAME) as file:
        file.write(json.dumps(content, indent=2).encode() + b"\n")
        file.commit()


def forget_run_file(data: Path) -> None:
    """Remove what an earlier `up` wrote, whose pids may be anybody's by now."""
    (data / RUN_FILE_NAME).unlink(missing_ok=True)
