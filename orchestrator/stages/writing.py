"""One text of a machine: asked for, checked where minors look on, shown and recorded.

Where minors look on, a text is recorded and shown only after its check, so that what they may not
see is marked in the record from the start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.configs.languages import language_name
from orchestrator.events import TextWritten
from orchestrator.model import Decision, Direction, Phase, StageFailure
from orchestrator.stages.asking import Task, ask, record_switches
from orchestrator.stages.sentences import SentenceRelease

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.configs.plan import PlannedChunk
    from orchestrator.events import Item
    from orchestrator.model import Verdict
    from orchestrator.ports import TextAnswer, TextDelta
    from orchestrator.stages.run import Run


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine's text stands in the record.

    Attributes:
        step: Its name in the control flow, under which it is found again after a restart.
        language: The language that was asked for; empty: that of the text it is made from.
        shown: Whether a person reads it while it is written.
    """

    item_type: str
    phase: Phase
    step: str = ""
    stage_iteration: int | None = None
    loop_iteration: int | None = None
    language: str = ""
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Passage:
    """A text on its way through a control flow.

    Attributes:
        language: ISO 639-1.
        values: What answers in JSON and branches gave names to.
        item_id: The item of the last answer.
        final: That item is the `interception_final`.
    """

    text: str
    language: str
    values: Mapping[str, str] = field(default_factory=dict)
    item_id: str = ""
    final: bool = False


def placeholder_values(
    run: Run, chunk_language: str, passage: Passage, target: str
) -> dict[str, str]:
    """Return what the placeholders of a template mean where a passage stands.

    Args:
        run: The execution.
        chunk_language: Language of the template, in which languages are named.
        passage: What the chunk works on.
        target: Language of the wanted text, ISO 639-1.
    """
    inputs = [draft.text for draft in run.progress.inputs]
    return {
        "INPUT_TEXT": inputs[0] if inputs else "",
        "PREVIOUS_OUTPUT": passage.text,
        "CONTEXT": run.plan.context,
        "LANGUAGE": language_name(target, chunk_language),
        "SOURCE_LANGUAGE": language_name(passage.language, chunk_language),
        "TARGET_LANGUAGE": language_name(target, chunk_language),
        **{f"INPUT_TEXT_{number}": text for number, text in enumerate(inputs[1:], start=2)},
        **passage.values,
    }


async def write(
    run: Run,
    chunk: PlannedChunk,
    passage: Passage,
    place: Place,
    *,
    extra: Mapping[str, str] | None = None,
    before: Sequence[tuple[PlannedChunk, TextAnswer]] = (),
) -> Passage:
    """Let a model write one text, unless that was done before.

    Args:
        run: The execution.
        chunk: What the model is told.
        passage: What it works on.
        place: Where its answer stands.
        extra: Further values for the chunk's placeholders.
        before: Answers that led to this one and have no item of their own.

    Returns:
        What the next step works on.

    Raises:
        Blocked: The text does not fit the level.
        StageFailure: A model or a verdict could not be had, or the answer is no JSON object with
            the chunk's values (ANSWER_NOT_JSON).
    """
    known = run.progress.steps.get(place.step) if place.step else None
    if known is not None:
        return await following(run, chunk, passage, known, place.language)
    answer, shown = await _ask_and_show(run, chunk, passage, place, extra or {})
    written = _Written(
        chunk, answer, place, tuple(before), _values_to_record(passage, chunk, answer)
    )
    item = await _publish(run, written, shown, place.language or passage.language)
    after = await following(run, chunk, passage, answer.text, place.language)
    if place.step:
        run.progress.steps[place.step] = answer.text
    return replace(after, item_id=item.item_id, final=place.item_type == "interception_final")


async def draft(
    run: Run,
    chunk: PlannedChunk,
    passage: Passage,
    language: str,
    extra: Mapping[str, str],
) -> TextAnswer:
    """Ask for a text that nobody is shown by itself."""
    target = language or passage.language
    values = {**placeholder_values(run, chunk.language, passage, target), **extra}
    task = Task(passage.text, passage.language, target)
    answer = await ask(run, chunk, values, task)
    record_switches(run, 2, answer)
    return answer


async def following(
    run: Run, chunk: PlannedChunk, passage: Passage, answer: str, language: str
) -> Passage:
    """Return the passage after an answer: a new text, or new values beside the same text."""
    values = read_values(chunk, answer)
    text = answer
    if chunk.values:
        text = values[chunk.text_value] if chunk.text_value else passage.text
    if not language and text != passage.text:
        found = await run.services.languages.detect(text, passage.language)
        language = found.code
    return Passage(text, language or passage.language, {**passage.values, **values})


