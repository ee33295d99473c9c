"""Asking a language model what a chunk says, no more and no less."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.model import StageFailure
from orchestrator.ports import TextAnswer, TextRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.configs.plan import PlannedChunk
    from orchestrator.ports import TextDelta
    from orchestrator.stages.run import Run


@dataclass(frozen=True, slots=True)
class Task:
    """What a model works on, for models that only complete texts and get a template of ours.

    Attributes:
        text: The text.
        source_language: ISO 639-1 code of `text`; empty: not known.
        target_language: ISO 639-1 code of the wanted answer; empty: not known.
    """

    text: str
    source_language: str = ""
    target_language: str = ""


async def ask(
    run: Run,
    chunk: PlannedChunk,
    values: Mapping[str, str],
    task: Task,
    on_delta: Callable[[TextDelta], None] | None = None,
) -> TextAnswer:
    """Ask the chunk's model.

    Args:
        run: The execution.
        chunk: What the model is told and with which parameters.
        values: For the chunk's placeholders.
        task: What it works on.
        on_delta: Told of each piece of the answer; must not block.

    Raises:
        StageFailure: There was no answer, or an empty one.
    """
    request = TextRequest(
        role=chunk.role,
        model=chunk.model or "",
        messages=tuple((message.role, message.content) for message in chunk.messages(values)),
        parameters=_parameters(chunk),
        execution_id=run.execution_id,
        level=run.level,
        text=task.text,
        context=values.get("CONTEXT", ""),
        source_language=task.source_language,
        target_language=task.target_language,
        # Under a person's own rule, a template of the config's attitude would be the wrong one.
        config_id="" if run.plan.context_source == "caller" else run.plan.config_id,
        chunk_id=chunk.id,
    )
    answer: TextAnswer | None = None
    # Closing the stream is what stops the model when this run is cancelled.
    async with aclosing(run.services.generation.generate_text(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, TextAnswer):
                answer = piece
            elif on_delta is not None:
                on_delta(piece)
    if answer is None or not answer.text.strip():
        raise StageFailure("EMPTY_ANSWER", "The language model gave no answer; try again.")
    return answer


def record_switches(
    run: Run, stage: int, answer: TextAnswer, loop_iteration: int | None = None
) -> None:
    """Record each model that another one had to stand in for."""
    for from_model, to_model, why in answer.switches:
        run.journal.record(
            stage,
            "backend_switch",
            loop_iteration=loop_iteration,
            media_type="metadata",
            metadata={"from": from_model, "to": to_model, "why": why},
        )


def _parameters(chunk: PlannedChunk) -> dict[str, object]:
    """The chunk's sampling parameters under the contract's names, without those left open."""
    given = chunk.parameters
    named = {
        "temperature": given.temperature,
        "top_p": given.top_p,
        "max_tokens": given.max_tokens,
        "stop": given.stop or None,
        "seed": given.seed,
        "keep_alive_seconds": given.keep_alive_seconds,
    }
    return {name: value for name, value in named.items() if value is not None}
