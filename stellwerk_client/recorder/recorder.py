"""The recorder: what a pipeline calls, and what it never has to wait for.

An item that `record()` has taken survives the death of the process: it stands in a spool file
before `record()` returns. Two threads do the rest: the keeper looks after the disk and the clock,
the sender talks to the tracker.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, Unpack

import structlog
import uuid_utils

from stellwerk_client.recorder.encoding import (
    encode_heartbeat,
    encode_item,
    encode_plan,
    encode_trace,
)
from stellwerk_client.recorder.frames import frame
from stellwerk_client.recorder.gaps import Gaps
from stellwerk_client.recorder.intake import Intake
from stellwerk_client.recorder.limits import Limits
from stellwerk_client.recorder.outbox import Outbox
from stellwerk_client.recorder.sender import Sender
from stellwerk_client.recorder.spool import Spool
from stellwerk_client.recorder.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servicekit.certificates import Certificates
    from stellwerk_client.recorder.details import ItemDetails

log = structlog.get_logger(__name__)

_KNOWN_PLANS = 1_024
_JOIN_SECONDS = 2.0
_CLOSE_POLL_SECONDS = 0.005


@dataclass(frozen=True)
class RecorderStats:
    """Counts of items since the start of the process.

    Attributes:
        taken: Taken by `record()`.
        adopted: Read from spools of dead processes.
        acked: Committed by the tracker.
        refused: Never accepted by the tracker.
        dropped: Lost because neither disk nor memory had room, or they could not be encoded.
        pending: Taken or adopted, and not yet answered.
        in_memory: Waiting in memory since the disk fails.
        spool_bytes: Size of the spool, adopted folders included.
        connected: Whether a stream to the tracker is open or being opened.
    """

    taken: int
    adopted: int
    acked: int
    refused: int
    dropped: int
    pending: int
    in_memory: int
    spool_bytes: int
    connected: bool


class Recorder:
    """Records items of executions. Thread-safe; `record()` never waits and never raises."""

    def __init__(
        self,
        spool_dir: Path,
        tracker_address: str,
        *,
        credential: str | None = None,
        certificates: Certificates | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Open a spool folder and begin to send.

        Args:
            spool_dir: Folder of all recorders of this machine; each makes its own folder in it.
            tracker_address: The tracker, `host:port` or another gRPC target. It need not be up.
            credential: API key or service key to show to the tracker.
            certificates: Speak TLS with these.
            limits: Bounds; the defaults unless given.

        Raises:
            OSError: The folder cannot be made or written to.
        """
        self._limits = limits or Limits()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._spool = Spool(spool_dir)
        self._intake = Intake(self._spool, self._limits, self._wake.set)
        self._outbox = Outbox(self._spool, self._intake, self._limits)
        self._sender = Sender(self._outbox, tracker_address, credential, self._limits, certificates)
        self._gaps = Gaps()
        self._troubles = Troubles(self._limits.log_seconds)
        self._plans_lock = threading.Lock()
        self._plans: OrderedDict[str, None] = OrderedDict()
        self._keeper = threading.Thread(target=self._keep, name="recorder-keeper", daemon=True)
        self._keeper.start()
        self._sender.start()

    def __enter__(self) -> Self:
        """Return the recorder itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close with the default timeout."""
        self.close()

    def record(
        self,
        *,
        execution_id: str,
        epoch: int,
        sequence_number: int,
        stage: int,
        item_type: str,
        **details: Unpack[ItemDetails],
    ) -> str:
        """Take one item.

        Args:
            execution_id: The execution.
            epoch: The claim that writes, from 1.
            sequence_number: Order in the execution, from 1, without a gap.
            stage: 0 to 5.
            item_type: One of taxonomy 1.1.
            details: Whatever else there is to say, see `ItemDetails`.

        Returns:
            The id of the item, whether there was room for it or not.
        """
        item_id = details["item_id"] = details.get("item_id") or str(uuid_utils.uuid7())
        intake, gaps = self._intake, self._gaps
        try:
            if gaps.any or intake.aside:
                details["metadata"] = gaps.annotate(
                    details.get("metadata"), execution_id, in_memory=intake.aside
                )
            taken = intake.take(
                frame(encode_item(execution_id, epoch, sequence_number, stage, item_type, details))
            )
        except Exception as exc:  # a pipeline never fails because of its record
            taken = self._troubles.unreadable(item_type, exc)
        if not taken:
            gaps.add(execution_id, sequence_number)
        elif gaps.any:
            gaps.told(execution_id)
        return item_id

    def record_plan(self, digest: str, plan_json: bytes) -> None:
        """Take a plan that items refer to; one that was taken before is not sent again.

        Args:
            digest: SHA-256 of `plan_json`, 64 hexadecimal digits.
            plan_json: Canonical JSON of up to 1 MiB.
        """
        with self._plans_lock:
            if digest in self._plans:
                self._plans.move_to_end(digest)
                return
            # One that finds no room is taken with the next execution that needs it.
            if self._take_frame("plan", lambda: encode_plan(digest, plan_json)):
                self._plans[digest] = None
                if len(self._plans) > _KNOWN_PLANS:
                    self._plans.popitem(last=False)

    def record_trace(self, traceparent: str) -> None:
        """Take the name of a span, so that the trace of storing the items that follow names it.

        Args:
            traceparent: As in the W3C header of that name.
        """
        self._take_frame("trace", lambda: encode_trace(traceparent))

    def _take_frame(self, kind: str, encode: Callable[[], bytes]) -> bool:
        try:
            return self._intake.take(frame(encode()), item_count=0)
        except Exception as exc:  # as in record()
            return self._troubles.unreadable(kind, exc)

    def heartbeat(
        self,
        execution_id: str,
        epoch: int,
        last_sequence_number: int,
        owner_address: str,
        released: bool = False,
        awaiting_edit: bool = False,
    ) -> None:
        """Tell the tracker that an execution is alive, or that its owner lets go of it.

        Args:
            execution_id: The execution.
            epoch: The claim that is alive.
            last_sequence_number: The last number used.
            owner_address: Where the owner answers calls, `host:port`.
            released: The owner has stopped; kept in the spool as items are. Others are not:
                only the newest counts, and only while somebody lives to send it.
            awaiting_edit: It waits for a person's step.
        """

        def encode() -> bytes:
            return encode_heartbeat(
                execution_id,
                epoch,
                last_sequence_number,
                owner_address,
                released=released,
                awaiting_edit=awaiting_edit,
            )

        if released:
            self._outbox.set_heartbeat(execution_id, None)
            self._take_frame("heartbeat", encode)
            return
        try:
            self._outbox.set_heartbeat(execution_id, encode())
        except Exception as exc:  # as in record()
            self._troubles.unreadable("heartbeat", exc)

    def stats(self) -> RecorderStats:
        """Return the counts of this moment."""
        tally = self._outbox.tally
        pending = self._intake.taken + tally.adopted - tally.acked - tally.refused
        return RecorderStats(
            taken=self._intake.taken,
            adopted=tally.adopted,
            acked=tally.acked,
            refused=tally.refused,
            dropped=self._intake.dropped + self._troubles.unreadable_count,
            pending=max(0, pending),
            in_memory=self._intake.memory_count,
            spool_bytes=self._spool.stored_bytes(),
            connected=self._sender.connected,
        )

    def close(self, timeout: float = 1.0) -> None:
        """Take nothing more, send what can be sent soon, and leave the rest to the next process.

        Args:
            timeout: How long to go on sending, in seconds.
        """
        if self._stopping.is_set():
            return
        self._intake.closed = True
        give_up = time.monotonic() + timeout
        while not self._outbox.empty() and time.monotonic() < give_up:
            time.sleep(_CLOSE_POLL_SECONDS)
        self._sender.stop()
        self._stopping.set()
        self._wake.set()
        self._keeper.join(_JOIN_SECONDS)
        self._intake.close(self._outbox.take_back())
        self._spool.close()

    def _keep(self) -> None:
        """Look after disk, clock and orphans until the end: the body of the keeper thread."""
        next_round = next_adoption = 0.0
        while not self._stopping.is_set():
            now = time.monotonic()
            try:
                self._intake.sync()
                if self._intake.aside or now >= next_round:
                    next_round = now + self._limits.round_seconds
                    self._intake.tend()
                    self._sender.check()
                    self._troubles.report(self._intake)
                if now >= next_adoption:
                    next_adoption = now + self._limits.adopt_seconds
                    self._spool.adopt_orphans()
            except Exception:  # without a keeper nobody would heal the disk
                log.exception("recorder_keeper_failed")
            self._wake.wait(self._limits.sync_seconds)
            self._wake.clear()
