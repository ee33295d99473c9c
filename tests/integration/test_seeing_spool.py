"""The name of a span in the spool: it outlives its process, and the tracker links to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.server import start_server
from stellwerk_client.recorder import Recorder
from tests.fakes.otlp_sink import collecting
from tests.integration.recording import NOWHERE, QUICK, recording
from tests.support import eventually
from tracker_service.service import registration
from tracker_service.settings import TrackerSettings

if TYPE_CHECKING:
    from pathlib import Path

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


async def test_a_trace_survives_the_recorder_that_took_it(tmp_path: Path) -> None:
    """Taken while the tracker is away, sent by the next process: the batch links to the run."""
    with recording(tmp_path / "spool", NOWHERE) as recorder:
        recorder.record_trace(f"00-{TRACE}-{SPAN}-01")
        recorder.record_trace("nonsense, which a newer version might write")
        assert recorder.stats().pending == 0  # it is no item, and nobody waits for it
        recorder.record(
            execution_id="0198c0de-0000-7000-8000-000000000000",
            epoch=1,
            sequence_number=1,
            stage=0,
            item_type="pipeline_start",
        )
    with collecting() as (sink, endpoint):
        settings = TrackerSettings(
            listen_address="127.0.0.1:0",
            data_dir=tmp_path / "data",
            otlp_endpoint=endpoint,
            grace_seconds=1,
        )
        async with start_server(settings, registration(settings)) as server:
            with Recorder(tmp_path / "spool", server.address, limits=QUICK) as next_one:
                await eventually(lambda: next_one.stats().acked == 1)
        stored = [span for span in sink.spans() if span.name == "store items"]
    assert [span.links for span in stored if span.links] == [((TRACE, SPAN),)]
    assert sum(int(span.attributes["stellwerk.items"]) for span in stored) == 1
