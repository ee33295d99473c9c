"""The audit log: who did what to the house itself, when, and how it ended.

Administrative acts are few, and somebody may have to answer for them years later. So each is a line
of its own that is only ever appended, sealed with a hash over the line before: whoever changes or
removes a line in the middle breaks the seals of all that follow. It holds ids and counts, never a
text of anybody. Services of one machine share the file, hence the lock; acts are logged as well, so
that a house of many machines finds them where it collects its logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from servicekit.context import current_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedRandom
    from pathlib import Path

log = structlog.get_logger(__name__)

LOCK_SECONDS = 5.0
"""Longest wait for another process that writes a line."""
MAX_LINE_BYTES = 64 * 1024
_SEAL = "seal"


@dataclass(frozen=True)
class Act:
    """An administrative act.

    Attributes:
        name: What was done, such as `PauseQueue` or `NewKey`.
        by: Id of who did it; `system` for what a service does by itself.
        role: What they are; empty for the system.
        outcome: `OK`, or the reason why it was not done.
        details: What it was done to: ids, counts, switches.
    """

    name: str
    by: str
    role: str = ""
    outcome: str = "OK"
    details: Mapping[str, Any] = field(default_factory=dict)


class AuditLog:
    """Writes acts down."""

    def __init__(self, service: str, path: Path | None) -> None:
        """Write to a file.

        Args:
            service: Which service this is.
            path: The file; None: acts are only logged.
        """
        self._service = service
        self._path = path

    async def note(self, act: Act) -> None:
        """Write an act down; a full disk stops nobody from acting, but is told as an error."""
        line = self._line(act)
        log.info("administrative_act", **{key: line[key] for key in line if key != "time"})
        if self._path is not None:
            await asyncio.shield(asyncio.to_thread(self._append, self._path, line))

    def note_now(self, act: Act) -> None:
        """Write an act down to the file. Blocks; for commands.

        Raises:
            OSError: It cannot be written.
        """
        if self._path is not None:
            append_line(self._path, self._line(act))

    def _line(self, act: Act) -> dict[str, Any]:
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "service": self._service,
            "act": act.name,
            "by": act.by,
            "role": act.role,
            "outcome": act.outcome,
            "details": dict(act.details),
            "request_id": current_call().request_id,
        }

    def _append(self, path: Path, line: dict[str, Any]) -> None:
        try:
            append_line(path, line)
        except OSError as exc:
            log.error("audit_not_written", act=line["act"], fault=exc.strerror)


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Append a line and seal it. Blocks.

    Args:
        path: The file; made, for its owner alone, when it is not there.
        line: What happened.

    Raises:
        OSError: It cannot be written, or another process keeps the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(number, "r+b") as file, _locked(file):
        before = _last_line(file)
        if before and not before.endswith(b"\n"):  # the power went in the middle of it
            file.write(b"\n")
        file.write(_sealed(line, before.rstrip(b"\n")))
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _locked(file: BufferedRandom) -> Iterator[None]:
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _last_line(file: BufferedRandom) -> bytes:
    """Return the last line and leave the position at the end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_LINE_BYTES))
    lines = file.read().splitlines(keepends=True)
    return lines[-1] if lines else b""


def _sealed(line: dict[str, Any], before: bytes) -> bytes:
    text = json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str)
    seal = hashlib.sha256(before + b"\n" + text.encode()).hexdigest()
    return f'{text[:-1]},"{_SEAL}":"{seal}"}}\n'.encode()


@dataclass(frozen=True)
class AuditLine:
    """A line as it was read.

    Attributes:
        number: Its number, from 1.
        content: What it says; empty where it cannot be read.
        intact: Whether its seal fits it and the line before.
    """

    number: int
    content: Mapping[str, Any]
    intact: bool


def read_audit(path: Path) -> Iterator[AuditLine]:
    """Yield the lines of a file, oldest first.

    Raises:
        OSError: It cannot be read.
    """
    before = b""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.rstrip(b"\n")
            try:
                content = json.loads(line)
            except ValueError:
                content = None
            if isinstance(content, dict):
                unsealed = {key: value for key, value in content.items() if key != _SEAL}
                intact = _sealed(unsealed, before).rstrip(b"\n") == line
                yield AuditLine(number, unsealed, intact)
            else:
                yield AuditLine(number, {}, intact=False)
            before = line
