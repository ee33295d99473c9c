"""What a schema cannot say about one file: limits that contradict, languages, placeholders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from orchestrator.configs.documents import Kind
from orchestrator.configs.flows import IterativeFlow
from orchestrator.configs.hints import did_you_mean, one_of
from orchestrator.configs.languages import code_for_name, is_language
from orchestrator.configs.model import MediaType
from orchestrator.configs.parameters import complaint_about
from orchestrator.configs.templates import (
    PLACEHOLDERS,
    is_known_placeholder,
    may_be_own_name,
    placeholders_in,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from orchestrator.configs.documents import Document
    from orchestrator.configs.faults import Fault
    from orchestrator.configs.model import Chunk, OutputConfig, ParameterSpec, Pipeline
    from orchestrator.configs.positions import Path

# Where texts in several languages may stand, by kind.
_LOCALIZED = {
    Kind.INTERCEPTION: ("name", "description", "context"),
    Kind.USER: ("name", "description", "context"),
    Kind.OUTPUT: ("name", "description", "optimization_instruction"),
    Kind.PIPELINE: ("description",),
    Kind.CHUNK: ("description", "system", "template"),
    Kind.WORKFLOW: (),
    Kind.OUTPUT_DEFAULTS: (),
    Kind.NODE_CLASSES: (),
}
_TEMPLATES = {"system", "template"}
_NO_TEMPLATES = {"context", "optimization_instruction"}
_UNCLOSED = re.compile(r"\{\{\s*[A-Za-z_0-9]+(?!\s*\}\})(?![A-Za-z_0-9])")


def text_faults(document: Document) -> Iterator[Fault]:
    """Find unknown languages and placeholders in the texts of a document that fits its schema."""
    for name in _LOCALIZED[document.kind]:
        value = document.data.get(name)
        if isinstance(value, dict):
            for language in value:
                yield from language_faults(document, (name, language), language, at_key=True)
        if name in _TEMPLATES:
            for path, line in lines((name,), value):
                yield from _placeholder_faults(document, path, line)
        elif name in _NO_TEMPLATES:
            for path, line in lines((name,), value):
                for found, _ in placeholders_in(line):
                    yield document.fault(
                        path,
                        f"{{{{{found}}}}} would stay as it is here.",
                        "Placeholders work in the templates of chunks only.",
                    )


def language_faults(
    document: Document, path: Path, code: str, *, at_key: bool = False
) -> Iterator[Fault]:
    """Find a language code that does not exist."""
    if not is_language(code):
        meant = code_for_name(code)
        hint = f"Did you mean {meant}?" if meant else "Use an ISO 639-1 code such as de, en or tr."
        yield document.fault(path, f'There is no language "{code}".', hint, at_key=at_key)


def pipeline_faults(document: Document, pipeline: Pipeline) -> Iterator[Fault]:
    """Find contradictions in a pipeline's languages."""
    flow = pipeline.control_flow
    if not isinstance(flow, IterativeFlow):
        return
    at: Path = ("control_flow",)
    for index, code in enumerate(flow.language_pool):
        yield from language_faults(document, (*at, "language_pool", index), code)
    if flow.final_language is not None:
        yield from language_faults(document, (*at, "final_language"), flow.final_language)
    if isinstance(flow.languages, tuple):
        for index, code in enumerate(flow.languages):
            yield from language_faults(document, (*at, "languages", index), code)
        possible = {flow.iterations} | ({flow.iterations - 1} if flow.final_language else set())
        if len(flow.languages) not in possible:
            yield document.fault(
                (*at, "languages"),
                f"{len(flow.languages)} languages do not fit {flow.iterations} iterations.",
                "Name one language per iteration; final_language may stand for the last.",
            )


def output_faults(document: Document, output: OutputConfig) -> Iterator[Fault]:
    """Find contradictions in an output config."""
    if output.id in set(MediaType):
        yield document.fault(("id",), f'"{output.id}" is the name of a medium, not of an output.')
    for index, code in enumerate(output.prompt_languages):
        yield from language_faults(document, ("prompt_languages", index), code)
    for name, spec in output.parameters.items():
        path: Path = ("parameters", name)
        if name == "seed":
            yield document.fault(
                path, "A seed cannot be declared.", "Every run has one of its own.", at_key=True
            )
        yield from _spec_faults(document, path, spec)


def _spec_faults(document: Document, path: Path, spec: ParameterSpec) -> Iterator[Fault]:
    is_number = spec.type in {"integer", "number"}
    for name in ("minimum", "maximum"):
        if getattr(spec, name) is not None and not is_number:
            yield document.fault((*path, name), f"A {spec.type} has no {name}.")
    if spec.minimum is not None and spec.maximum is not None and spec.minimum > spec.maximum:
        yield document.fault(
            (*path, "minimum"),
            f"The minimum {spec.minimum} is greater than the maximum {spec.maximum}.",
            "Swap them.",
        )
        return
    free = spec.model_copy(update={"choices": ()})
    for index, choice in enumerate(spec.choices):
        if complaint := complaint_about(choice, free):
            yield document.fault((*path, "choices", index), complaint)
    if spec.default is not None and (complaint := complaint_about(spec.default, spec)):
        yield document.fault((*path, "default"), f"The default does not fit. {complaint}")


def unknown_placeholder(document: Document, path: Path, name: str, known: Collection[str]) -> Fault:
    """Make the fault about a name that nothing has."""
    hint = did_you_mean(name, known) or one_of(known)
    return document.fault(path, f"There is no placeholder {{{{{name}}}}}.", hint)


def chunk_faults(document: Document, chunk: Chunk) -> Iterator[Fault]:
    """Find names that a chunk cannot give to values."""
    for index, name in enumerate(chunk.values):
        yield from own_name_faults(document, ("values", index), name)
    if chunk.text_value is not None and chunk.text_value not in chunk.values:
        hint = did_you_mean(chunk.text_value, chunk.values) or one_of(chunk.values)
        yield document.fault(("text_value",), f'"{chunk.text_value}" is none of the values.', hint)


def own_name_faults(document: Document, path: Path, name: str) -> Iterator[Fault]:
    """Find a name that means something already."""
    if not may_be_own_name(name):
        yield document.fault(
            path, f'"{name}" has a meaning already.', "Choose another name for it."
        )


def _placeholder_faults(document: Document, path: Path, text: str) -> Iterator[Fault]:
    for name, _ in placeholders_in(text):
        # A name of one's own is held against what all chunks together give.
        if not is_known_placeholder(name) and not may_be_own_name(name):
            yield unknown_placeholder(document, path, name, PLACEHOLDERS)
    if unclosed := _UNCLOSED.search(text):
        yield document.fault(
            path,
            f'"{unclosed.group()}" begins a placeholder that does not end.',
            "Write }} after it.",
        )


def lines(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield every piece of text in a localized value with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, line in enumerate(value):
            yield (*path, index), line
    elif isinstance(value, dict):
        for language, text in value.items():
            yield from lines((*path, language), text)
