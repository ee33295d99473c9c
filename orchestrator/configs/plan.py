"""The plan of an execution: everything that its config says, resolved once, at the start.

A run reads its plan and never the configs again, so editing a file changes no running execution.
The plan is stored under the SHA-256 of its canonical JSON and can be taken up by another process.
What is drawn or detected while running (seeds, random languages) is recorded, not planned.
"""
# ruff: noqa: TC001, TC003 - pydantic reads the annotations when the classes are made

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from orchestrator.configs.flows import Condition
from orchestrator.configs.model import ChunkParameters, InputRequirements, Lora, MediaType
from orchestrator.configs.templates import render
from orchestrator.configs.values import (
    Frozen,
    FrozenModel,
    ScalarMap,
    canonical_json,
    digest_of,
)
from orchestrator.configs.workflow import PlannedWorkflow


class Message(NamedTuple):
    """One message to a model.

    Attributes:
        role: `system` or `user`.
    """

    role: Literal["system", "user"]
    content: str


class PlannedChunk(FrozenModel):
    """A chunk in the caller's language, its parameters merged.

    Attributes:
        model: A model by name, where the chunk names one; None: whatever the role means.
        language: ISO 639-1 code of the language that the templates are written in; names of
            languages are put into them in this language (`languages.language_name`).
        values: Names that its answer, a JSON object, gives values to; empty: it answers a text.
        text_value: Which of them becomes the text; None: the text stays as it was.
    """

    id: str
    role: str
    model: str | None
    language: str
    system: str | None
    template: str
    values: tuple[str, ...] = ()
    text_value: str | None = None
    parameters: ChunkParameters

    def messages(self, values: Mapping[str, str]) -> tuple[Message, ...]:
        """Render what the model is sent.

        Args:
            values: By placeholder name, see `templates.PLACEHOLDERS`.
        """
        user = Message("user", render(self.template, values))
        if self.system is None:
            return (user,)
        return Message("system", render(self.system, values)), user


class PlannedSequence(FrozenModel):
    """Chunks in order; none passes the text through."""

    kind: Literal["sequence"] = "sequence"
    chunks: tuple[PlannedChunk, ...]


class PlannedIteration(FrozenModel):
    """The chunks of one pass, repeated.

    Attributes:
        iterations: Count of passes, 1 to 50.
        languages: One code per pass; "random": draw each pass from `language_pool` with a recorded
            seed; None: no languages.
        language_pool: What to draw from; at least two where there is something to draw.
        final_language: Language of the last pass; None: like the others. A fixed `languages` holds
            it already.
    """

    kind: Literal["iterative"] = "iterative"
    chunks: tuple[PlannedChunk, ...]
    iterations: int
    languages: tuple[str, ...] | Literal["random"] | None
    language_pool: tuple[str, ...]
    final_language: str | None


class PlannedBranch(FrozenModel):
    """One of several ways at the same time; see `flows.Branch`."""

    name: str
    input_text: int | None
    chunks: tuple[PlannedChunk, ...]


class PlannedParallel(FrozenModel):
    """Branches side by side after the chunks that come before; exactly one way of joining them.

    Attributes:
        join_chunk: The chunk that writes the text.
        join_template: Template of the text.
    """

    kind: Literal["parallel"] = "parallel"
    chunks: tuple[PlannedChunk, ...]
    branches: tuple[PlannedBranch, ...]
    join_chunk: PlannedChunk | None
    join_template: str | None


class PlannedCase(FrozenModel):
    """A way that is taken when its condition is the first that holds."""

    when: Condition
    chunks: tuple[PlannedChunk, ...]


class PlannedConditional(FrozenModel):
    """The first case whose condition holds, after the chunks that come before."""

    kind: Literal["conditional"] = "conditional"
    chunks: tuple[PlannedChunk, ...]
    cases: tuple[PlannedCase, ...]
    otherwise: tuple[PlannedChunk, ...]


PlannedFlow = Annotated[
    PlannedSequence | PlannedIteration | PlannedParallel | PlannedConditional,
    Field(discriminator="kind"),
]


def chunks_of(
    flow: PlannedSequence | PlannedIteration | PlannedParallel | PlannedConditional,
) -> list[PlannedChunk]:
    """Return every chunk that a flow may run."""
    chunks = list(flow.chunks)
    if isinstance(flow, PlannedParallel):
        chunks += [chunk for branch in flow.branches for chunk in branch.chunks]
        chunks += [flow.join_chunk] if flow.join_chunk else []
    elif isinstance(flow, PlannedConditional):
        chunks += [chunk for case in flow.cases for chunk in case.chunks]
        chunks += flow.otherwise
    return chunks


