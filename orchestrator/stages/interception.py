"""Stage 2: the artistic rewriting, and per output the fitting to its model.

Where minors look on, a machine's text is recorded and shown only after its check, so that what they
may not see is marked in the record from the start.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.configs.languages import language_name
from orchestrator.configs.plan import PlannedIteration
from orchestrator.events import TextWritten
from orchestrator.model import Decision, Direction, Phase

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedChunk, PlannedOutput
    from orchestrator.model import Verdict
    from orchestrator.ports import TextAnswer
    from orchestrator.stages.run import Run


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a machine's text stands in the record."""

    item_type: str
    phase: Phase
    stage_iteration: int | None = None
    loop_iteration: int | None = None
    language: str = ""


async def intercept(run: Run) -> None:
    """Run phase 1 by the plan's control flow; leaves the text in `run.text`.

    Raises:
        Blocked: The machine's text does not fit the level.
        StageFailure: A model or a verdict could not be had.
    """
    run.journal.transition(1, 2)
    limit = run.services.limits.interception_seconds
    async with run.in_stage(2, limit, phase=Phase.INTERCEPTION):
        for text in run.texts:
            run.journal.record(2, "pipeline_input_text", media_type="text", content=text)
        run.text, run.text_language = run.texts[0] if run.texts else "", _first_language(run)
        flow = run.plan.flow
        if isinstance(flow, PlannedIteration):
            await _iterate(run, flow)
        elif not flow.chunks:
            _record_final(run)
        else:
            for chunk in flow.chunks[:-1]:
                answer = await _ask(run, chunk, _Place("", Phase.INTERCEPTION), show=False)
                await _follow(run, answer, "")
            place = _Place("interception_final", Phase.INTERCEPTION)
            answer = await _ask(run, flow.chunks[-1], place, show=_shows_at_once(run))
            await _publish(run, answer, place, flow.chunks[-1])
            await _follow(run, answer, "")


async def optimize(run: Run, output: PlannedOutput) -> str:
    """Run phase 2 for one output.

    Returns:
        The text for this output: of phase 1, if the output asks for no phase 2.

    Raises:
        Blocked: As of `intercept`.
        StageFailure: As of `intercept`.
    """
    chunk = output.optimization
    if chunk is None:
        return run.text
    limit = run.services.limits.interception_seconds
    number = output.loop_iteration
    async with run.in_stage(2, limit, loop_iteration=number, phase=Phase.OPTIMIZATION):
        place = _Place("optimization_result", Phase.OPTIMIZATION, loop_iteration=number)
        values = {"OPTIMIZATION_INSTRUCTION": output.optimization_instruction or ""}
        answer = await _ask(run, chunk, place, show=_shows_at_once(run), extra=values)
        await _publish(run, answer, place, chunk)
        return answer.text


async def _iterate(run: Run, flow: PlannedIteration) -> None:
    languages = draw_languages(flow, run.seed, run.text_language)
    for iteration in range(1, flow.iterations + 1):
        language = languages[iteration - 1]
        place = _Place("interception_iteration", Phase.INTERCEPTION, iteration, None, language)
        answer = None
        for chunk in flow.chunks:
            last = chunk is flow.chunks[-1]
            values = {"ITERATION": str(iteration), "ITERATIONS": str(flow.iterations)}
            answer = await _ask(run, chunk, place, show=last and _shows_at_once(run), extra=values)
            if last:
                await _publish(run, answer, place, chunk)
            await _follow(run, answer, language)
    _record_final(run)


def draw_languages(flow: PlannedIteration, seed: int, first: str) -> list[str]:
    """One language a pass; a random draw never says the same twice in a row."""
    if flow.languages is None:
        return [""] * flow.iterations
    if flow.languages != "random":
        return list(flow.languages)
    draw = random.Random(seed)
    drawn: list[str] = []
    for _ in range(flow.iterations):
        before = drawn[-1] if drawn else first
        choices = [code for code in flow.language_pool if code != before]
        drawn.append(draw.choice(choices or list(flow.language_pool)))
    if flow.final_language:
        drawn[-1] = flow.final_language
    return drawn


