"""A PostgreSQL that a drill restarts, looked after by a process of its own.

Starting the server means a fork where the tests run as root, and a process that uses gRPC must not
fork. So another one does it, word by word: `python -m tests.drills.database` prints the URL of a
database, then does what each line of its stdin says, `stop` or `start`, and answers with it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


class Database:
    """A database whose server can be stopped and started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over the process that looks after it."""
        self._process = process
        self.url = self._answer()

    def stop(self) -> None:
        """Stop the server, and whatever is connected with it."""
        self._tell("stop")

    def start(self) -> None:
        """Start it again."""
        self._tell("start")

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == word

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that looks after PostgreSQL has ended"
        return line.strip()


@contextlib.contextmanager
def running_database() -> Iterator[Database]:
    """Run a server with an empty database."""
    command = [sys.executable, "-m", "tests.drills.database"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        yield Database(process)


def main() -> None:
    """Do what stdin says; the server is stopped when it ends."""
    server = PostgresServer()
    print(server.create("tracker"), flush=True)
    words = {"stop": server.stop, "start": server.start}
    for line in sys.stdin:
        words[line.strip()]()
        print(line.strip(), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
