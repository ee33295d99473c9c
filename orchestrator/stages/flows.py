"""Walks a plan's control flow: in order, again and again, side by side, one or the other.

Every answer is an item of its own, so that a person can follow how the text came about. Each has a
name in the flow (`step`), the same in every run of the plan: what is done already is skipped.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from orchestrator.configs.plan import (
    PlannedConditional,
    PlannedIteration,
    PlannedParallel,
    PlannedSequence,
)
from orchestrator.configs.templates import render
from orchestrator.model import Phase
from orchestrator.stages.writing import Passage, Place, draft, placeholder_values, write

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from orchestrator.configs.plan import PlannedBranch, PlannedChunk, PlannedFlow
    from orchestrator.ports import TextAnswer
    from orchestrator.stages.run import Run

T = TypeVar("T")


async def walk(run: Run, flow: PlannedFlow, passage: Passage) -> Passage:
    """Go through a control flow.

    Args:
        run: The execution.
        flow: Of its plan.
        passage: The person's first text.

    Returns:
        The text at the end. If its `final` is false, no item holds it as `interception_final` yet.

    Raises:
        Blocked: A machine's text does not fit the level.
        StageFailure: A model or a verdict could not be had.
    """
    match flow:
        case PlannedIteration():
            return await _iterate(run, flow, passage)
        case PlannedParallel():
            return await _side_by_side(run, flow, passage)
        case PlannedConditional():
            return await _choose(run, flow, passage)
        case PlannedSequence():
            return await _in_order(run, flow.chunks, passage, "", 1, ends=True)


async def _in_order(
    run: Run,
    chunks: Sequence[PlannedChunk],
    passage: Passage,
    way: str,
    first_number: int,
    *,
    ends: bool,
) -> Passage:
    """Run chunks one after the other.

    Args:
        run: The execution.
        chunks: What to run.
        passage: What the first works on.
        way: Name of the part of the flow, before the steps' own names.
        first_number: `stage_iteration` of the first item.
        ends: Whether the last chunk writes the text of phase 1.
    """
    for index, chunk in enumerate(chunks):
        step = f"{way}{index + 1}"
        if ends and index == len(chunks) - 1 and not chunk.values:
            place = Place("interception_final", Phase.INTERCEPTION, step)
        else:
            place = Place(
                "interception_iteration",
                Phase.INTERCEPTION,
                step,
                stage_iteration=first_number + index,
                shown=False,
            )
        passage = await write(run, chunk, passage, place)
    return passage


async def _iterate(run: Run, flow: PlannedIteration, passage: Passage) -> Passage:
    languages = draw_languages(flow, run.seed, passage.language)
    for iteration, language in enumerate(languages, start=1):
        passage = await _pass(run, flow, passage, iteration, language)
    return passage


async def _pass(
    run: Run, flow: PlannedIteration, passage: Passage, iteration: int, language: str
) -> Passage:
    """Run the chunks of one pass; it is one item, which holds what led to it."""
    extra = {"ITERATION": str(iteration), "ITERATIONS": str(flow.iterations)}
    place = Place(
        "interception_iteration",
        Phase.INTERCEPTION,
        str(iteration),
        stage_iteration=iteration,
        language=language,
    )
    before: list[tuple[PlannedChunk, TextAnswer]] = []
    at = passage
    for chunk in flow.chunks[:-1] if place.step not in run.progress.steps else ():
        answer = await draft(run, chunk, at, language, extra)
        before.append((chunk, answer))
        at = Passage(answer.text, language or at.language, at.values)
    return await write(run, flow.chunks[-1], at, place, extra=extra, before=before)


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


async def _side_by_side(run: Run, flow: PlannedParallel, passage: Passage) -> Passage:
    """Run the branches at once and join them."""
    passage = await _in_order(run, flow.chunks, passage, "", 1, ends=False)
    number = 1 + len(flow.chunks)
    works = []
    for branch in flow.branches:
        works.append(_branch(run, branch, passage, number))
        number += len(branch.chunks)
    ends = await together(works)
    values = dict(passage.values)
    for branch, end in zip(flow.branches, ends, strict=True):
        found = {name: value for name, value in end.values.items() if value}
        values |= {**found, branch.name: end.text}
    passage = replace(passage, values=values)
    if flow.join_chunk is not None:
        return await _in_order(run, [flow.join_chunk], passage, "join.", number, ends=True)
    language = run.plan.language
    filled = placeholder_values(run, language, passage, passage.language)
    return Passage(render(flow.join_template or "", filled), ends[0].language, values)


async def _branch(run: Run, branch: PlannedBranch, passage: Passage, number: int) -> Passage:
    if branch.input_text is not None:
        own = run.progress.inputs[branch.input_text - 1]
        passage = replace(passage, text=own.text, language=own.language)
    return await _in_order(run, branch.chunks, passage, f"{branch.name}.", number, ends=False)


async def _choose(run: Run, flow: PlannedConditional, passage: Passage) -> Passage:
    """Run the first case whose condition holds."""
    passage = await _in_order(run, flow.chunks, passage, "", 1, ends=False)
    text = run.progress.inputs[0] if run.progress.inputs else None
    known = {
        "INPUT_LANGUAGE": text.language if text else "",
        "INPUT_LENGTH": str(len(text.text)) if text else "0",
        "SAFETY_LEVEL": run.level.word,
        **passage.values,
    }
    chunks, way = flow.otherwise, "otherwise."
    for index, case in enumerate(flow.cases, start=1):
        if case.when.holds(known):
            chunks, way = case.chunks, f"case{index}."
            break
    return await _in_order(run, chunks, passage, way, 1 + len(flow.chunks), ends=True)


async def together(works: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Run works at once; the first that fails stops the others, and its exception is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        rest = [task for task in tasks if not task.done()]
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)