async def _ask(
    run: Run,
    chunk: PlannedChunk,
    place: _Place,
    *,
    show: bool,
    extra: dict[str, str] | None = None,
) -> TextAnswer:
    target = place.language or run.text_language
    values = {
        "INPUT_TEXT": run.texts[0] if run.texts else "",
        "PREVIOUS_OUTPUT": run.text,
        "CONTEXT": run.plan.context,
        "LANGUAGE": language_name(target, chunk.language),
        "SOURCE_LANGUAGE": language_name(run.text_language, chunk.language),
        "TARGET_LANGUAGE": language_name(target, chunk.language),
        **{f"INPUT_TEXT_{number}": text for number, text in enumerate(run.texts[1:], start=2)},
        **(extra or {}),
    }
    shown = TextWritten("", place.phase, place.stage_iteration, place.loop_iteration)
    answer = await run.ask(
        chunk,
        values,
        text=run.text,
        source_language=run.text_language,
        target_language=target,
        shown_as=shown if show else None,
    )
    run.record_switches(2, answer, loop_iteration=place.loop_iteration)
    return answer


async def _publish(run: Run, answer: TextAnswer, place: _Place, chunk: PlannedChunk) -> None:
    """Record a machine's text and show it; where minors look on, only after its check."""
    if _shows_at_once(run):
        _record_text(run, answer, place, chunk, withheld=False)
        return
    try:
        verdict = await _check(run, answer.text, place.language or run.text_language)
    except BaseException:
        # The text exists, whatever became of its check: the record keeps it, nobody sees it.
        _record_text(run, answer, place, chunk, withheld=True)
        raise
    allowed = verdict.decision is Decision.ALLOW
    if allowed:
        run.show(
            TextWritten(
                answer.text, place.phase, place.stage_iteration, place.loop_iteration, restart=True
            )
        )
    _record_text(run, answer, place, chunk, withheld=not allowed)
    run.record_verdict(
        2,
        "stage2_safety_check",
        verdict,
        stage_iteration=place.stage_iteration,
        loop_iteration=place.loop_iteration,
    )
    run.require_allowed(verdict, 2, loop_iteration=place.loop_iteration)


async def _check(run: Run, text: str, language: str) -> Verdict:
    (verdict,) = await run.services.safety.check_texts(
        [(text, language)], level=run.level, direction=Direction.OUTPUT, media_type="text"
    )
    return verdict


def _record_text(
    run: Run, answer: TextAnswer, place: _Place, chunk: PlannedChunk, *, withheld: bool
) -> None:
    facts: dict[str, Any] = {"role": chunk.role, **answer.metadata()}
    if place.language:
        facts["language"] = place.language
    if place.phase is Phase.INTERCEPTION and run.plan.context_source == "caller":
        facts["context_source"] = "caller"
    if withheld:
        facts["withheld"] = True
    run.journal.record(
        2,
        place.item_type,
        stage_iteration=place.stage_iteration,
        loop_iteration=place.loop_iteration,
        media_type="text",
        content=answer.text,
        config_used=run.plan.config_id,
        model_used=answer.model,
        backend_used=answer.backend,
        backend_job_id=answer.backend_job_id,
        run_seconds=answer.run_seconds,
        metadata=facts,
    )


def _record_final(run: Run) -> None:
    """Record the text of phase 1 that the last pass, or the person, wrote: checked already."""
    run.shown_text = run.text
    run.journal.record(
        2,
        "interception_final",
        media_type="text",
        content=run.text,
        config_used=run.plan.config_id,
        metadata={"language": run.text_language, "seed": run.seed},
    )


async def _follow(run: Run, answer: TextAnswer, language: str) -> None:
    """Make an answer the text that the next step works on."""
    run.text = answer.text
    if language:
        run.text_language = language
    else:
        found = await run.services.languages.detect(answer.text, run.text_language)
        run.text_language = found.code or run.text_language


def _first_language(run: Run) -> str:
    return run.text_languages[0] if run.text_languages else run.language


def _shows_at_once(run: Run) -> bool:
    return not run.level.withholds_unchecked
