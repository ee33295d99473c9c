"""What the config files say, as immutable values.

A `ConfigSet` is one generation: either everything in it was checked, or it does not exist. The
words are those of the files, so that an author, the JSON Schemas and this module speak alike.
"""
# ruff: noqa: TC001, TC003 - pydantic reads the annotations when the classes are made

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.configs.flows import (
    ControlFlow,
    OutputRequest,
    chunk_ids,
)
from orchestrator.configs.localized import FALLBACK_LANGUAGE, Localized
from orchestrator.configs.values import (
    Frozen,
    FrozenMap,
    FrozenModel,
    Scalar,
    ScalarMap,
    canonical_json,
    digest_of,
)
from orchestrator.configs.workflow import Workflow

# Chunks that the orchestrator itself asks for, whatever a pipeline says.
TRANSLATION_CHUNK = "translation"
OPTIMIZATION_CHUNK = "optimization"


class MediaType(StrEnum):
    """The media that an output config may declare; the words of the taxonomy."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    MUSIC = "music"
    VIDEO = "video"
    THREE_D = "3d"


class InputRequirements(FrozenModel):
    """How many inputs a run needs, exactly."""

    texts: int = 1
    images: int = 0


class Pipeline(FrozenModel):
    """The inputs, chunks and control flow that interception configs name.

    Attributes:
        defaults: Parameters of chunks and outputs where a config says nothing.
        without_context: Whether the chunks run although there is no rule to work by.
        optimize: Whether texts are fitted to the outputs that have an instruction for it.
        output_requests: Outputs with prompts of their own, that a run has when its caller asks for
            none; empty: as the config says.
    """

    id: str
    description: Localized | None = None
    input_requirements: InputRequirements = InputRequirements()
    control_flow: ControlFlow
    defaults: ScalarMap = Field(default={}, validate_default=True)
    without_context: Literal["run", "pass_through"] = "run"
    optimize: bool = True
    output_requests: tuple[OutputRequest, ...] = ()


class ChunkParameters(FrozenModel):
    """How a model shall answer; None leaves it to the model.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_tokens: Most tokens in the answer.
        stop: Texts that end the answer.
        seed: Seed for sampling.
        keep_alive: How long the server keeps the model loaded, such as `30s`, `10m`, `1h`.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    keep_alive: str | None = None

    @property
    def keep_alive_seconds(self) -> float | None:
        """`keep_alive` in seconds."""
        if self.keep_alive is None:
            return None
        units = {"s": 1, "m": 60, "h": 3600}
        return float(self.keep_alive[:-1]) * units[self.keep_alive[-1]]


class Chunk(FrozenModel):
    """One prompt for a language model.

    Attributes:
        role: Whose model is asked, a role of models.json.
        model: A model by name instead, as an exception.
        system: Template of the system message; None: there is none.
        template: Template of the user message.
        values: Names that its answer, a JSON object, gives values to, such as `SUBJECT`: later
            chunks use them as placeholders. Empty: the answer is a text.
        text_value: Which of `values` becomes the text; None: the text stays as it was.
    """

    id: str
    kind: Literal["prompt"] = "prompt"
    description: Localized | None = None
    role: str
    model: str | None = None
    system: Localized | None = None
    template: Localized
    values: tuple[str, ...] = ()
    text_value: str | None = None
    parameters: ChunkParameters = ChunkParameters()


class ParameterSpec(FrozenModel):
    """A parameter that callers and configs may set, and within which limits.

    Attributes:
        minimum: Least number, or None.
        maximum: Greatest number, or None.
        choices: The only values that are allowed; empty: any.
        max_length: Most code points of a string.
    """

    type: Literal["integer", "number", "boolean", "string"]
    default: Scalar | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: tuple[Scalar, ...] = ()
    max_length: int = 2000
    description: Localized | None = None

    @property
    def is_free_text(self) -> bool:
        """Whether a caller can write anything here, so that it must be checked like an input."""
        return self.type == "string" and not self.choices


class Lora(FrozenModel):
    """A small file that bends a model to a style or a subject.

    Attributes:
        name: File as the worker has it, below its folder for LoRAs.
        strength: 1 is what its maker meant; 0 is nothing.
    """

    name: str
    strength: float = 1.0


class OutputConfig(FrozenModel):
    """One way to render.

    Attributes:
        backend: Backend of the generation service.
        model: Model or renderer of that backend; empty with a workflow, which names its own.
        workflow: Id of its workflow, for the backend `comfyui`.
        chunk: Id of the chunk whose answer is the output, for the backend `text`: code for people
            to run elsewhere.
        loras: Put into the workflow, in order.
        photographic: Whether results may look like photographs.
        prompt_languages: ISO 639-1 codes that the model understands; other texts are translated.
        optimization_instruction: How to fit a text to this model; None: phase 2 is left out.
    """

    id: str
    name: Localized
    description: Localized
    media_type: MediaType
    backend: str
    model: str = ""
    workflow: str | None = None
    chunk: str | None = None
    loras: tuple[Lora, ...] = ()
    photographic: bool = True
    prompt_languages: tuple[str, ...] = (FALLBACK_LANGUAGE,)
    optimization_instruction: Localized | None = None
    parameters: Annotated[Mapping[str, ParameterSpec], *Frozen] = Field(
        default={}, validate_default=True
    )
    tags: tuple[str, ...] = ()


