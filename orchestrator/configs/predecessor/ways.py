"""What configs of both kinds share: their pipeline, parameters, chunks and words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.configs.model import Lora
from orchestrator.configs.predecessor.chunks import ChunkKind
from orchestrator.configs.predecessor.pipelines import PipelinePart, iterations_of
from orchestrator.configs.predecessor.reports import RefusedError
from orchestrator.configs.predecessor.values import parameters, section, strings, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.predecessor.files import Source
    from orchestrator.configs.predecessor.shelf import Shelf
    from orchestrator.configs.values import Scalar

_MAX_TAGS, _MAX_TAG = 20, 40


@dataclass(frozen=True)
class Way:
    """The way that a config's text goes.

    Attributes:
        part: Its pipeline's.
        values: Parameters by lower-case name: the pipeline's defaults, the config's own above.
        prompts: Chunks that ask language models, in order.
        output: The chunk that renders; None: there is none.
        iterations: How often the chunks run; None: once.
    """

    part: PipelinePart
    values: Mapping[str, Scalar]
    prompts: tuple[Source, ...]
    output: Source | None
    iterations: int | None


def way_of(source: Source, shelf: Shelf) -> Way:
    """Resolve pipeline, parameters and chunks of a config.

    Raises:
        RefusedError: It names what is not there, or nothing at all.
    """
    data = source.data
    name = data.get("pipeline") or data.get("workflow_type")
    own_chunks = strings(data.get("chunks"))
    own = parameters(data.get("parameters"), source.notes)
    output_name = own.pop("output_chunk", None)
    if isinstance(name, str) and name:
        part = shelf.pipeline(name)
    elif own_chunks or output_name:
        part = PipelinePart()
    else:
        raise RefusedError("It names no pipeline, so it is no config.")
    if own_chunks:
        source.notes.add("chunks: they run instead of the pipeline's.")
    values = {**(part.defaults or {}), **own}
    output_name = output_name or values.pop("output_chunk", None)
    prompts, output = _chunks(own_chunks or part.chunks, shelf)
    if isinstance(output_name, str) and output_name:
        output = shelf.chunk(output_name)
    iterations = iterations_of(values, source.notes) or part.iterations or 1
    return Way(part, values, prompts, output, iterations if part.repeats else None)


def _chunks(names: tuple[str, ...], shelf: Shelf) -> tuple[tuple[Source, ...], Source | None]:
    prompts: list[Source] = []
    output: Source | None = None
    for name in names:
        found = shelf.chunk(name)
        kind = shelf.kinds[found.file]
        if kind is ChunkKind.PROMPT:
            prompts.append(found)
        elif kind is not ChunkKind.PROXY:
            output = found
    return tuple(prompts), output


def name_and_description(source: Source) -> dict[str, Any]:
    """Return the texts for people; the id stands in for a missing name."""
    title = texts(source.data.get("name"), source.notes, "name") or {"en": source.id}
    description = texts(source.data.get("description"), source.notes, "description")
    return {"name": title, "description": description or title}


def tags_of(source: Source) -> tuple[str, ...]:
    """Return tags and properties as tags."""
    found = (*strings(source.data.get("tags")), *strings(source.data.get("properties")))
    return tuple(dict.fromkeys(tag.strip()[:_MAX_TAG] for tag in found))[:_MAX_TAGS]


def loras_of(source: Source) -> tuple[Lora, ...]:
    """Return the LoRAs of a config.

    Raises:
        RefusedError: One of them has no name.
    """
    value = section(source.data, "meta").get("loras")
    found = []
    for one in value if isinstance(value, list) else []:
        name = one if isinstance(one, str) else one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name:
            raise RefusedError("meta.loras: each needs a name.")
        strength = one.get("strength", 1.0) if isinstance(one, dict) else 1.0
        is_number = isinstance(strength, int | float) and not isinstance(strength, bool)
        found.append(Lora(name=name, strength=float(strength) if is_number else 1.0))
    return tuple(found)
