"""What can only be said of all files together: whether what they name is there and fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.configs.documents import Kind
from orchestrator.configs.faults import Fault
from orchestrator.configs.hints import did_you_mean, one_of
from orchestrator.configs.model import OPTIMIZATION_CHUNK, TRANSLATION_CHUNK, MediaType
from orchestrator.configs.parameters import CHUNK_PARAMETERS, complaint_about
from orchestrator.configs.templates import placeholders_in, secondary_text_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.configs.documents import Document
    from orchestrator.configs.model import Chunk, InterceptionConfig, OutputConfig, Pipeline
    from orchestrator.configs.positions import Path
    from orchestrator.configs.values import Scalar
    from orchestrator.configs.workflow import Workflow


@dataclass
class Library:
    """All that was read.

    Attributes:
        ids: Every id that has a file, also a faulty one, so that one fault is not told twice.
        default_outputs: Medium to output id.
        node_classes: What workflows may use.
    """

    ids: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    interception: dict[str, InterceptionConfig] = field(default_factory=dict)
    output: dict[str, OutputConfig] = field(default_factory=dict)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    chunks: dict[str, Chunk] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    default_outputs: dict[str, str] = field(default_factory=dict)
    node_classes: set[str] = field(default_factory=set)


def needed_file_faults(library: Library) -> Iterator[Fault]:
    """Find out whether the chunks that the orchestrator itself asks for are there."""
    for id_ in (TRANSLATION_CHUNK, OPTIMIZATION_CHUNK):
        if id_ not in library.ids[Kind.CHUNK]:
            yield Fault(
                f"chunks/{id_}.json", 0, 0, "",
                "This file is missing; no run is possible without it.",
                "Copy it from the configs that Stellwerk comes with.",
            )  # fmt: skip


def pipeline_faults(document: Document, pipeline: Pipeline, library: Library) -> Iterator[Fault]:
    """Find chunks that are not there, or that want more texts than a run has."""
    texts = pipeline.input_requirements.texts
    for index, id_ in enumerate(pipeline.control_flow.chunks):
        path: Path = ("control_flow", "chunks", index)
        yield from _dangling(document, path, id_, Kind.CHUNK, library)
        numbers = [secondary_text_number(name) or 1 for name in _names_in(library.chunks.get(id_))]
        if numbers and max(numbers) > texts:
            yield document.fault(
                path,
                f"{id_} uses INPUT_TEXT_{max(numbers)}, but a run has texts: {texts}.",
                "Raise input_requirements.texts.",
            )
    known = CHUNK_PARAMETERS.keys() | _output_parameters(library.output.values())
    for name in pipeline.defaults:
        yield from _unknown_parameter(document, ("defaults", name), known)
    yield from _chunk_parameter_faults(document, ("defaults",), pipeline.defaults)


def interception_faults(
    document: Document, config: InterceptionConfig, library: Library
) -> Iterator[Fault]:
    """Find what an interception config names in vain."""
    yield from _dangling(document, ("pipeline",), config.pipeline, Kind.PIPELINE, library)
    for index, id_ in enumerate(config.output_configs):
        yield from _dangling(document, ("output_configs", index), id_, Kind.OUTPUT, library)
    yield from _default_output_faults(document, config, library)
    yield from _missing_context(document, config, library)
    yield from _parameter_faults(document, config, library)


def defaults_faults(document: Document, library: Library) -> Iterator[Fault]:
    """Find default outputs that are not there or make another medium."""
    for medium, id_ in library.default_outputs.items():
        yield from _dangling(document, (medium,), id_, Kind.OUTPUT, library)
        output = library.output.get(id_)
        if output is not None and output.media_type != medium:
            yield document.fault((medium,), f"{id_} makes {output.media_type}, not {medium}.")


_OUTPUT_TYPES = {
    MediaType.TEXT: "text",
    MediaType.IMAGE: "image",
    MediaType.AUDIO: "audio",
    MediaType.MUSIC: "audio",
    MediaType.VIDEO: "video",
    MediaType.THREE_D: "3d",
}


def output_faults(document: Document, output: OutputConfig, library: Library) -> Iterator[Fault]:
    """Find what does not fit between an output config and its workflow."""
    if output.workflow is None:
        return
    yield from _dangling(document, ("workflow",), output.workflow, Kind.WORKFLOW, library)
    workflow = library.workflows.get(output.workflow)
    if workflow is None:
        return
    for name in output.parameters.keys() - workflow.parameters:
        hint = did_you_mean(name, workflow.parameters) or one_of(workflow.parameters)
        message = f"{workflow.id} has no input mapping for it."
        yield document.fault(("parameters", name), message, hint, at_key=True)
    wanted = _OUTPUT_TYPES[output.media_type]
    made = {mapping.output_type for mapping in workflow.output_mapping}
    if wanted not in made:
        message = f"{workflow.id} makes {', '.join(sorted(made))}, not {wanted}."
        yield document.fault(("media_type",), message)
    if output.loras and workflow.lora_place is None:
        message = f"{workflow.id} has no place for LoRAs."
        yield document.fault(("loras",), message, "Give it a lora_place.")


def _dangling(
    document: Document, path: Path, id_: str, kind: Kind, library: Library
) -> Iterator[Fault]:
    known = library.ids[kind]
    if id_ not in known:
        hint = did_you_mean(id_, known) or one_of(known)
        yield document.fault(path, f'There is no {kind.noun} "{id_}".', hint)


def _default_output_faults(
    document: Document, config: InterceptionConfig, library: Library
) -> Iterator[Fault]:
    name = config.default_output
    if name is None or name in library.ids[Kind.OUTPUT] or name in library.default_outputs:
        return
    if name in set(MediaType):
        if library.ids[Kind.OUTPUT_DEFAULTS] and not library.default_outputs:
            return  # that file has a fault of its own
        message = f"output/defaults.json names no output for {name}."
        yield document.fault(("default_output",), message, "Name one there, or an output here.")
        return
    known = library.ids[Kind.OUTPUT] | library.default_outputs.keys()
    hint = did_you_mean(name, known) or one_of(known)
    yield document.fault(("default_output",), f'There is no output or medium "{name}".', hint)


def _missing_context(
    document: Document, config: InterceptionConfig, library: Library
) -> Iterator[Fault]:
    pipeline = library.pipelines.get(config.pipeline)
    if config.context is not None or pipeline is None or pipeline.without_context != "run":
        return
    for id_ in pipeline.control_flow.chunks:
        if "CONTEXT" in _names_in(library.chunks.get(id_)):
            yield document.fault(
                ("context",),
                f"Chunk {id_} needs a context, and this config has none.",
                'Write one, or choose a pipeline with "without_context": "pass_through".',
            )


def _parameter_faults(
    document: Document, config: InterceptionConfig, library: Library
) -> Iterator[Fault]:
    own = [library.output[id_] for id_ in _own_outputs(config, library) if id_ in library.output]
    known = CHUNK_PARAMETERS.keys() | _output_parameters(library.output.values())
    for name, value in config.parameters.items():
        path: Path = ("parameters", name)
        yield from _unknown_parameter(document, path, known)
        for output in own:
            spec = output.parameters.get(name)
            if spec is not None and (complaint := complaint_about(value, spec)):
                yield document.fault(path, f"It does not fit {output.id}. {complaint}")
    yield from _chunk_parameter_faults(document, ("parameters",), config.parameters)


def _own_outputs(config: InterceptionConfig, library: Library) -> tuple[str, ...]:
    if config.output_configs or config.default_output is None:
        return config.output_configs
    return (library.default_outputs.get(config.default_output, config.default_output),)


def _unknown_parameter(document: Document, path: Path, known: set[str]) -> Iterator[Fault]:
    name = str(path[-1])
    if name not in known:
        hint = did_you_mean(name, known) or one_of(known)
        message = f'No chunk and no output has a parameter "{name}".'
        yield document.fault(path, message, hint, at_key=True)


def _chunk_parameter_faults(
    document: Document, path: Path, parameters: Mapping[str, Scalar]
) -> Iterator[Fault]:
    for name, spec in CHUNK_PARAMETERS.items():
        if name in parameters and (complaint := complaint_about(parameters[name], spec)):
            yield document.fault((*path, name), complaint)


def _output_parameters(outputs: Iterable[OutputConfig]) -> set[str]:
    return {name for output in outputs for name in output.parameters}


def _names_in(chunk: Chunk | None) -> set[str]:
    """Return the placeholders that a chunk uses, in any language."""
    if chunk is None:
        return set()
    texts = [*chunk.template.texts.values(), *(chunk.system.texts.values() if chunk.system else ())]
    return {name for text in texts for name, _ in placeholders_in(text)}
