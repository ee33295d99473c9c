"""The two recorders that are compared, ours and OpenTelemetry's, and the servers behind them.

Both get the same facts. OpenTelemetry gets them in the form that is cheapest for it: flat
attributes in one dictionary, and the seed, which no 64-bit integer holds, as text. Its spans go
through a `BatchSpanProcessor` with its defaults and the OTLP exporter over gRPC to a server that
forgets them, ours over gRPC to a stand-in for the tracker; each server is a process of its own.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Literal

import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from bench.report import ROOT
from stellwerk_client.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Record = Callable[[str, int], object]

Subject = Literal["ours", "opentelemetry"]
STATES = ("alive", "frozen", "dead")

EXECUTION_ID = "0190f1c2-7a11-7000-8000-000000000001"
ITEM: dict[str, Any] = {
    "epoch": 1,
    "stage": 4,
    "loop_iteration": 1,
    "item_type": "output_image",
    "media_type": "image",
    "content": "Eine Blume auf der Wiese, gesehen durch ein Prisma aus Papier und Lärm. " * 5,
    "config_used": "dada",
    "model_used": "embedded/picture-a",
    "backend_used": "embedded",
    "run_seconds": 0.25,
}
METADATA: dict[str, Any] = {
    "width": 512,
    "height": 512,
    "seed": 2**63 + 5,
    "cfg_scale": 7.5,
    "steps": 20,
    "sampler": "euler",
    "scheduler": "normal",
    "negative_prompt": "blurry",
    "loras": [],
    "workflow_sha256": "ab" * 32,
}


class Server:
    """A process that takes what is recorded, and can be disturbed."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        """Take over a process that serves."""
        self.address = address
        self._process = process

    def disturb(self, state: str) -> None:
        """Freeze or kill it; `alive` leaves it alone."""
        if state == "frozen":
            self._process.send_signal(signal.SIGSTOP)
        elif state == "dead":
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def serving(subject: Subject, folder: Path) -> Iterator[Server]:
    """Run the server of a recorder in a process of its own."""
    arguments = {
        "ours": ("tests.fakes.tracker", str(folder / "journal")),
        "opentelemetry": ("tests.fakes.otlp_sink",),
    }
    command = [sys.executable, "-m", *arguments[subject]]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("serving "))
            yield Server(process, line.split()[1])
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@contextlib.contextmanager
def recording(subject: Subject, folder: Path, address: str) -> Iterator[Record]:
    """Open a recorder; yields what records an item, given an execution and a number."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    if subject == "ours":
        with Recorder(folder / "spool", address) as recorder:
            take = recorder.record
            yield lambda execution_id, number: take(
                execution_id=execution_id, sequence_number=number, metadata=METADATA, **ITEM
            )
        return
    exporter = OTLPSpanExporter(address, insecure=True, timeout=2)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    start = provider.get_tracer("bench").start_span
    facts = ITEM | METADATA | {"seed": str(METADATA["seed"])}

    def record(execution_id: str, number: int) -> None:
        attributes = {**facts, "execution_id": execution_id, "sequence_number": number}
        start("output_image", attributes=attributes).end()

    yield record
    # No shutdown: it waits for a dead server, and whoever measures ends with its process.
