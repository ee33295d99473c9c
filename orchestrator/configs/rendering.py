"""Every prompt of a plan for a given text, without asking a model: authors see what models get.

What a model would have to say first stands in angle quotes, such as ‹answer of manipulate›.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.configs.languages import language_name
from orchestrator.configs.localized import FALLBACK_LANGUAGE
from orchestrator.configs.plan import (
    PlannedConditional,
    PlannedIteration,
    PlannedParallel,
    PlannedSequence,
)
from orchestrator.configs.templates import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.configs.plan import Message, Plan, PlannedChunk, PlannedOutput

    Flow = PlannedSequence | PlannedIteration | PlannedParallel | PlannedConditional


@dataclass(frozen=True)
class Prompt:
    """What one model call would be sent.

    Attributes:
        stage: 2 or 3.
        step: Where in the run, for people.
        chunk: Id of the chunk.
        role: Whose model is asked.
        parameters: How it shall answer; what is left to the model is left out.
    """

    stage: int
    step: str
    chunk: str
    role: str
    messages: tuple[Message, ...]
    parameters: Mapping[str, object]


def rendered_prompts(plan: Plan, texts: Sequence[str]) -> list[Prompt]:
    """Render every prompt of a run, in the order in which they could come.

    Args:
        plan: Of the run.
        texts: The person's texts, as many as the plan needs.
    """
    return list(_Rendering(plan, texts).prompts())


class _Rendering:
    """One walk through a plan; `_text` is what the next chunk works on."""

    def __init__(self, plan: Plan, texts: Sequence[str]) -> None:
        self._plan = plan
        self._texts = texts
        self._text = texts[0] if texts else ""
        self._values = {name: f"‹{name}›" for name in plan.own_names}

    def prompts(self) -> Iterator[Prompt]:
        yield from self._flow(self._plan.flow)
        phase_1 = self._text
        for output in self._plan.outputs:
            self._text = phase_1
            yield from self._output(output)

    def _flow(self, flow: Flow) -> Iterator[Prompt]:
        match flow:
            case PlannedSequence():
                yield from self._in_order(flow.chunks, "step")
            case PlannedIteration():
                extra = {"ITERATION": "1", "ITERATIONS": str(flow.iterations)}
                language = self._first_language(flow)
                yield from self._in_order(
                    flow.chunks, f"pass 1 of {flow.iterations}, step", extra, language
                )
            case PlannedParallel():
                yield from self._side_by_side(flow)
            case PlannedConditional():
                yield from self._in_order(flow.chunks, "step")
                before = self._text
                for number, case in enumerate(flow.cases, start=1):
                    self._text = before
                    where = f"if {case.when.value} fits case {number}, step"
                    yield from self._in_order(case.chunks, where)
                self._text = before
                yield from self._in_order(flow.otherwise, "otherwise, step")

    def _side_by_side(self, flow: PlannedParallel) -> Iterator[Prompt]:
        yield from self._in_order(flow.chunks, "step")
        before = self._text
        for branch in flow.branches:
            self._text = self._texts[branch.input_text - 1] if branch.input_text else before
            yield from self._in_order(branch.chunks, f"branch {branch.name}, step")
        self._text = before
        if flow.join_chunk is not None:
            yield from self._in_order([flow.join_chunk], "join, step")
        else:
            self._text = render(flow.join_template or "", self._known(self._plan.language))

    def _output(self, output: PlannedOutput) -> Iterator[Prompt]:
        where = f"output {output.loop_iteration} ({output.id})"
        if output.prompt is not None:
            self._text = render(output.prompt, self._known(self._plan.language))
        if output.optimization is not None:
            extra = {"OPTIMIZATION_INSTRUCTION": output.optimization_instruction or ""}
            yield from self._in_order([output.optimization], f"{where}, phase 2,", extra)
        if output.chunk is not None:
            yield self._prompt(4, where, output.chunk, {}, "")
        elif self._plan.language not in output.prompt_languages:
            target = output.prompt_languages[0] if output.prompt_languages else FALLBACK_LANGUAGE
            extra = {"INPUT_TEXT": self._text}
            yield self._prompt(3, f"{where}, translation", self._plan.translation, extra, target)

    def _in_order(
        self,
        chunks: Sequence[PlannedChunk],
        where: str,
        extra: Mapping[str, str] | None = None,
        language: str = "",
    ) -> Iterator[Prompt]:
        for number, chunk in enumerate(chunks, start=1):
            yield self._prompt(2, f"{where} {number}", chunk, extra or {}, language)
            if not chunk.values or chunk.text_value:
                self._text = f"‹answer of {chunk.id}›"

    def _prompt(
        self, stage: int, step: str, chunk: PlannedChunk, extra: Mapping[str, str], language: str
    ) -> Prompt:
        values = {**self._known(chunk.language, language), **extra}
        parameters = chunk.parameters.model_dump(exclude_none=True, exclude_defaults=True)
        return Prompt(stage, step, chunk.id, chunk.role, chunk.messages(values), parameters)

    def _known(self, template_language: str, target: str = "") -> dict[str, str]:
        wanted = language_name(target or self._plan.language, template_language)
        return {
            "INPUT_TEXT": self._texts[0] if self._texts else "",
            **{f"INPUT_TEXT_{n}": text for n, text in enumerate(self._texts[1:], start=2)},
            "PREVIOUS_OUTPUT": self._text,
            "CONTEXT": self._plan.context,
            "LANGUAGE": wanted,
            "TARGET_LANGUAGE": wanted,
            "SOURCE_LANGUAGE": language_name(self._plan.language, template_language),
            **self._values,
        }

    def _first_language(self, flow: PlannedIteration) -> str:
        if isinstance(flow.languages, tuple):
            return flow.languages[0]
        return flow.language_pool[0] if flow.language_pool else ""
