"""What can only be said of all files together: whether what they name is there and fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.configs.documents import Kind
from orchestrator.configs.faults import Fault
from orchestrator.configs.flow_checks import flow_faults
from orchestrator.configs.flows import chunk_ids
from orchestrator.configs.hints import did_you_mean, one_of
from orchestrator.configs.library import dangling, names_in
from orchestrator.configs.model import OPTIMIZATION_CHUNK, TRANSLATION_CHUNK, MediaType
from orchestrator.configs.parameters import CHUNK_PARAMETERS, complaint_about
from orchestrator.configs.semantics import lines, unknown_placeholder
from orchestrator.configs.templates import PLACEHOLDERS, may_be_own_name, placeholders_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.configs.documents import Document
    from orchestrator.configs.library import Library
    from orchestrator.configs.model import InterceptionConfig, OutputConfig, Pipeline
    from orchestrator.configs.positions import Path
    from orchestrator.configs.values import Scalar


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
    """Find chunks and outputs that are not there, and names that nothing has given by then."""
    yield from flow_faults(document, pipeline, library)
    known = CHUNK_PARAMETERS.keys() | _output_parameters(library.output.values())
    for name in pipeline.defaults:
        yield from _unknown_parameter(document, ("defaults", name), known)
    yield from _chunk_parameter_faults(document, ("defaults",), pipeline.defaults)


def chunk_faults(document: Document, library: Library) -> Iterator[Fault]:
    """Find placeholders that no chunk and no branch gives a value to."""
    known = PLACEHOLDERS | library.own_names
    for field_name in ("system", "template"):
        for path, line in lines((field_name,), document.data.get(field_name)):
            for name, _ in placeholders_in(line):
                if may_be_own_name(name) and name not in known:
                    yield unknown_placeholder(document, path, name, known)


def interception_faults(
    document: Document, config: InterceptionConfig, library: Library
) -> Iterator[Fault]:
    """Find what an interception config names in vain."""
    yield from dangling(document, ("pipeline",), config.pipeline, Kind.PIPELINE, library)
    for index, id_ in enumerate(config.output_configs):
        yield from dangling(document, ("output_configs", index), id_, Kind.OUTPUT, library)
    yield from _default_output_faults(document, config, library)
    yield from _missing_context(document, config, library)
    yield from _parameter_faults(document, config, library)


def defaults_faults(document: Document, library: Library) -> Iterator[Fault]:
    """Find default outputs that are not there or make another medium."""
    for medium, id_ in library.default_outputs.items():
        yield from dangling(document, (medium,), id_, Kind.OUTPUT, library)
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
    """Find what does not fit between an output config and its workflow or chunk."""
    if output.chunk is not None:
        yield from dangling(document, ("chunk",), output.chunk, Kind.CHUNK, library)
    if output.workflow is None:
        return
    yield from dangling(document, ("workflow",), output.workflow, Kind.WORKFLOW, library)
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
    for id_ in chunk_ids(pipeline.control_flow):
        if "CONTEXT" in names_in(library.chunks.get(id_)):
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