def read_values(chunk: PlannedChunk, answer: str) -> dict[str, str]:
    """Return the values that an answer gives names to; models like to put words around JSON.

    Raises:
        StageFailure: ANSWER_NOT_JSON.
    """
    if not chunk.values:
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(answer, max(answer.find("{"), 0))
    except (ValueError, RecursionError):
        found = None
    given = found if isinstance(found, dict) else {}
    named = {str(key).upper(): value for key, value in given.items()}
    if missing := [name for name in chunk.values if name not in named]:
        raise StageFailure(
            "ANSWER_NOT_JSON",
            "The language model did not answer in the form that the config needs; try again.",
            details=(f"chunk {chunk.id}: no value for {', '.join(missing)}",),
        )
    return {name: _as_text(named[name]) for name in chunk.values}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def _ask_and_show(
    run: Run, chunk: PlannedChunk, passage: Passage, place: Place, extra: Mapping[str, str]
) -> tuple[TextAnswer, str]:
    """Ask, and show what may be seen already; returns the answer and what was shown of it."""
    target = place.language or passage.language
    values = {**placeholder_values(run, chunk.language, passage, target), **extra}
    task = Task(passage.text, passage.language, target)

    def show(text: str, restart: bool) -> None:
        run.show(
            TextWritten(text, place.phase, place.stage_iteration, place.loop_iteration, restart)
        )

    def show_delta(delta: TextDelta) -> None:
        show(delta.text, delta.restart)

    if not place.shown:
        answer, shown = await ask(run, chunk, values, task), ""
    elif not run.level.withholds_unchecked:
        show("", True)
        answer = await ask(run, chunk, values, task, show_delta)
        shown = answer.text
    else:

        async def passes(text: str) -> bool:
            return await _may_be_shown(run, text, target)

        async with SentenceRelease(passes, show) as release:
            answer = await ask(
                run, chunk, values, task, lambda delta: release.write(delta.text, delta.restart)
            )
        shown = release.shown
    record_switches(run, 2, answer, place.loop_iteration)
    return answer, shown


async def _may_be_shown(run: Run, text: str, language: str) -> bool:
    """Check the beginning of a text; whoever cannot say does not let it through."""
    try:
        verdict = await check_machine_text(run, [text], language)
    except StageFailure:
        return False
    return verdict.decision is Decision.ALLOW


async def check_machine_text(run: Run, texts: Sequence[str], language: str) -> Verdict:
    """Return the verdict about the last of some texts, or about the first that must not pass.

    Raises:
        StageFailure: SAFETY_UNAVAILABLE.
    """
    verdicts = await run.services.safety.check_texts(
        [(text, language) for text in texts],
        level=run.level,
        direction=Direction.OUTPUT,
        media_type="text",
    )
    bad = [verdict for verdict in verdicts if verdict.decision is not Decision.ALLOW]
    return (bad or verdicts[-1:])[0]


@dataclass(frozen=True, slots=True)
class _Written:
    """A machine's text on its way into the record.

    Attributes:
        before: Answers that led to it and have no item of their own.
        values: What has a name by now.
    """

    chunk: PlannedChunk
    answer: TextAnswer
    place: Place
    before: tuple[tuple[PlannedChunk, TextAnswer], ...]
    values: Mapping[str, str]


def _values_to_record(passage: Passage, chunk: PlannedChunk, answer: TextAnswer) -> dict[str, str]:
    try:
        found = read_values(chunk, answer.text)
    except StageFailure:
        found = {}  # told when the answer is recorded
    return {name: value for name, value in {**passage.values, **found}.items() if value}


async def _publish(run: Run, written: _Written, shown: str, language: str) -> Item:
    """Record a machine's text; where minors look on, only after its check, and show the rest."""
    if not run.level.withholds_unchecked:
        return _record_text(run, written, withheld=False)
    answer, place = written.answer, written.place
    texts = [*(earlier.text for _, earlier in written.before), answer.text]
    try:
        verdict = await check_machine_text(run, texts, language)
    except BaseException:
        # The text exists, whatever became of its check: the record keeps it, nobody sees it.
        _record_text(run, written, withheld=True)
        raise
    allowed = verdict.decision is Decision.ALLOW
    if allowed and place.shown:
        _show_rest(run, answer.text, place, shown)
    item = _record_text(run, written, withheld=not allowed)
    run.record_verdict(
        2,
        "stage2_safety_check",
        verdict,
        stage_iteration=place.stage_iteration,
        loop_iteration=place.loop_iteration,
        of_item=item.item_id,
    )
    run.require_allowed(verdict, 2, loop_iteration=place.loop_iteration)
    return item


def _show_rest(run: Run, text: str, place: Place, shown: str) -> None:
    goes_on = bool(shown) and text.startswith(shown)
    rest = text[len(shown) :] if goes_on else text
    if rest:
        run.show(
            TextWritten(rest, place.phase, place.stage_iteration, place.loop_iteration, not goes_on)
        )


def _record_text(run: Run, written: _Written, *, withheld: bool) -> Item:
    place, answer = written.place, written.answer
    if withheld:
        # What may not be seen stands in the content of items, where it is held back.
        for chunk, made in written.before:
            earlier = _Written(chunk, made, replace(place, step=""), (), {})
            _record_text(run, earlier, withheld=True)
    return run.journal.record(
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
        metadata=_facts(run, written, withheld=withheld),
    )


def _facts(run: Run, written: _Written, *, withheld: bool) -> dict[str, Any]:
    place, chunk = written.place, written.chunk
    facts: dict[str, Any] = {"role": chunk.role, "chunk": chunk.id, **written.answer.metadata()}
    if place.step:
        facts["step"] = place.step
    if place.language:
        facts["language"] = place.language
    if place.phase is Phase.INTERCEPTION and run.plan.context_source == "caller":
        facts["context_source"] = "caller"
    if withheld:
        return {**facts, "withheld": True}
    if written.values:
        facts["values"] = dict(written.values)
    if written.before:
        facts["steps"] = [
            {"chunk": each.id, "text": made.text, "model": made.model, **made.metadata()}
            for each, made in written.before
        ]
    return facts
