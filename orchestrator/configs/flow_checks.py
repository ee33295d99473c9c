"""What can be wrong in a control flow: chunks that are not there, names that nothing has given yet.

A flow is walked in the order in which it runs, so that a placeholder is allowed exactly where a
value is sure to be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.configs.documents import Kind
from orchestrator.configs.flows import CONDITION_FACTS, ConditionalFlow, ParallelFlow
from orchestrator.configs.hints import did_you_mean, one_of
from orchestrator.configs.library import dangling, names_in
from orchestrator.configs.parameters import complaint_about
from orchestrator.configs.semantics import lines, own_name_faults, unknown_placeholder
from orchestrator.configs.templates import (
    PLACEHOLDERS,
    is_known_placeholder,
    may_be_own_name,
    placeholders_in,
    secondary_text_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.configs.documents import Document
    from orchestrator.configs.faults import Fault
    from orchestrator.configs.library import Library
    from orchestrator.configs.model import Pipeline
    from orchestrator.configs.positions import Path


def flow_faults(document: Document, pipeline: Pipeline, library: Library) -> Iterator[Fault]:
    """Find every fault of a pipeline's control flow and of the outputs that it asks for."""
    walk = _Walk(document, pipeline, library)
    flow = pipeline.control_flow
    at: Path = ("control_flow",)
    yield from walk.chunks((*at, "chunks"), flow.chunks)
    if isinstance(flow, ParallelFlow):
        yield from walk.branches(at, flow)
    elif isinstance(flow, ConditionalFlow):
        yield from walk.cases(at, flow)
    yield from walk.requests()


class _Walk:
    """Goes through one flow; `given` grows with every chunk that is sure to have run."""

    def __init__(self, document: Document, pipeline: Pipeline, library: Library) -> None:
        self._document = document
        self._pipeline = pipeline
        self._library = library
        self._given: set[str] = set()

    def chunks(self, path: Path, ids: Sequence[str]) -> Iterator[Fault]:
        texts = self._pipeline.input_requirements.texts
        for index, id_ in enumerate(ids):
            here = (*path, index)
            yield from dangling(self._document, here, id_, Kind.CHUNK, self._library)
            chunk = self._library.chunks.get(id_)
            names = names_in(chunk)
            most = max((secondary_text_number(name) or 1 for name in names), default=1)
            if names and most > max(texts, 1):
                yield self._document.fault(
                    here,
                    f"{id_} uses INPUT_TEXT_{most}, but a run has texts: {texts}.",
                    "Raise input_requirements.texts.",
                )
            for name in sorted(self._missing(names)):
                yield self._document.fault(
                    here,
                    f"{id_} uses {{{{{name}}}}}, which nothing before it gives.",
                    "Put a chunk before it that has this name among its values.",
                )
            self._given |= set(chunk.values) if chunk else set()

    def _missing(self, names: set[str]) -> set[str]:
        own = {name for name in names if may_be_own_name(name)}
        return (own - self._given) & self._library.own_names

    def branches(self, at: Path, flow: ParallelFlow) -> Iterator[Fault]:
        before, after = set(self._given), set(self._given)
        for index, branch in enumerate(flow.branches):
            here = (*at, "branches", index)
            yield from own_name_faults(self._document, (*here, "name"), branch.name)
            if branch.name in after:
                yield self._document.fault(
                    (*here, "name"), f'The name "{branch.name}" is taken.', "Choose another one."
                )
            texts = self._pipeline.input_requirements.texts
            if branch.input_text is not None and branch.input_text > texts:
                yield self._document.fault(
                    (*here, "input_text"),
                    f"There is no text {branch.input_text}; a run has texts: {texts}.",
                    "Raise input_requirements.texts.",
                )
            self._given = set(before)
            yield from self.chunks((*here, "chunks"), branch.chunks)
            after |= self._given | {branch.name}
        self._given = after
        join = flow.join
        if join.chunk is not None:
            # As a list of one, its place would be told wrongly.
            for fault in self.chunks((*at, "join", "chunk"), (join.chunk,)):
                yield self._document.fault((*at, "join", "chunk"), fault.message, fault.hint)
        yield from self._template((*at, "join", "template"), "control_flow", "join", "template")

    def cases(self, at: Path, flow: ConditionalFlow) -> Iterator[Fault]:
        before = set(self._given)
        known = before | CONDITION_FACTS
        for index, case in enumerate(flow.cases):
            here = (*at, "cases", index)
            if case.when.value not in known:
                hint = did_you_mean(case.when.value, known) or one_of(known)
                yield self._document.fault(
                    (*here, "when", "value"), f'There is no value "{case.when.value}" here.', hint
                )
            self._given = set(before)
            yield from self.chunks((*here, "chunks"), case.chunks)
        self._given = set(before)
        yield from self.chunks((*at, "otherwise"), flow.otherwise)
        self._given = before

    def requests(self) -> Iterator[Fault]:
        for index, request in enumerate(self._pipeline.output_requests):
            here: Path = ("output_requests", index)
            yield from self._requested_output((*here, "output"), request.output)
            yield from self._template((*here, "prompt"), *here, "prompt")
            output = self._library.output.get(self._output_id(request.output))
            for name, value in request.parameters.items() if output else ():
                spec = output.parameters.get(name) if output else None
                path = (*here, "parameters", name)
                if spec is None:
                    hint = did_you_mean(name, output.parameters) if output else ""
                    message = f'{request.output} has no parameter "{name}".'
                    yield self._document.fault(path, message, hint, at_key=True)
                elif complaint := complaint_about(value, spec):
                    yield self._document.fault(path, complaint)

    def _output_id(self, name: str) -> str:
        return self._library.default_outputs.get(name, name)

    def _requested_output(self, path: Path, name: str) -> Iterator[Fault]:
        known = self._library.ids[Kind.OUTPUT] | self._library.default_outputs.keys()
        if name not in known:
            hint = did_you_mean(name, known) or one_of(known)
            yield self._document.fault(path, f'There is no output or medium "{name}".', hint)

    def _template(self, path: Path, *keys: str | int) -> Iterator[Fault]:
        """Check the placeholders of a template inside the pipeline's own file."""
        value = self._document.data
        for key in keys:
            inside = isinstance(value, list) or key in value
            value = value[key] if inside else None
            if value is None:
                return
        known = PLACEHOLDERS | self._given
        for at, line in lines(path, value):
            for name, _ in placeholders_in(line):
                if name not in self._given and not is_known_placeholder(name):
                    yield unknown_placeholder(self._document, at, name, known)
