"""One config in one person's language: its control flow and outputs as a plan holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.configs.model import OPTIMIZATION_CHUNK, ChunkParameters
from orchestrator.configs.parameters import CHUNK_PARAMETERS, complaint_about
from orchestrator.configs.plan import (
    PlannedBranch,
    PlannedCase,
    PlannedChunk,
    PlannedConditional,
    PlannedFlow,
    PlannedIteration,
    PlannedOutput,
    PlannedParallel,
    PlannedSequence,
)
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.configs.flows import (
        ConditionalFlow,
        IterativeFlow,
        OutputRequest,
        ParallelFlow,
    )
    from orchestrator.configs.model import (
        Chunk,
        ConfigSet,
        InterceptionConfig,
        OutputConfig,
        Pipeline,
    )
    from orchestrator.configs.values import Scalar


@dataclass(frozen=True)
class Planner:
    """Puts chunks and outputs into the caller's language and merges their parameters."""

    configs: ConfigSet
    config: InterceptionConfig
    pipeline: Pipeline
    language: str

    @property
    def _own_parameters(self) -> dict[str, Scalar]:
        return {**self.pipeline.defaults, **self.config.parameters}

    def chunk(self, chunk: Chunk, overrides: Mapping[str, Scalar] | None = None) -> PlannedChunk:
        """Return a chunk whose parameters give way to `overrides`."""
        parameters = {**chunk.parameters.model_dump(), **(overrides or {})}
        language = chunk.template.language_for(self.language)
        return PlannedChunk(
            id=chunk.id,
            role=chunk.role,
            model=chunk.model,
            language=language,
            system=chunk.system.text_for(language) if chunk.system else None,
            template=chunk.template.text_for(language),
            values=chunk.values,
            text_value=chunk.text_value,
            parameters=ChunkParameters.model_validate(parameters),
        )

    def flow(self, *, has_context: bool) -> PlannedFlow:
        """Return the pipeline's control flow; without a rule perhaps one that passes through."""
        if not has_context and self.pipeline.without_context == "pass_through":
            return PlannedSequence(chunks=())
        flow = self.pipeline.control_flow
        if flow.kind == "iterative":
            return self._iteration(flow)
        if flow.kind == "parallel":
            return self._parallel(flow)
        if flow.kind == "conditional":
            return self._conditional(flow)
        return PlannedSequence(chunks=self._chunks(flow.chunks))

    def _chunks(self, ids: Iterable[str]) -> tuple[PlannedChunk, ...]:
        own = {k: v for k, v in self._own_parameters.items() if k in CHUNK_PARAMETERS}
        return tuple(self.chunk(self.configs.chunks[id_], own) for id_ in ids)

    def _iteration(self, flow: IterativeFlow) -> PlannedIteration:
        languages, last = flow.languages, flow.final_language
        if isinstance(languages, tuple) and last:
            languages = (*languages[: flow.iterations - 1], last)
        return PlannedIteration(
            chunks=self._chunks(flow.chunks),
            iterations=flow.iterations,
            languages=languages,
            language_pool=flow.language_pool,
            final_language=last,
        )

    def _parallel(self, flow: ParallelFlow) -> PlannedParallel:
        template = flow.join.template
        return PlannedParallel(
            chunks=self._chunks(flow.chunks),
            branches=tuple(
                PlannedBranch(
                    name=branch.name,
                    input_text=branch.input_text,
                    chunks=self._chunks(branch.chunks),
                )
                for branch in flow.branches
            ),
            join_chunk=self._chunks([flow.join.chunk])[0] if flow.join.chunk else None,
            join_template=template.text_for(self.language) if template else None,
        )

    def _conditional(self, flow: ConditionalFlow) -> PlannedConditional:
        return PlannedConditional(
            chunks=self._chunks(flow.chunks),
            cases=tuple(
                PlannedCase(when=case.when, chunks=self._chunks(case.chunks)) for case in flow.cases
            ),
            otherwise=self._chunks(flow.otherwise),
        )

    def output(
        self,
        number: int,
        output: OutputConfig,
        given: Mapping[str, Scalar],
        request: OutputRequest | None,
    ) -> PlannedOutput:
        """Return an output with its number.

        Args:
            number: From 1.
            output: Its config.
            given: Parameters from the caller.
            request: What the pipeline wants of it; None: it did not ask.

        Raises:
            InvalidArgumentError: PARAMETER_OUT_OF_RANGE (`outputs[i]`).
        """
        prompt = request.prompt if request else None
        instruction = output.optimization_instruction if self.pipeline.optimize else None
        optimization = self.chunk(self.configs.chunks[OPTIMIZATION_CHUNK]) if instruction else None
        workflow = self.configs.workflow_of(output)
        return PlannedOutput(
            loop_iteration=number,
            id=output.id,
            media_type=output.media_type,
            backend=output.backend,
            model=output.model or output.workflow or output.chunk or "",
            workflow=workflow.planned() if workflow else None,
            input_image_count=self.configs.input_image_count(output),
            loras=output.loras,
            chunk=self.chunk(self.configs.chunks[output.chunk]) if output.chunk else None,
            prompt=prompt.text_for(self.language) if prompt else None,
            photographic=output.photographic,
            prompt_languages=output.prompt_languages,
            optimization=optimization,
            optimization_instruction=(
                instruction.text_for(optimization.language)
                if instruction and optimization
                else None
            ),
            parameters=self._output_parameters(
                number, output, given, request.parameters if request else {}
            ),
        )

    def _output_parameters(
        self,
        number: int,
        output: OutputConfig,
        given: Mapping[str, Scalar],
        requested: Mapping[str, Scalar],
    ) -> dict[str, Scalar]:
        merged: dict[str, Scalar] = {}
        for name, spec in output.parameters.items():
            own = requested.get(name, self._own_parameters.get(name, spec.default))
            value = given.get(name, own)
            if value is None:
                continue
            if name not in given and (complaint := complaint_about(value, spec)):
                raise InvalidArgumentError(
                    "PARAMETER_OUT_OF_RANGE",
                    f"The config's {name} does not fit this output. {complaint}",
                    field=f"outputs[{number - 1}]",
                )
            merged[name] = value
        return merged
