"""Stage 4: one output is rendered, its file checked, and only then can anybody fetch it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.events import OutputReady, ProgressMade, QueueUpdated
from orchestrator.journal import new_id
from orchestrator.model import Decision, Direction, OutputState, StageFailure
from orchestrator.ports import (
    JobFinished,
    JobOutput,
    JobProgress,
    JobQueued,
    JobStarted,
    MediaRequest,
)

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.model import OutputStatus, Verdict
    from orchestrator.stages.run import Run


async def generate(run: Run, output: PlannedOutput, status: OutputStatus, prompt: str) -> None:
    """Render one output from exactly this prompt, check its file and release it.

    Raises:
        Blocked: The file does not fit the level.
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
        made, finished = await _render(run, output, status)
        status.seed = _seed(finished)
        await _deliver(run, output, status, made, finished)


async def _render(
    run: Run, output: PlannedOutput, status: OutputStatus
) -> tuple[JobOutput, JobFinished]:
    request = MediaRequest(
        execution_id=run.execution_id,
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
    )
    made: JobOutput | None = None
    finished: JobFinished | None = None
    # Closing the stream is what cancels the job when this run is cancelled.
    async with aclosing(run.services.generation.generate_media(request)) as events:
        async for event in events:
            if isinstance(event, JobOutput):
                made = made or event
            elif isinstance(event, JobFinished):
                finished = event
            else:
                _show(run, status, event)
    if finished is None or finished.state != "DONE" or made is None:
        reason = finished.error_reason if finished else ""
        message = finished.error_message if finished else ""
        raise StageFailure(
            reason or "GENERATION_FAILED",
            message or "The output could not be made; try again.",
            details=(finished.error_detail,) if finished and finished.error_detail else (),
        )
    return made, finished


def _show(run: Run, status: OutputStatus, event: JobQueued | JobStarted | JobProgress) -> None:
    number = status.loop_iteration
    if isinstance(event, JobQueued):
        status.state = OutputState.QUEUED
        run.log.add(QueueUpdated(number, event.position, event.estimate_seconds))
    elif isinstance(event, JobStarted):
        status.state = OutputState.RUNNING
    else:
        run.log.add(ProgressMade(number, event.percent, event.node))


async def _deliver(
    run: Run,
    output: PlannedOutput,
    status: OutputStatus,
    made: JobOutput,
    finished: JobFinished,
) -> None:
    """Check the file, record it, and let its owner fetch it."""
    verdict: Verdict | None = None
    if output.media_type == "image" and run.level.checks_pictures:
        try:
            verdict = await run.services.safety.check_image(
                made.media,
                level=run.level,
                direction=Direction.OUTPUT,
                photographic=output.photographic or made.photographic,
            )
        except BaseException:
            _record_output(run, output, status, made, finished, withheld=True)
            raise
    allowed = verdict is None or verdict.decision is Decision.ALLOW
    if allowed:
        await asyncio.shield(
            run.services.generation.release_media(
                run.execution_id, status.item_id, made.media.sha256
            )
        )
    _record_output(run, output, status, made, finished, withheld=not allowed)
    number = output.loop_iteration
    if verdict is not None:
        run.record_verdict(4, "stage4_safety_check_image", verdict, loop_iteration=number)
        run.require_allowed(verdict, 4, loop_iteration=number)
    status.media = made.media
    status.state = OutputState.DELIVERED
    run.log.add(OutputReady(replace(status)))


def _record_output(
    run: Run,
    output: PlannedOutput,
    status: OutputStatus,
    made: JobOutput,
    finished: JobFinished,
    *,
    withheld: bool,
) -> None:
    facts: dict[str, Any] = {
        **finished.parameters,
        "prompt": status.prompt,
        "wait_seconds": finished.wait_seconds,
        "photographic": made.photographic,
    }
    if finished.workflow_sha256:
        facts["workflow_sha256"] = finished.workflow_sha256
    if finished.outputs_reused:
        facts["outputs_reused"] = True
    if withheld:
        facts["withheld"] = True
    for warning in finished.warnings:
        _record_warning(run, output, "PARAMETER_NOT_APPLIED", warning)
    for text in finished.texts:
        _record_backend_text(run, output, text)
    run.journal.record(
        4,
        f"output_{output.media_type}",
        loop_iteration=output.loop_iteration,
        media_type=output.media_type,
        media=made.media,
        config_used=output.id,
        model_used=finished.model,
        backend_used=finished.backend,
        backend_job_id=finished.backend_job_id,
        run_seconds=finished.run_seconds,
        metadata=facts,
        item_id=status.item_id,
    )


def _record_warning(run: Run, output: PlannedOutput, reason: str, message: str) -> None:
    run.journal.record(
        4,
        "warning",
        loop_iteration=output.loop_iteration,
        media_type="metadata",
        metadata={"reason": reason, "message": message},
    )


def _record_backend_text(run: Run, output: PlannedOutput, text: str) -> None:
    """Keep a text that nobody has checked, such as a prompt that a picture service rewrote."""
    facts: dict[str, Any] = {
        "reason": "BACKEND_TEXT",
        "message": "The backend sent a text along, perhaps the prompt as it rewrote it.",
    }
    if run.level.withholds_unchecked:
        facts["withheld"] = True
    run.journal.record(
        4,
        "warning",
        loop_iteration=output.loop_iteration,
        media_type="text",
        content=text,
        metadata=facts,
    )


def _seed(finished: JobFinished) -> int | None:
    seed = finished.parameters.get("seed")
    return seed if isinstance(seed, int) else None