class Audience(FrozenModel):
    """For whom a config is meant.

    Attributes:
        min_age: In years.
    """

    min_age: int = 0


class InterceptionConfig(FrozenModel):
    """One artistic or pedagogical attitude.

    Attributes:
        pipeline: Id of its pipeline.
        context: The rule by which a text is rewritten; None: there is none.
        parameters: For its chunks (such as `temperature`) and outputs (such as `width`).
        output_configs: Ids of outputs that a run has when the caller asks for none.
        default_output: A medium or an output id, where `output_configs` is empty.
        accepts_context: Whether a caller may put an own rule in place of `context`.
        translate_input: Whether texts are translated before stage 2.
        owner: The user whose own it is; None: it is everybody's.
    """

    id: str
    name: Localized
    description: Localized
    pipeline: str
    context: Localized | None = None
    parameters: ScalarMap = Field(default={}, validate_default=True)
    output_configs: tuple[str, ...] = ()
    default_output: str | None = None
    accepts_context: bool = False
    translate_input: bool = False
    tags: tuple[str, ...] = ()
    audience: Audience = Audience()
    owner: str | None = None

    def is_for(self, learner: str | None) -> bool:
        """Return whether a learner may choose it; None: who may choose everything."""
        return learner is None or self.owner in (None, learner)


class ConfigSet(FrozenModel):
    """One generation of configs, checked as a whole.

    Attributes:
        default_outputs: Medium to the id of the output that a request for that medium gets.
    """

    interception: Annotated[Mapping[str, InterceptionConfig], *Frozen]
    output: Annotated[Mapping[str, OutputConfig], *Frozen]
    pipelines: Annotated[Mapping[str, Pipeline], *Frozen]
    chunks: Annotated[Mapping[str, Chunk], *Frozen]
    workflows: Annotated[Mapping[str, Workflow], *Frozen] = Field(default={}, validate_default=True)
    default_outputs: Annotated[Mapping[str, str], *Frozen]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole content, 64 hexadecimal digits."""
        return digest_of(canonical_json(self))

    def output_id(self, name: str) -> str | None:
        """Return the id behind an output id or a medium; None: there is no such output."""
        if name in self.output:
            return name
        return self.default_outputs.get(name)

    def outputs_of(self, config: InterceptionConfig) -> tuple[str, ...]:
        """Return the ids of the outputs that a run has when its caller asks for none."""
        if config.output_configs:
            return config.output_configs
        names = [request.output for request in self.requests_of(config)]
        if config.default_output is not None:
            names = [config.default_output]
        found = (self.output_id(name) for name in names)
        return tuple(id_ for id_ in found if id_ is not None)

    def requests_of(self, config: InterceptionConfig) -> tuple[OutputRequest, ...]:
        """Return the pipeline's own requests for outputs, where the config names no outputs."""
        if config.output_configs or config.default_output is not None:
            return ()
        return self.pipelines[config.pipeline].output_requests

    def resolved_interception(self, config_id: str) -> str:
        """Return a config with its pipeline, chunks and outputs as canonical JSON.

        Raises:
            KeyError: There is no such config.
        """
        config = self.interception[config_id]
        pipeline = self.pipelines[config.pipeline]
        wanted = {*chunk_ids(pipeline.control_flow), TRANSLATION_CHUNK, OPTIMIZATION_CHUNK}
        parts = {
            "config": config.model_dump(mode="json"),
            "pipeline": pipeline.model_dump(mode="json"),
            "chunks": [self.chunks[id_].model_dump(mode="json") for id_ in sorted(wanted)],
            "outputs": [self._resolved(self.output[id_]) for id_ in self.outputs_of(config)],
        }
        return canonical_json(parts)

    def resolved_output(self, output_id: str) -> str:
        """Return an output config with its workflow as canonical JSON.

        Raises:
            KeyError: There is no such output.
        """
        return canonical_json(self._resolved(self.output[output_id]))

    def workflow_of(self, output: OutputConfig) -> Workflow | None:
        """Return the workflow of an output; None: it has none."""
        return self.workflows[output.workflow] if output.workflow else None

    def tags_of(self, output: OutputConfig) -> tuple[str, ...]:
        """Return an output's tags; an experimental workflow is told by one, whatever the file."""
        workflow = self.workflow_of(output)
        told = workflow is not None and workflow.experimental
        return tuple(dict.fromkeys((*output.tags, *(("experimental",) if told else ()))))

    def input_image_count(self, output: OutputConfig) -> int:
        """Return how many of the run's pictures an output is made from."""
        workflow = self.workflow_of(output)
        return workflow.input_image_count if workflow else 0

    def _resolved(self, output: OutputConfig) -> dict[str, object]:
        workflow = self.workflow_of(output)
        chunk = self.chunks[output.chunk] if output.chunk else None
        return {
            **output.model_dump(mode="json"),
            "workflow": workflow.model_dump(mode="json") if workflow else None,
            "chunk": chunk.model_dump(mode="json") if chunk else None,
        }

    @cached_property
    def interception_digests(self) -> Mapping[str, str]:
        """Config id to the SHA-256 of `resolved_interception`."""
        return FrozenMap(
            {id_: digest_of(self.resolved_interception(id_)) for id_ in self.interception}
        )

    @cached_property
    def output_digests(self) -> Mapping[str, str]:
        """Output id to the SHA-256 of `resolved_output`."""
        return FrozenMap({id_: digest_of(self.resolved_output(id_)) for id_ in self.output})
