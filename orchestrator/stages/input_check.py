"""Stage 1: every text and picture that a person gave is checked, once, before anything else.

Every text that can reach a model is an input here: the texts, the caller's own context, and free
texts among the parameters.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.model import Decision, Direction
from orchestrator.progress import Draft, input_slot
from orchestrator.stages.translate import translate

if TYPE_CHECKING:
    from orchestrator.languages import DetectedLanguage
    from orchestrator.model import MediaFile, Verdict
    from orchestrator.stages.run import Run

WORKING_LANGUAGE = "en"
"""What `translate_input` translates to."""


@dataclass(frozen=True, slots=True)
class _Input:
    """A text to check and where it stands in the request."""

    field: str
    text: str


async def check_inputs(run: Run) -> None:
    """Record and check all inputs at once, unless that is done, and find each text's language.

    Raises:
        Blocked: One of them does not fit the level.
        StageFailure: A verdict could not be had.
    """
    progress = run.progress
    if progress.inputs_checked:
        return
    run.journal.transition(0, 1)
    async with run.in_stage(1, run.services.limits.input_check_seconds):
        inputs = [_Input(input_slot(at), draft.text) for at, draft in enumerate(progress.inputs)]
        inputs += [_Input(extra.field, extra.text) for extra in run.plan.caller_texts]
        detect = run.services.languages.detect
        languages = [await detect(each.text, run.language) for each in inputs]
        _record_inputs(run, inputs, languages)
        verdicts = await _check(run, inputs, languages)
        for index, verdict in enumerate(verdicts):
            item_type = (
                "stage1_safety_check" if index < len(inputs) else "stage1_safety_check_image"
            )
            run.record_verdict(1, item_type, verdict, input_index=index)
        # A refusal is said before an outage: it holds whatever the other checks would say.
        for verdict in sorted(verdicts, key=lambda each: each.decision is not Decision.BLOCK):
            run.require_allowed(verdict, 1)
        await translate_inputs(run)
        progress.inputs_checked = True


async def translate_inputs(run: Run) -> None:
    """Put the person's texts into the working language, if the config wants that.

    Raises:
        StageFailure: The model gave no translation.
    """
    if not run.plan.translate_input:
        return
    for index, draft in enumerate(run.progress.inputs):
        if draft.language != WORKING_LANGUAGE:
            translated = await translate(
                run, draft.text, draft.language, WORKING_LANGUAGE, stage=1, input_index=index
            )
            run.progress.put(input_slot(index), translated)


def _record_inputs(run: Run, inputs: list[_Input], languages: list[DetectedLanguage]) -> None:
    for index, (each, language) in enumerate(zip(inputs, languages, strict=True)):
        item = run.journal.record(
            1,
            "user_input_text",
            media_type="text",
            content=each.text,
            metadata={
                "field": each.field,
                "input_index": index,
                "detected_language": language.code,
                "language_confidence": language.confidence,
            },
        )
        if index < len(run.progress.inputs):
            draft = Draft(each.text, language.code or run.language, item.item_id)
            run.progress.put(input_slot(index), draft)
    for offset, image in enumerate(run.images):
        run.journal.record(
            1,
            "user_input_image",
            media_type="image",
            media=image,
            metadata={"field": f"images[{offset}]", "input_index": len(inputs) + offset},
        )


async def _check(
    run: Run, inputs: list[_Input], languages: list[DetectedLanguage]
) -> list[Verdict]:
    texts = [
        (each.text, found.code or run.language)
        for each, found in zip(inputs, languages, strict=True)
    ]
    checking = run.services.safety.check_texts(texts, level=run.level, direction=Direction.INPUT)
    if not run.images:  # as mostly: then there is nothing to do beside it
        return await checking
    text_verdicts, image_verdicts = await asyncio.gather(
        checking, asyncio.gather(*(_check_image(run, image) for image in run.images))
    )
    return [*text_verdicts, *image_verdicts]


async def _check_image(run: Run, image: MediaFile) -> Verdict:
    # Whatever a person brings may be a photograph.
    return await run.services.safety.check_image(
        image, level=run.level, direction=Direction.INPUT, photographic=True
    )
