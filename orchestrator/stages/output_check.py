"""Stage 3: per output, the text that will be sent is translated where needed, then checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.model import Direction
from orchestrator.stages.translate import translate

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.stages.run import Run


async def check_output(run: Run, output: PlannedOutput, text: str) -> str:
    """Translate and check exactly the text that one output will be made from.

    Args:
        run: The execution.
        output: The output.
        text: From stage 2.

    Returns:
        The text to send.

    Raises:
        Blocked: It does not fit the level.
        StageFailure: A translation or a verdict could not be had.
    """
    number = output.loop_iteration
    run.journal.transition(2, 3, loop_iteration=number)
    limit = run.services.limits.output_check_seconds
    async with run.in_stage(3, limit, loop_iteration=number):
        language = await _language_of(run, text)
        if language not in output.prompt_languages:
            target = output.prompt_languages[0]
            text = await translate(run, text, language, target, stage=3, loop_iteration=number)
            language = target
        (verdict,) = await run.services.safety.check_texts(
            [(text, language)],
            level=run.level,
            direction=Direction.OUTPUT,
            media_type=output.media_type,
        )
        run.record_verdict(3, "stage3_safety_check", verdict, loop_iteration=number)
        run.require_allowed(verdict, 3, loop_iteration=number)
        return text


async def _language_of(run: Run, text: str) -> str:
    """Language of a text of stage 2: an optimized one may be in another than the person's."""
    if text == run.text:
        return run.text_language
    found = await run.services.languages.detect(text, run.text_language)
    return found.code or run.text_language
