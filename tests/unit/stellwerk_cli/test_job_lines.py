"""What a person reads about jobs, workers and the queue."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk_cli.commands.workers import worker_lines
from stellwerk_cli.job_lines import event_lines, job_facts, job_table, queue_line
from stellwerk_cli.tables import seconds, table

DETAIL = "node 3 (KSampler), input 'steps': 0 is smaller than 1."


def job(**fields: Any) -> pb.Job:
    """Make a job that waits, changed as named."""
    waiting: dict[str, Any] = {
        "job_id": "j1",
        "state": pb.JOB_STATE_QUEUED,
        "output_config": "sd15",
        "loop_iteration": 1,
        "queue_time": Timestamp(seconds=1_763_600_000),
        "queued": pb.JobQueued(position=3, estimate_duration=Duration(seconds=12)),
    }
    return pb.Job(**{**waiting, **fields})


def failed() -> pb.JobFinished:
    """Make the end of a job whose workflow is faulty."""
    return pb.JobFinished(
        state=pb.JOB_STATE_FAILED,
        error_reason="WORKFLOW_INVALID",
        error_message="The recipe has a mistake.",
        error_detail=DETAIL,
        wait_duration=Duration(seconds=1),
        run_duration=Duration(seconds=200),
    )


def test_every_row_has_as_many_columns_as_the_head() -> None:
    """An empty cell is a dash, and columns are aligned."""
    lines = table(("A", "LONG", "C"), [("one", "", "x"), ("3", "4", "")])
    assert lines == ["A    LONG  C", "one  -     x", "3    4     -"]


def test_durations_are_rounded_for_people() -> None:
    """Small ones have a decimal, long ones are minutes."""
    assert [seconds(value) for value in (0.44, 12.3, 119, 200)] == [
        "0.4 s",
        "12 s",
        "119 s",
        "3 min",
    ]


def test_a_waiting_job_says_when_it_begins() -> None:
    """Position and estimate are in its row; without an estimate the position alone."""
    assert job_table([job()])[1].endswith("3 before it, about 12 s")
    bare = job(queued=pb.JobQueued(position=3))
    assert job_table([bare])[1].endswith("3 before it")


def test_a_running_job_says_how_far_it_is() -> None:
    """Worker, attempt, percent and node are in its row."""
    running = job(
        state=pb.JOB_STATE_RUNNING,
        queued=None,
        worker="gpu1:8188",
        attempt=2,
        progress=pb.JobProgress(percent=40.4, node="KSampler"),
    )
    assert job_table([running])[1].split()[3:] == [
        *("running", "sd15", "gpu1:8188", "2", "40", "%", "KSampler")
    ]


def test_an_author_finds_node_class_and_input() -> None:
    """The facts of a failed job have the sentence, the reason and the place."""
    facts = "\n".join(job_facts(job(state=pb.JOB_STATE_FAILED, queued=None, finished=failed())))
    assert "The recipe has a mistake. (WORKFLOW_INVALID)" in facts
    assert DETAIL in facts
    assert "prompt" not in facts


def test_each_event_is_a_line() -> None:
    """Queued, started, progress, output, and the end with its reason."""
    media = MediaRef(uri="media/ab/x.png", mime_type="image/png", size_bytes=7)
    events = [
        {"queued": pb.JobQueued(position=1)},
        {"started": pb.JobStarted(worker="w", attempt=1)},
        {"progress": pb.JobProgress(percent=50)},
        {"output": pb.JobOutput(media=media)},
        {"finished": failed()},
    ]
    lines = [
        line
        for fields in events
        for line in event_lines(pb.GenerateMediaResponse(**fields))  # type: ignore[arg-type]
    ]
    assert lines == [
        "queued    1 before it",
        "started   w, attempt 1",
        "progress  50 %",
        "output    media/ab/x.png, image/png, 7 bytes",
        "failed    The recipe has a mistake. (WORKFLOW_INVALID)",
        f"          {DETAIL}",
    ]
    assert event_lines(pb.GenerateMediaResponse()) == []


def test_the_queue_is_one_line() -> None:
    """Whether it is paused, what runs and waits, and until when."""
    status = pb.QueueStatus(
        paused=True, waiting_count=4, running_count=1, session_count=2, worker_count=3
    )
    assert queue_line(status) == "paused: 1 running, 4 waiting of 2 sessions, 3 workers"
    status.estimate_duration.FromSeconds(30)
    assert queue_line(status).endswith("the last begins in about 30 s")


def test_an_ill_worker_says_why() -> None:
    """Its fault is below its line; memory is told in GiB."""
    ill = pb.Worker(
        name="gpu1:8188",
        backend="comfyui",
        state=pb.WORKER_STATE_QUARANTINED,
        fault="It hangs.",
        vram_total_bytes=24 * 2**30,
        vram_free_bytes=2**30,
    )
    head, line, fault = worker_lines([ill])
    assert head.startswith("NAME")
    assert "quarantined" in line
    assert "1.0 of 24.0 GiB" in line
    assert fault == "  It hangs."
