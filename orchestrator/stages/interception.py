"""Stage 2: the artistic rewriting, and per output the fitting to its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.configs.templates import render
from orchestrator.model import Phase
from orchestrator.progress import INTERCEPTION, Draft, optimization_slot
from orchestrator.stages.flows import walk
from orchestrator.stages.writing import Passage, Place, placeholder_values, write

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.stages.run import Run


async def intercept(run: Run) -> None:
    """Run phase 1 by the plan's control flow, unless it is done; leaves its text in the progress.

    Raises:
        Blocked: The machine's text does not fit the level.
        StageFailure: A model or a verdict could not be had.
    """
    progress = run.progress
    if progress.interception is not None:
        return
    if not progress.steps:
        run.journal.transition(min(max(run.stage, 1), 2), 2)
    limit = run.services.limits.interception_seconds
    async with run.in_stage(2, limit, phase=Phase.INTERCEPTION):
        for draft in progress.inputs:
            run.journal.record(2, "pipeline_input_text", media_type="text", content=draft.text)
        first = progress.inputs[0] if progress.inputs else Draft("", run.language)
        start = Passage(first.text, first.language, dict.fromkeys(run.plan.own_names, ""))
        passage = await walk(run, run.plan.flow, start)
        progress.values = dict(passage.values)
        item_id = passage.item_id if passage.final else _record_final(run, passage)
        progress.put(INTERCEPTION, Draft(passage.text, passage.language, item_id))


async def optimize(run: Run, output: PlannedOutput) -> Draft:
    """Run phase 2 for one output, unless it is done.

    Returns:
        The text for this output: of phase 1 or as the pipeline asked, if it has no phase 2.

    Raises:
        Blocked: As of `intercept`.
        StageFailure: As of `intercept`.
    """
    number = output.loop_iteration
    done = run.progress.optimized.get(number)
    chunk = output.optimization
    if done is not None or chunk is None:
        return done or requested_text(run, output)
    limit = run.services.limits.interception_seconds
    async with run.in_stage(2, limit, loop_iteration=number, phase=Phase.OPTIMIZATION):
        base = requested_text(run, output)
        passage = Passage(base.text, base.language, run.progress.values)
        place = Place("optimization_result", Phase.OPTIMIZATION, loop_iteration=number)
        extra = {"OPTIMIZATION_INSTRUCTION": output.optimization_instruction or ""}
        made = await write(run, chunk, passage, place, extra=extra)
        draft = Draft(made.text, made.language, made.item_id)
        run.progress.put(optimization_slot(number), draft)
        return draft


def requested_text(run: Run, output: PlannedOutput) -> Draft:
    """Return the text that an output is made from before phase 2."""
    if output.prompt is None:
        return run.text
    passage = Passage(run.text.text, run.text.language, run.progress.values)
    values = placeholder_values(run, run.plan.language, passage, run.text.language)
    return Draft(render(output.prompt, values), run.text.language)


def _record_final(run: Run, passage: Passage) -> str:
    """Record the text of phase 1 that the last pass, or the person, wrote: checked already."""
    run.shown_text = passage.text
    values = {name: value for name, value in passage.values.items() if value}
    item = run.journal.record(
        2,
        "interception_final",
        media_type="text",
        content=passage.text,
        config_used=run.plan.config_id,
        metadata={
            "language": passage.language,
            "seed": run.seed,
            **({"values": values} if values else {}),
        },
    )
    return item.item_id
