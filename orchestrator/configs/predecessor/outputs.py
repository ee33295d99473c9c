"""Output configs: one way to render each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.configs.model import Chunk, MediaType, OutputConfig
from orchestrator.configs.parameters import complaint_about
from orchestrator.configs.predecessor.chunks import ChunkKind
from orchestrator.configs.predecessor.reports import RefusedError
from orchestrator.configs.predecessor.values import section
from orchestrator.configs.predecessor.ways import (
    loras_of,
    name_and_description,
    tags_of,
    way_of,
)
from orchestrator.configs.predecessor.workflows import instruction_of, medium_of
from orchestrator.configs.workflow import COMFYUI_BACKEND, Workflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.model import ParameterSpec
    from orchestrator.configs.predecessor.files import Source
    from orchestrator.configs.predecessor.shelf import Shelf
    from orchestrator.configs.predecessor.ways import Way
    from orchestrator.configs.values import Scalar

_PICTURE_SERVICE = "openai_images"
_TEXT_BACKEND = "text"
_IMAGES_API = ("images/generations", "gpt-image", "dall-e")


@dataclass(frozen=True)
class MadeOutput:
    """An output config with the parts that it needs."""

    config: OutputConfig
    workflow: Workflow | None = None
    chunk: Chunk | None = None


def is_output(source: Source) -> bool:
    """Return whether a config renders, by its place or by what it says of itself."""
    names = {str(name).lower() for name in section(source.data, "parameters")}
    stage = str(section(source.data, "meta").get("stage", "")).lower()
    return source.folder == "output" or stage == "output" or "output_chunk" in names


def made_output(source: Source, shelf: Shelf) -> MadeOutput:
    """Build an output config.

    Raises:
        RefusedError: There is nothing that renders, or it does not fit.
    """
    return rendered(source, way_of(source, shelf), shelf, source.id)


def rendered(source: Source, way: Way, shelf: Shelf, id_: str) -> MadeOutput:
    """Build an output config from what renders on a config's way.

    Args:
        source: The config's file.
        way: Its way.
        shelf: Where chunks are.
        id_: Of the output config.

    Raises:
        RefusedError: There is nothing that renders, or it does not fit.
    """
    words: dict[str, Any] = {"id": id_, **name_and_description(source), "tags": tags_of(source)}
    if way.output is None:
        return _written(source, way, shelf, words)
    kind = shelf.kinds[way.output.file]
    own = instruction_of(source.data, source.notes)
    words["optimization_instruction"] = own or instruction_of(way.output.data, way.output.notes)
    if way.prompts:
        source.notes.add("Its text chunks do not run: an output renders the text that was checked.")
    if kind is ChunkKind.PROMPT:
        return _written(source, way, shelf, words)
    if kind is ChunkKind.API:
        return MadeOutput(_asked_for(source, way.output, words))
    if kind is ChunkKind.PROXY:
        raise RefusedError("parameters.OUTPUT_CHUNK names a proxy_chunk, which renders nothing.")
    chunk = shelf.outputs[way.output.file]
    loras = loras_of(source)
    if loras and chunk.workflow.lora_place is None:
        raise RefusedError(
            "meta.loras: there is no single loader in its workflow behind which they could go."
        )
    workflow = chunk.workflow
    config = OutputConfig(
        **words,
        media_type=_medium(source, chunk.media_type),
        backend=COMFYUI_BACKEND,
        workflow=workflow.id,
        loras=loras,
        parameters=_with_values(chunk.specs, way.values, source),
    )
    return MadeOutput(config, workflow)


def _medium(source: Source, made: MediaType) -> MediaType:
    """Music and sound come as the same files; the config knows which of them is meant."""
    told = medium_of(section(source.data, "media_preferences").get("default_output"))
    sounds = {MediaType.AUDIO, MediaType.MUSIC}
    return told[0] if told and {told[0], made} <= sounds else made


def _with_values(
    specs: Mapping[str, ParameterSpec], values: Mapping[str, Scalar], source: Source
) -> dict[str, ParameterSpec]:
    """Let the config's values be the defaults."""
    found = dict(specs)
    for name, value in values.items():
        spec = specs.get(name)
        if spec is None:
            if name not in {"seed", "prompt"}:
                source.notes.add(f"parameters.{name}: the workflow has no place for it.")
        elif name not in {"seed"} and complaint_about(value, spec):
            source.notes.add(f"parameters.{name} is left out. {complaint_about(value, spec)}")
        else:
            found[name] = spec.model_copy(update={"default": value})
    return found


def _asked_for(source: Source, chunk: Source, words: dict[str, Any]) -> OutputConfig:
    """Build an output that a picture service makes."""
    medium = medium_of(chunk.data.get("media_type")) or medium_of(
        section(chunk.data, "output_mapping").get("output_type")
    )
    if medium is not None and medium[0] is not MediaType.IMAGE:
        raise RefusedError(f"No service for {medium[0]} can be asked here, only one for pictures.")
    model = _model_named(chunk.data)
    if model is None:
        raise RefusedError(f"The chunk {chunk.id} names no model.")
    source.notes.add("The deployment's picture service is asked (GENERATION_OPENAI_IMAGES_…).")
    api = "images" if any(word in str(chunk.data).lower() for word in _IMAGES_API) else "chat"
    return OutputConfig(
        **words,
        media_type=MediaType.IMAGE,
        backend=_PICTURE_SERVICE,
        model=f"{api}/{model}",
    )


def _model_named(data: Any, depth: int = 3) -> str | None:
    if not isinstance(data, dict) or depth == 0:
        return None
    model = data.get("model")
    if isinstance(model, str) and model.strip():
        return model.strip().removeprefix("openrouter/")
    return next((found for each in data.values() if (found := _model_named(each, depth - 1))), None)


def _written(source: Source, way: Way, shelf: Shelf, words: dict[str, Any]) -> MadeOutput:
    """Build an output that a language model writes, such as code."""
    writer = way.output or (way.prompts[-1] if way.prompts else None)
    if writer is None:
        raise RefusedError("Nothing in it renders: name a chunk in parameters.OUTPUT_CHUNK.")
    chunk = shelf.prompts[writer.file].made_for(words["id"], way.values, source.notes)
    config = OutputConfig(
        **words,
        media_type=MediaType.TEXT,
        backend=_TEXT_BACKEND,
        chunk=chunk.id,
        photographic=False,
    )
    return MadeOutput(config, chunk=chunk)
