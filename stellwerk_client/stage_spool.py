"""Stages of foreign systems, kept until the tracker has them.

A system that makes summaries and files itself must not wait for the tracker, and may lose nothing
when that is away. So each record is a file before `record()` returns, and a thread sends the files
in their order until the tracker has answered for them. One that it refuses for good is set aside
with its reason. Of several processes that share a folder one sends, and another takes over when
that one ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING, Final, Self

import grpc
import structlog
import uuid_utils

from servicekit.certificates import channel_credentials
from servicekit.channel import CHANNEL_OPTIONS
from servicekit.errors import Code, remote_error
from servicekit.principals import AUTHORIZATION_KEY
from stellwerk.tracker.v1 import export_workflow_service_pb2 as pb
from stellwerk.tracker.v1.export_workflow_service_pb2_grpc import ExportWorkflowServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servicekit.certificates import Certificates
    from servicekit.errors import RemoteError
    from stellwerk.tracker.v1.export_workflow_pb2 import ExportStageRecord

log = structlog.get_logger(__name__)

MAX_RECORD_BYTES: Final = 4 * 1024 * 1024 - 4096
QUOTA_BYTES: Final = 256 * 1024 * 1024
CALL_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_MAX_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
_JOIN_SECONDS: Final = 5.0
_SUFFIX: Final = ".stage"
_REFUSALS: Final = frozenset(
    {Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.FAILED_PRECONDITION}
)
"""What the tracker says of a record that it will never take."""
_FAULTS: Final = frozenset({Code.INTERNAL, Code.UNKNOWN})
_MOST_FAULTS: Final = 10
"""A record at which the tracker fails so often in a row must not hold up all others."""


class StageSpool:
    """Records stages; thread-safe. Use it as a context, or close it."""

    def __init__(
        self,
        folder: Path,
        tracker_address: str,
        *,
        credential: str | None = None,
        certificates: Certificates | None = None,
        quota_bytes: int = QUOTA_BYTES,
    ) -> None:
        """Open a folder and begin to send what is in it.

        Args:
            folder: For this alone; made if it is not there.
            tracker_address: `host:port` or another gRPC target. It need not be up.
            credential: API key or service key to show to the tracker.
            certificates: Speak TLS with these.
            quota_bytes: Most bytes that may wait.

        Raises:
            OSError: The folder cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._address = tracker_address
        self._metadata = ((AUTHORIZATION_KEY, f"Bearer {credential}"),) if credential else ()
        self._certificates = certificates
        self._quota_bytes = quota_bytes
        self._last_time = 0
        self._faults = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stage-sender", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the spool itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close with the default timeout."""
        self.close()

    def record(self, record: ExportStageRecord, *, language: str = "en") -> str:
        """Take a record; it is safe on the disk when this returns.

        Args:
            record: With `export_workflow_id`, `create_time` and its content. Without an `id` it
                gets one.
            language: `de` or `en`; counts with stage 1.

        Returns:
            The id of the record.

        Raises:
            ValueError: It is too large for a message.
            OSError: The disk or the quota is full; nothing was taken.
        """
        request = pb.RecordExportStageRequest(record=record, language=language)
        request.record.id = record.id or str(uuid_utils.uuid7())
        data = request.SerializeToString()
        if len(data) > MAX_RECORD_BYTES:
            raise ValueError("the record has over 4 MiB; leave out `original_data_json`")
        with self._lock:
            if self._waiting_bytes() + len(data) > self._quota_bytes:
                raise OSError(f"the spool is full: {self._quota_bytes} bytes wait already")
            # In the order of taking, whatever the clock does, and after what others left here.
            self._last_time = max(time.time_ns(), self._last_time + 1)
            path = self._folder / f"{self._last_time:020d}-{request.record.id}{_SUFFIX}"
            _write(path, data)
        self._wake.set()
        return request.record.id

    def pending(self) -> int:
        """Return how many records wait for the tracker's answer."""
        return len(self._files())

    def flush(self, timeout: float) -> bool:
        """Wait until nothing waits any more; return whether that was so in time (seconds)."""
        give_up = time.monotonic() + timeout
        self._wake.set()
        while self.pending():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        return True

    def close(self, timeout: float = 1.0) -> None:
        """Send what can be sent in so many seconds; the rest stays for the next process."""
        if not self._stopping.is_set():
            self.flush(timeout)
            self._stopping.set()
            self._wake.set()
            self._thread.join(_JOIN_SECONDS)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _waiting_bytes(self) -> int:
        sizes = 0
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):  # sent this very moment
                sizes += path.stat().st_size
        return sizes

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with _sole_sender(self._folder) as is_mine:
                    if is_mine:
                        self._send_until_stopped()
            except Exception:  # without the thread nothing would ever arrive
                log.exception("stage_sender_failed")
            self._stopping.wait(_LOOK_SECONDS)

    def _send_until_stopped(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            error = self._send_all()
            if error is None:
                pause = _FIRST_PAUSE_SECONDS
                self._pause(_LOOK_SECONDS)
            else:
                log.warning("stages_wait", code=error.code, reason=error.reason)
                self._stopping.wait(max(pause, min(error.retry_seconds or 0.0, _MAX_PAUSE_SECONDS)))
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _send_all(self) -> RemoteError | None:
        """Send what waits, the oldest first; return what stopped that, if anything did."""
        files = self._files()
        if not files:
            return None
        with self._open_channel() as channel:
            stub = ExportWorkflowServiceStub(channel)
            for path in files:
                if self._stopping.is_set():
                    return None
                error = self._send(stub, path)
                if error is not None:
                    return error
        return None

    def _send(self, stub: ExportWorkflowServiceStub, path: Path) -> RemoteError | None:
        request = pb.RecordExportStageRequest.FromString(path.read_bytes())
        try:
            stub.RecordExportStage(request, timeout=CALL_SECONDS, metadata=self._metadata)
        except grpc.RpcError as exc:
            error = remote_error(exc)
            if not self._is_final(error):
                return error
            log.error("stage_refused", record_id=request.record.id, reason=error.reason)
            refused = self._folder / "refused" / f"{path.stem}.{error.reason or error.code}"
            refused.parent.mkdir(exist_ok=True)
            path.replace(refused)
        else:
            path.unlink()
        self._faults = 0
        return None

    def _is_final(self, error: RemoteError) -> bool:
        """Tell whether the tracker will never take the record that it answered so for."""
        if error.code in _FAULTS:
            self._faults += 1
            return self._faults >= _MOST_FAULTS
        changed = error.reason == "WORKFLOW_CHANGED"  # by somebody else, at the same moment
        return error.reason == "OWNER_NOT_ALLOWED" or (error.code in _REFUSALS and not changed)

    def _open_channel(self) -> grpc.Channel:
        if self._certificates is None:
            return grpc.insecure_channel(self._address, options=CHANNEL_OPTIONS)
        credentials = channel_credentials(self._certificates.current())
        return grpc.secure_channel(self._address, credentials, options=CHANNEL_OPTIONS)


@contextlib.contextmanager
def _sole_sender(folder: Path) -> Iterator[bool]:
    """Tell whether this process is the one that sends, for as long as the context lasts."""
    with (folder / ".lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True  # the lock ends with the file


def _write(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there, also after a power cut."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
