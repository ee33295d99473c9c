"""Interception configs: one artistic or pedagogical attitude each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.configs.flows import IterativeFlow, SequenceFlow
from orchestrator.configs.hints import did_you_mean
from orchestrator.configs.model import (
    Audience,
    Chunk,
    ConfigSet,
    InputRequirements,
    InterceptionConfig,
    OutputConfig,
    Pipeline,
)
from orchestrator.configs.parameters import CHUNK_PARAMETERS, complaint_about
from orchestrator.configs.predecessor.outputs import MadeOutput, rendered
from orchestrator.configs.predecessor.reports import RefusedError
from orchestrator.configs.predecessor.values import section, strings, texts
from orchestrator.configs.predecessor.ways import (
    loras_of,
    name_and_description,
    tags_of,
    way_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.predecessor.files import Source
    from orchestrator.configs.predecessor.shelf import Shelf
    from orchestrator.configs.predecessor.ways import Way
    from orchestrator.configs.values import Scalar

_NO_OUTPUT = {"", "none", "text"}
_THROUGH = ("pass", "none", "identity")
_TASKS = {
    "translat": "Translate the text.",
    "optimi": "Write the text anew so that a picture model understands it well.",
    "prompt": "Write the text anew so that a picture model understands it well.",
    "analy": "Describe what the text tells, and how.",
}
_ANY_TASK = "Apply the rule to the text and write down what becomes of it, nothing else."
_TASK_NAMES = ("task_instruction", "instruction", "task", "instruction_type")


@dataclass(frozen=True)
class MadeInterception:
    """An interception config with the parts that only it uses."""

    config: InterceptionConfig
    pipeline: Pipeline
    chunks: tuple[Chunk, ...]
    outputs: tuple[MadeOutput, ...] = ()


def made_interception(
    source: Source, shelf: Shelf, known: Mapping[str, OutputConfig], base: ConfigSet
) -> MadeInterception:
    """Build an interception config.

    Args:
        source: Its file.
        shelf: Chunks and pipelines of the folder.
        known: Output configs of the folder, by every name that others use for them.
        base: The configs that are there already: their outputs may be named, too.

    Raises:
        RefusedError: It names what is not there, or cannot be put into our form.
    """
    way = way_of(source, shelf)
    values = {**_task_of(source), **way.values}
    through = way.part.passes_through or _skips(source)
    prompts = () if through else way.prompts
    chunks = tuple(
        shelf.prompts[each.file].made_for(source.id, values, source.notes) for each in prompts
    )
    context = texts(source.data.get("context"), source.notes, "context")
    pipeline = _pipeline(source, way, chunks, has_context=context is not None)
    names, outputs = _outputs(source, way, shelf, known, base)
    specs = [known[name] for name in names if name in known]
    config = InterceptionConfig(
        id=source.id,
        **name_and_description(source),
        pipeline=pipeline.id,
        context=context,
        parameters=_kept(way.values, [*specs, *(made.config for made in outputs)], source),
        output_configs=names,
        default_output=None if names else _default_output(source, base),
        accepts_context=way.part.accepts_context or (way.part.needs_context and context is None),
        tags=tags_of(source),
        audience=Audience(min_age=_min_age(source)),
    )
    return MadeInterception(config, pipeline, chunks, outputs)


def _skips(source: Source) -> bool:
    return section(source.data, "meta").get("skip_stage2") is True or _passes(source)


def _passes(source: Source) -> bool:
    return str(source.data.get("instruction_type", "")).lower().startswith(_THROUGH)


def _task_of(source: Source) -> dict[str, Scalar]:
    """Return what templates may name for the kind of instruction."""
    told = source.data.get("instruction_type")
    if not isinstance(told, str) or not told:
        return dict.fromkeys(_TASK_NAMES, _ANY_TASK)
    if _passes(source):
        source.notes.add(f"instruction_type: {told[:40]} counts now; the text stays as it is.")
        return {}
    task = next((text for word, text in _TASKS.items() if word in told.lower()), _ANY_TASK)
    source.notes.add(f"instruction_type: {told[:40]} counts now; it is told as: {task}")
    return dict.fromkeys(_TASK_NAMES, task)


def _pipeline(
    source: Source, way: Way, chunks: tuple[Chunk, ...], *, has_context: bool
) -> Pipeline:
    ids = tuple(chunk.id for chunk in chunks)
    repeated = way.iterations is not None and ids
    flow = (
        IterativeFlow(chunks=ids, iterations=way.iterations or 1)
        if repeated
        else SequenceFlow(chunks=ids)
    )
    needs_rule = way.part.needs_context or way.part.accepts_context
    return Pipeline(
        id=f"{source.id}/pipeline",
        input_requirements=InputRequirements(texts=way.part.texts, images=way.part.images),
        control_flow=flow,
        without_context="pass_through" if needs_rule and not has_context else "run",
    )


def _outputs(
    source: Source,
    way: Way,
    shelf: Shelf,
    known: Mapping[str, OutputConfig],
    base: ConfigSet,
) -> tuple[tuple[str, ...], tuple[MadeOutput, ...]]:
    """Return the ids of a config's outputs, and those that were made for it alone."""
    wanted = strings(section(source.data, "media_preferences").get("output_configs"))
    found = [_output(name, known, base) for name in wanted]
    loras = loras_of(source)
    made: list[MadeOutput] = []
    if way.output is not None and not found:
        made.append(rendered(source, way, shelf, f"{source.id}/output"))
    elif loras:
        for output in found:
            if output.workflow is None:
                raise RefusedError(f"meta.loras: the output {output.id} takes none.")
            own = {"id": f"{source.id}/{output.id}", "loras": (*output.loras, *loras)}
            made.append(MadeOutput(output.model_copy(update=own)))
        if not found:
            source.notes.add("meta.loras are left out: it names no output that could take them.")
    if made:
        return tuple(each.config.id for each in made), tuple(made)
    return tuple(output.id for output in found), ()


def _output(name: str, known: Mapping[str, OutputConfig], base: ConfigSet) -> OutputConfig:
    found = known.get(name) or base.output.get(name)
    if found is None:
        hint = did_you_mean(name, [*known, *base.output])
        raise RefusedError(f'It names the output "{name}", which is not there. {hint}'.rstrip())
    return found


def _default_output(source: Source, base: ConfigSet) -> str | None:
    told = section(source.data, "media_preferences").get("default_output")
    word = told.strip().lower() if isinstance(told, str) else ""
    if word in _NO_OUTPUT:
        return None
    if base.output_id(word) is None:
        source.notes.add(f"media_preferences.default_output: nothing here makes {word[:40]}.")
        return None
    return word


def _kept(
    values: Mapping[str, Scalar], outputs: list[OutputConfig], source: Source
) -> dict[str, Scalar]:
    """Keep the parameters that language models or outputs take."""
    kept: dict[str, Scalar] = {}
    for name, value in values.items():
        specs = [CHUNK_PARAMETERS[name]] if name in CHUNK_PARAMETERS else []
        specs += [output.parameters[name] for output in outputs if name in output.parameters]
        complaints = [text for spec in specs if (text := complaint_about(value, spec))]
        if complaints:
            source.notes.add(f"parameters.{name} is left out. {complaints[0]}")
        elif specs:
            kept[name] = value
    return kept


def _min_age(source: Source) -> int:
    value: Any = section(source.data, "audience").get("min_age")
    is_age = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 99
    return value if is_age else 0
