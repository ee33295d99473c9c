"""Stage 1: every text and picture that a person gave is checked, once, before anything else.

Every text that can reach a model is an input here: the texts, the caller's own context, and free
texts among the parameters.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.model import Decision, Direction
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
    """Record and check all inputs at once, and find the language of each text.

    Raises:
        Blocked: One of them does not fit the level.
        StageFailure: A verdict could not be had.
    """
    run.journal.transition(0, 1)
    async with run.in_stage(1, run.services.limits.input_check_seconds):
        inputs = [_Input(f"texts[{index}]", text) for index, text in enumerate(run.texts)]
        inputs += [_Input(extra.field, extra.text) for extra in run.plan.caller_texts]
        languages = await asyncio.gather(
            *(run.services.languages.detect(each.text, run.language) for each in inputs)
        )
        run.text_languages = [found.code or run.language for found in languages[: len(run.texts)]]
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
        if run.plan.translate_input:
            await _translate_inputs(run)


def _record_inputs(run: Run, inputs: list[_Input], languages: list[DetectedLanguage]) -> None:
    for index, (each, language) in enumerate(zip(inputs, languages, strict=True)):
        run.journal.record(
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
    safety = run.services.safety
    text_verdicts, image_verdicts = await asyncio.gather(
        safety.check_texts(texts, level=run.level, direction=Direction.INPUT),
        asyncio.gather(*(_check_image(run, image) for image in run.images)),
    )
    return [*text_verdicts, *image_verdicts]


async def _check_image(run: Run, image: MediaFile) -> Verdict:
    # Whatever a person brings may be a photograph.
    return await run.services.safety.check_image(
        image, level=run.level, direction=Direction.INPUT, photographic=True
    )


async def _translate_inputs(run: Run) -> None:
    for index, (text, language) in enumerate(zip(run.texts, run.text_languages, strict=True)):
        if language == WORKING_LANGUAGE:
            continue
        answer = await translate(run, text, language, WORKING_LANGUAGE, stage=1)
        run.texts[index] = answer
        run.text_languages[index] = WORKING_LANGUAGE
