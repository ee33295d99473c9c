"""How much a recorder may use, and when it calls something slow or dead."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of a recorder; the defaults fit a classroom box and a small volume.

    Attributes:
        quota_bytes: Most bytes of its spool, adopted folders included.
        memory_bytes: Most bytes kept in memory while the disk fails.
        segment_bytes: A segment of this size is left for the next one.
        settled_seconds: A segment of which all is acked is removed when it is this old.
        max_settled_seconds: A segment of which some is acked is left for the next one when it is
            this old, so that it can be removed soon.
        stall_seconds: Two writes in a row that take longer mean that the disk is stalled.
        disk_retry_seconds: Wait before a failed disk is tried again.
        sync_seconds: How often the spool is synced; a killed machine loses as much.
        round_seconds: How often full segments, acks and troubles are looked at.
        adopt_seconds: How often orphaned folders are looked for.
        linger_seconds: How long items are gathered before they are sent.
        batch_items: Most items of a batch.
        batches_in_flight: Most batches that wait for their ack.
        ack_seconds: A tracker that takes longer to ack counts as frozen.
        min_backoff_seconds: First wait before a reconnect; doubles, with jitter.
        max_backoff_seconds: Longest wait before a reconnect.
        log_seconds: How often one kind of trouble is logged.
    """

    quota_bytes: int = 256 * MIB
    memory_bytes: int = 16 * MIB
    segment_bytes: int = 4 * MIB
    settled_seconds: float = 1.0
    max_settled_seconds: float = 10.0
    stall_seconds: float = 0.005
    disk_retry_seconds: float = 0.25
    sync_seconds: float = 0.05
    round_seconds: float = 0.25
    adopt_seconds: float = 30.0
    linger_seconds: float = 0.05
    batch_items: int = 512
    batches_in_flight: int = 8
    ack_seconds: float = 10.0
    min_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0
    log_seconds: float = 60.0
