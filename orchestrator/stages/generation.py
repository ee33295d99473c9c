"""Stage 4: one output is rendered; what then happens to its files is in `delivery`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from orchestrator.events import ProgressMade, QueueUpdated
from orchestrator.journal import new_id
from orchestrator.model import OutputState, StageFailure
from orchestrator.ports import (
    JobFinished,
    JobOutput,
    JobProgress,
    JobQueued,
    JobStarted,
    MediaRequest,
)
from orchestrator.stages.delivery import deliver
from orchestrator.stages.written_output import write_output

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.model import OutputStatus
    from orchestrator.stages.run import Run


async def generate(run: Run, output: PlannedOutput, status: OutputStatus, prompt: str) -> None:
    """Render one output from exactly this prompt, check its files and release them.

    Raises:
        Blocked: A file does not fit the level.
        StageFailure: It could not be made, or a verdict could not be had.
    """
    number = output.loop_iteration
    run.journal.transition(3, 4, loop_iteration=number)
    async with run.in_stage(4, run.services.limits.generation_seconds, loop_iteration=number):
        status.prompt = prompt
        status.item_id = new_id()
        run.journal.record(
            4, "pipeline_input_text", loop_iteration=number, media_type="text", content=prompt
        )
        if output.chunk is not None:
            await write_output(run, output, status, prompt)
            return
        files, finished = await _render(run, output, status)
        status.seed = _seed(finished)
        await deliver(run, output, status, files, finished)


async def _render(
    run: Run, output: PlannedOutput, status: OutputStatus
) -> tuple[list[JobOutput], JobFinished]:
    request = MediaRequest(
        execution_id=run.execution_id,
        level=run.level,
        loop_iteration=output.loop_iteration,
        output_config=output.id,
        backend=output.backend,
        model=output.model,
        media_type=output.media_type,
        prompt=status.prompt,
        parameters={**output.parameters, "seed": run.seed},
        item_id=status.item_id,
        workflow=output.workflow,
        loras=output.loras,
        input_media=tuple(run.images[: output.input_image_count]),
        previews=not run.level.withholds_unchecked,
    )
    # By number: a stream that was taken up anew tells of its files again.
    files: dict[int, JobOutput] = {}
    finished: JobFinished | None = None
    # Closing the stream is what cancels the job when this run is cancelled.
    async with aclosing(run.services.generation.generate_media(request)) as events:
        async for event in events:
            if isinstance(event, JobOutput):
                files[event.file_number] = event
            elif isinstance(event, JobFinished):
                finished = event
            else:
                _show(run, status, event)
    if finished is None or finished.state != "DONE" or not files:
        reason = finished.error_reason if finished else ""
        message = finished.error_message if finished else ""
        raise StageFailure(
            reason or "GENERATION_FAILED",
            message or "The output could not be made; try again.",
            details=(finished.error_detail,) if finished and finished.error_detail else (),
        )
    return [files[number] for number in sorted(files)], finished


def _show(run: Run, status: OutputStatus, event: JobQueued | JobStarted | JobProgress) -> None:
    number = status.loop_iteration
    if isinstance(event, JobQueued):
        status.state = OutputState.QUEUED
        run.log.add(QueueUpdated(number, event.position, event.estimate_seconds))
    elif isinstance(event, JobStarted):
        status.state = OutputState.RUNNING
    else:
        run.log.add(
            ProgressMade(number, event.percent, event.node, event.preview, event.preview_mime_type)
        )


def _seed(finished: JobFinished) -> int | None:
    seed = finished.parameters.get("seed")
    return seed if isinstance(seed, int) else None
