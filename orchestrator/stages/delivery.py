"""The end of stage 4: files are checked, recorded, and only then can anybody fetch them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.events import OutputReady
from orchestrator.journal import new_id
from orchestrator.model import Decision, Direction, OutputState, StageFailure

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.model import OutputStatus, Verdict
    from orchestrator.ports import JobFinished, JobOutput
    from orchestrator.stages.run import Run

UNCHECKABLE = frozenset({"video", "3d"})
"""Media that show something and that no guard can look at yet."""


async def deliver(
    run: Run,
    output: PlannedOutput,
    status: OutputStatus,
    files: list[JobOutput],
    finished: JobFinished,
) -> None:
    """Check the files of one output, record them, and let their owner fetch them.

    All of them or none: a batch with one picture that may not be seen is not shown in part.

    Raises:
        Blocked: A file does not fit the level.
        StageFailure: A verdict could not be had, or a file could not be released.
    """
    item_ids = [status.item_id, *(new_id() for _ in files[1:])]
    verdicts: list[Verdict] = []
    released = False
    try:
        for made in files:
            verdict = await _check(run, output, made)
            verdicts += [verdict] if verdict is not None else []
        if all(verdict.decision is Decision.ALLOW for verdict in verdicts):
            await asyncio.shield(_release(run, item_ids, files))
            released = True
    finally:
        # Made is made, whatever became of the check: the record keeps it, perhaps unseen.
        _record_facts(run, output, finished)
        for number, (item_id, made) in enumerate(zip(item_ids, files, strict=True), start=1):
            _record_file(
                run, output, status, made, finished, item_id, number, withheld=not released
            )
    loop_iteration = output.loop_iteration
    for verdict in verdicts:
        run.record_verdict(4, "stage4_safety_check_image", verdict, loop_iteration=loop_iteration)
    for verdict in verdicts:
        run.require_allowed(verdict, 4, loop_iteration=loop_iteration)
    status.media = files[0].media
    status.more_files = tuple(
        (item_id, made.media) for item_id, made in zip(item_ids[1:], files[1:], strict=True)
    )
    status.state = OutputState.DELIVERED
    run.log.add(OutputReady(replace(status)))


async def _check(run: Run, output: PlannedOutput, made: JobOutput) -> Verdict | None:
    """Return the verdict about a file; None where the level or the medium needs none."""
    photographic = output.photographic or made.photographic
    if output.media_type in UNCHECKABLE and photographic and run.level.withholds_unchecked:
        raise StageFailure(
            "SAFETY_UNAVAILABLE",
            "This kind of output cannot be checked for children and teenagers here; "
            "choose a picture.",
            recoverable=False,
        )
    if output.media_type != "image" or not run.level.checks_pictures:
        return None
    return await run.services.safety.check_image(
        made.media, level=run.level, direction=Direction.OUTPUT, photographic=photographic
    )


async def _release(run: Run, item_ids: list[str], files: list[JobOutput]) -> None:
    for item_id, made in zip(item_ids, files, strict=True):
        await run.services.generation.release_media(run.execution_id, item_id, made.media.sha256)


def _record_facts(run: Run, output: PlannedOutput, finished: JobFinished) -> None:
    for warning in finished.warnings:
        _record_warning(run, output, "PARAMETER_NOT_APPLIED", warning)
    for text in finished.texts:
        _record_backend_text(run, output, text)


def _record_file(
    run: Run,
    output: PlannedOutput,
    status: OutputStatus,
    made: JobOutput,
    finished: JobFinished,
    item_id: str,
    file_number: int,
    *,
    withheld: bool,
) -> None:
    facts: dict[str, Any] = {
        **finished.parameters,
        "prompt": status.prompt,
        "wait_seconds": finished.wait_seconds,
        "photographic": made.photographic,
        "file_number": file_number,
    }
    if finished.workflow_sha256:
        facts["workflow_sha256"] = finished.workflow_sha256
    if finished.outputs_reused:
        facts["outputs_reused"] = True
    if withheld:
        facts["withheld"] = True
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
        item_id=item_id,
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
