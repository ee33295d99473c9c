"""A process that records and can be killed while it does: for tests of the recorder.

`python -m tests.fakes.recording_process SPOOL ADDRESS EXECUTION COUNT [FILE_SIZE_LIMIT]` records
items 1 to COUNT, says `recorded N` after each, then waits. With SIGTERM it closes the recorder and
prints its counts as JSON. The limit, in bytes, makes every larger spool file fail like a full disk.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import signal
import sys
from pathlib import Path

from stellwerk_client.recorder import Limits, Recorder


def main(spool: str, address: str, execution_id: str, count: str, size_limit: str = "") -> None:
    """Record, then wait for a signal."""
    if size_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size_limit), int(size_limit)))
    limits = Limits(max_backoff_seconds=0.2, disk_retry_seconds=0.01)
    recorder = Recorder(Path(spool), address, limits=limits)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for number in range(1, int(count) + 1):
        recorder.record(
            execution_id=execution_id,
            epoch=1,
            sequence_number=number,
            stage=1,
            item_type="warning",
            content=f"number {number} " * 10,
        )
        print(f"recorded {number}", flush=True)
    try:
        signal.pause()
    finally:
        recorder.close(0.5)
        print(json.dumps(dataclasses.asdict(recorder.stats())), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