class PlannedOutput(FrozenModel):
    """One output of the run.

    Attributes:
        loop_iteration: Its number, from 1.
        id: Id of its output config.
        model: Model or renderer of the backend; with a workflow and no model, the workflow's id.
        workflow: The graph that makes it; None: its backend needs none.
        input_image_count: So many of the run's pictures are parameters, the first ones.
        loras: Put into the workflow, in order.
        chunk: Its answer is the output, which then is a text; None: a backend makes the output.
        prompt: Template of its text, where the pipeline asked for this output; None: the text of
            phase 1.
        optimization: Phase 2 for it; None: the text of phase 1 is used. Its placeholder
            OPTIMIZATION_INSTRUCTION gets `optimization_instruction`.
        parameters: Merged: output's defaults, pipeline's, config's, caller's. No seed in it.
    """

    loop_iteration: int
    id: str
    media_type: MediaType
    backend: str
    model: str
    workflow: PlannedWorkflow | None = None
    input_image_count: int = 0
    loras: tuple[Lora, ...] = ()
    chunk: PlannedChunk | None = None
    prompt: str | None = None
    photographic: bool
    prompt_languages: tuple[str, ...]
    optimization: PlannedChunk | None
    optimization_instruction: str | None
    parameters: ScalarMap


class CallerText(FrozenModel):
    """A text beside `texts` that the caller wrote and that reaches a model: stage 1 checks it.

    Attributes:
        field: Where it stands in the request, such as `context` or `parameters[negative_prompt]`.
    """

    field: str
    text: str


class Plan(FrozenModel):
    """What one execution does. Immutable; `digest` names it.

    Attributes:
        configs_digest: Generation of the configs that it was made from.
        config_digest: Content of the config with its pipeline, chunks and outputs.
        config_name: For people, in the caller's language.
        language: The caller's, ISO 639-1.
        context: The rule to work by; empty: none.
        context_source: Who wrote `context`.
        translate_input: Whether texts are translated (by `translation`) before stage 2.
        outputs: In order of `loop_iteration`; none: the run is text-only.
        translation: Used at stage 3a and for `translate_input`.
        caller_texts: What stage 1 checks beside the texts and pictures.
        models: Role to the model that it meant when the run started; empty: not resolved yet.
    """

    plan_version: Literal[1] = 1
    configs_digest: str
    config_id: str
    config_digest: str
    config_name: str
    pipeline_id: str
    language: str
    input_requirements: InputRequirements
    context: str
    context_source: Literal["none", "config", "caller"]
    translate_input: bool
    flow: PlannedFlow
    outputs: tuple[PlannedOutput, ...]
    translation: PlannedChunk
    caller_texts: tuple[CallerText, ...]
    models: Annotated[Mapping[str, str], *Frozen] = Field(default={}, validate_default=True)

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role whose model the run may ask, sorted."""
        chunks = [*chunks_of(self.flow), self.translation]
        chunks += [output.optimization for output in self.outputs if output.optimization]
        chunks += [output.chunk for output in self.outputs if output.chunk]
        return tuple(sorted({chunk.role for chunk in chunks}))

    @property
    def own_names(self) -> tuple[str, ...]:
        """Every placeholder that chunks and branches of the flow give values to."""
        names = [name for chunk in chunks_of(self.flow) for name in chunk.values]
        if isinstance(self.flow, PlannedParallel):
            names += [branch.name for branch in self.flow.branches]
        return tuple(dict.fromkeys(names))

    def with_models(self, models: Mapping[str, str]) -> Plan:
        """Return this plan with the models that its roles mean now.

        Args:
            models: Role to `<backend>/<model>`.
        """
        return Plan.model_validate({**self.model_dump(), "models": models})

    def with_only(self, output: PlannedOutput) -> Plan:
        """Return a plan that makes one output from a text that is there, as its only one."""
        alone = output.model_copy(
            update={
                "loop_iteration": 1,
                "optimization": None,
                "optimization_instruction": None,
                "prompt": None,
            }
        )
        return Plan.model_validate({**self.model_dump(), "outputs": (alone.model_dump(),)})

    def to_json(self) -> str:
        """Return the canonical JSON: the same plan always gives the same bytes."""
        return self._canonical

    @cached_property
    def _canonical(self) -> str:
        return canonical_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Read what `to_json` wrote.

        Raises:
            pydantic.ValidationError: This is no plan, or one of a version that we do not know.
        """
        return cls.model_validate_json(text)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `to_json()`, 64 hexadecimal digits."""
        return digest_of(self.to_json())
