"""Pipelines: which chunks run in which order, and what a run needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.configs.predecessor.values import parameters, section, strings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.predecessor.files import Source
    from orchestrator.configs.predecessor.reports import Notes
    from orchestrator.configs.values import Scalar

MAX_INPUTS = 9
MAX_ITERATIONS = 50
_IN_ORDER = {"", "sequence", "sequential", "linear", "single", "none", "default", "standard"}
_REPEATED = ("iterat", "recurs", "loop")


@dataclass(frozen=True)
class PipelinePart:
    """What a pipeline, or a config that goes without one, says about the way of a text.

    Attributes:
        chunks: Names of chunks, in order.
        accepts_context: Whether people write the rule themselves.
        passes_through: Whether phase 1 is left out.
        needs_context: Whether nothing is rewritten without a rule.
        defaults: Parameters by lower-case name.
        repeats: Whether the chunks run again and again.
        iterations: How often at most; None: nothing is said.
    """

    chunks: tuple[str, ...] = ()
    texts: int = 1
    images: int = 0
    accepts_context: bool = False
    passes_through: bool = False
    needs_context: bool = False
    defaults: Mapping[str, Scalar] | None = None
    repeats: bool = False
    iterations: int | None = None


def pipeline_part(source: Source) -> PipelinePart:
    """Read a pipeline."""
    data, notes = source.data, source.notes
    needs = section(data, "input_requirements")
    if needs.get("split_text"):
        notes.add("input_requirements.split_text: people give each part as a text of its own.")
    images = _count(needs.get("images"), 0)
    least = _count(needs.get("images_min"), images)
    if least < images:
        notes.add(f"input_requirements: a run needs {images} pictures, not {least} or more.")
    word = _flow_word(data.get("control_flow"))
    kind = f"{word} {data.get('pipeline_type', '')}".lower()
    repeats = any(part in kind for part in _REPEATED)
    if not repeats and word.lower() not in _IN_ORDER:
        notes.add(f"control_flow: {word[:40]} is not known here; the chunks run in order.")
    return PipelinePart(
        chunks=strings(data.get("chunks")),
        texts=_count(needs.get("texts"), 1),
        images=max(images, least),
        accepts_context=bool(needs.get("context_text")),
        passes_through=data.get("skip_stage2") is True,
        needs_context=data.get("requires_interception_prompt") is True,
        defaults=parameters(data.get("defaults"), notes),
        repeats=repeats,
        iterations=iterations_of(section(data, "meta"), notes),
    )


def iterations_of(values: Mapping[str, Any], notes: Notes) -> int | None:
    """Return how often chunks repeat by parameters or `meta`, or None."""
    for name in ("iterations", "max_iterations", "loops"):
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            if value > MAX_ITERATIONS:
                notes.add(f"{name}: at most {MAX_ITERATIONS} are possible.")
            return min(value, MAX_ITERATIONS)
    return None


def _flow_word(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("type", value.get("kind", ""))
    return str(value or "")


def _count(value: Any, default: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return max(0, min(value, MAX_INPUTS))
