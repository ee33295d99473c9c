"""Translating a text by the plan's translation chunk, and recording it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.configs.languages import language_name
from orchestrator.progress import Draft
from orchestrator.stages.asking import Task, ask, record_switches
from orchestrator.translation import translation_key

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedChunk
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
    input_index: int | None = None,
) -> Draft:
    """Translate a text and record it as `translation_result`.

    Args:
        run: The execution.
        text: What to translate.
        source: ISO 639-1 code of its language; empty when nobody knows.
        target: ISO 639-1 code of the wanted language.
        stage: 1 or 3.
        loop_iteration: The output that it is for.
        input_index: The person's text that it stands for, from 0.

    Returns:
        The translation.

    Raises:
        StageFailure: The model gave none.
    """
    chunk = run.plan.translation

    async def make() -> TextAnswer:
        return await ask(
            run, chunk, _values(chunk, text, source, target), Task(text, source, target)
        )

    model = chunk.model or run.plan.models.get(chunk.role, chunk.role)
    answer = await run.services.translations.get_or_make(
        translation_key(text, source, target, model), make
    )
    record_switches(run, stage, answer, loop_iteration)
    item = run.journal.record(
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
        metadata=_facts(answer, source, target, input_index),
    )
    return Draft(answer.text, target, item.item_id)


def _values(chunk: PlannedChunk, text: str, source: str, target: str) -> dict[str, str]:
    return {
        "INPUT_TEXT": text,
        "PREVIOUS_OUTPUT": text,
        "LANGUAGE": language_name(target, chunk.language),
        "SOURCE_LANGUAGE": language_name(source, chunk.language),
        "TARGET_LANGUAGE": language_name(target, chunk.language),
    }


def _facts(
    answer: TextAnswer, source: str, target: str, input_index: int | None
) -> dict[str, object]:
    facts = {
        "from_lang": source,
        "to_lang": target,
        "detected_language": source,
        **answer.metadata(),
    }
    return facts if input_index is None else {**facts, "input_index": input_index}
