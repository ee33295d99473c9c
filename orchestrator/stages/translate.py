"""Translating a text by the plan's translation chunk, and recording it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.configs.languages import language_name
from orchestrator.translation import translation_key

if TYPE_CHECKING:
    from orchestrator.ports import TextAnswer
    from orchestrator.stages.run import Run


async def translate(
    run: Run,
    text: str,
    source: str,
    target: str,
    *,
    stage: int,
    loop_iteration: int | None = None,
) -> str:
    """Translate a text and record it as `translation_result`.

    Args:
        run: The execution.
        text: What to translate.
        source: ISO 639-1 code of its language; empty when nobody knows.
        target: ISO 639-1 code of the wanted language.
        stage: 1 or 3.
        loop_iteration: The output that it is for.

    Returns:
        The translation.

    Raises:
        StageFailure: The model gave none.
    """
    chunk = run.plan.translation
    values = {
        "INPUT_TEXT": text,
        "PREVIOUS_OUTPUT": text,
        "LANGUAGE": language_name(target, chunk.language),
        "SOURCE_LANGUAGE": language_name(source, chunk.language),
        "TARGET_LANGUAGE": language_name(target, chunk.language),
    }

    async def make() -> TextAnswer:
        return await run.ask(
            chunk, values, text=text, source_language=source, target_language=target
        )

    model = chunk.model or run.plan.models.get(chunk.role, chunk.role)
    answer = await run.services.translations.get_or_make(
        translation_key(text, source, target, model), make
    )
    run.record_switches(stage, answer, loop_iteration=loop_iteration)
    run.journal.record(
        stage,
        "translation_result",
        loop_iteration=loop_iteration,
        media_type="text",
        content=answer.text,
        config_used=chunk.id,
        model_used=answer.model,
        backend_used=answer.backend,
        backend_job_id=answer.backend_job_id,
        run_seconds=answer.run_seconds,
        metadata={
            "from_lang": source,
            "to_lang": target,
            "detected_language": source,
            **answer.metadata(),
        },
    )
    return answer.text
