"""Everything that was read of a folder, found by the names that configs use for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.configs.hints import did_you_mean
from orchestrator.configs.predecessor.chunks import ChunkKind, PromptChunk, kind_of, prompt_chunk
from orchestrator.configs.predecessor.files import Names, Role, Source
from orchestrator.configs.predecessor.pipelines import PipelinePart, pipeline_part
from orchestrator.configs.predecessor.reports import RefusedError
from orchestrator.configs.predecessor.workflows import OutputChunk, output_chunk

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass
class Shelf:
    """The parts of a folder.

    Attributes:
        refused: Files that cannot be used, with the reason.
    """

    chunks: Names
    pipelines: Names
    kinds: dict[str, ChunkKind] = field(default_factory=dict)
    prompts: dict[str, PromptChunk] = field(default_factory=dict)
    outputs: dict[str, OutputChunk] = field(default_factory=dict)
    parts: dict[str, PipelinePart] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def chunk(self, name: str) -> Source:
        """Return a chunk that can be used.

        Raises:
            RefusedError: There is none of this name, or it was refused.
        """
        return self._find(self.chunks, name, "chunk")

    def pipeline(self, name: str) -> PipelinePart:
        """Return a pipeline that can be used.

        Raises:
            RefusedError: There is none of this name.
        """
        return self.parts[self._find(self.pipelines, name, "pipeline").file]

    def _find(self, names: Names, name: str, what: str) -> Source:
        source = names.find(name)
        if source is None:
            hint = did_you_mean(name, names) or f"Import the folder that holds {what}s, too."
            raise RefusedError(f'It names the {what} "{name}", which is not there. {hint}')
        if source.file in self.refused:
            raise RefusedError(f'It needs the {what} "{name}", which was refused.')
        return source


def fill_shelf(sources: list[Source], allowed: Collection[str]) -> Shelf:
    """Read chunks and pipelines.

    Args:
        sources: All files.
        allowed: Node classes that workflows may use.
    """
    chunks = [source for source in sources if source.role is Role.CHUNK]
    pipelines = [source for source in sources if source.role is Role.PIPELINE]
    shelf = Shelf(Names(chunks), Names(pipelines))
    for source in chunks:
        try:
            kind = shelf.kinds[source.file] = kind_of(source)
            if kind is ChunkKind.PROMPT:
                shelf.prompts[source.file] = prompt_chunk(source)
            elif kind is ChunkKind.WORKFLOW:
                shelf.outputs[source.file] = output_chunk(source, allowed)
        except RefusedError as exc:
            shelf.refused[source.file] = str(exc)
    for source in pipelines:
        shelf.parts[source.file] = pipeline_part(source)
    return shelf
