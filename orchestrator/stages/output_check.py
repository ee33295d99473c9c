"""Stage 3: per output, the text that will be sent is translated where needed, then checked."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Decision, Direction, Verdict
from orchestrator.stages.translate import translate

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.progress import Draft
    from orchestrator.stages.run import Run


async def check_output(run: Run, output: PlannedOutput, draft: Draft) -> str:
    """Translate and check exactly the text that one output will be made from, unless that is done.

    Args:
        run: The execution.
        output: The output.
        draft: From stage 2.

    Returns:
        The text to send.

    Raises:
        Blocked: It does not fit the level.
        StageFailure: A translation or a verdict could not be had.
    """
    number = output.loop_iteration
    if (done := run.progress.prompts.get(number)) is not None:
        return done
    run.journal.transition(2, 3, loop_iteration=number)
    limit = run.services.limits.output_check_seconds
    async with run.in_stage(3, limit, loop_iteration=number):
        draft = await _translated(run, output, draft)
        verdict, of_item = await _verdict(run, output, draft)
        run.record_verdict(
            3, "stage3_safety_check", verdict, loop_iteration=number, of_item=of_item
        )
        run.require_allowed(verdict, 3, loop_iteration=number)
        run.progress.prompts[number] = draft.text
        return draft.text


async def _translated(run: Run, output: PlannedOutput, draft: Draft) -> Draft:
    """Return the text in a language of the output; one from an optimization may be in any."""
    language = draft.language
    if draft != run.text:
        found = await run.services.languages.detect(draft.text, language)
        language = found.code or language
    if language in output.prompt_languages:
        return replace(draft, language=language)
    target = output.prompt_languages[0]
    number = output.loop_iteration
    return await translate(run, draft.text, language, target, stage=3, loop_iteration=number)


async def _verdict(run: Run, output: PlannedOutput, draft: Draft) -> tuple[Verdict, str]:
    """Return a verdict, and the item that holds it if it is one that still counts."""
    stored = run.stored_verdict
    digest = hashlib.sha256(draft.text.encode()).hexdigest()
    if stored is not None and (stored.text_sha256, stored.level) == (digest, run.level):
        policy = await run.services.safety.policy_version(run.level)
        if policy == stored.policy_version:
            return Verdict(Decision.ALLOW, run.level, policy, digest), stored.item_id
    (verdict,) = await run.services.safety.check_texts(
        [(draft.text, draft.language)],
        level=run.level,
        direction=Direction.OUTPUT,
        media_type=output.media_type,
    )
    return verdict, ""
