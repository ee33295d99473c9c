"""All that was read of a folder, while it is being checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.configs.documents import Kind
from orchestrator.configs.flows import ParallelFlow
from orchestrator.configs.hints import did_you_mean, one_of
from orchestrator.configs.templates import placeholders_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.configs.documents import Document
    from orchestrator.configs.faults import Fault
    from orchestrator.configs.model import Chunk, InterceptionConfig, OutputConfig, Pipeline
    from orchestrator.configs.positions import Path
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

    @property
    def own_names(self) -> set[str]:
        """Every placeholder that a chunk or a branch gives a value to."""
        names = {name for chunk in self.chunks.values() for name in chunk.values}
        for pipeline in self.pipelines.values():
            flow = pipeline.control_flow
            if isinstance(flow, ParallelFlow):
                names |= {branch.name for branch in flow.branches}
        return names


def dangling(
    document: Document, path: Path, id_: str, kind: Kind, library: Library
) -> Iterator[Fault]:
    """Find an id that no file has."""
    known = library.ids[kind]
    if id_ not in known:
        hint = did_you_mean(id_, known) or one_of(known)
        yield document.fault(path, f'There is no {kind.noun} "{id_}".', hint)


def names_in(chunk: Chunk | None) -> set[str]:
    """Return the placeholders that a chunk uses, in any language."""
    if chunk is None:
        return set()
    texts = [*chunk.template.texts.values(), *(chunk.system.texts.values() if chunk.system else ())]
    return {name for text in texts for name, _ in placeholders_in(text)}
