"""From a request and one generation of configs to a plan: every question is answered here, once.

Whatever is wrong with the request is found before anything is recorded or asked of a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from orchestrator.configs.hints import did_you_mean
from orchestrator.configs.model import TRANSLATION_CHUNK
from orchestrator.configs.parameters import complaint_about, decode_json_scalar
from orchestrator.configs.plan import CallerText, Plan
from orchestrator.configs.planner import Planner
from servicekit.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.model import ConfigSet, InterceptionConfig, OutputConfig, Pipeline
    from orchestrator.configs.values import Scalar

ContextSource = Literal["none", "config", "caller"]


@dataclass(frozen=True)
class PlanRequest:
    """What a caller asks for, as far as the plan depends on it.

    Attributes:
        config: Id of an interception config.
        language: The caller's, ISO 639-1; known by now, from the caller or from the text.
        text_count: Count of texts given.
        image_count: Count of pictures given.
        outputs: Ids of output configs, or media; empty: as the config says. The same one twice
            makes two outputs.
        text_only: No output at all, whatever `outputs` and the config say.
        context: The caller's own rule; None or blank: the config's.
        parameters: Name to value, each a JSON text such as `512` or `"warm"`.
        learner: Who asks, where that is somebody who must not choose what other learners wrote.
    """

    config: str
    language: str
    text_count: int = 1
    image_count: int = 0
    outputs: tuple[str, ...] = ()
    text_only: bool = False
    context: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    learner: str | None = None


def build_plan(configs: ConfigSet, request: PlanRequest, *, max_outputs: int = 8) -> Plan:
    """Resolve everything that a run needs to know.

    Args:
        configs: The generation to plan from.
        request: What the caller asks for.
        max_outputs: Most outputs of one execution.

    Returns:
        The plan, its `models` still empty: see `Plan.with_models`.

    Raises:
        NotFoundError: CONFIG_NOT_FOUND (field `config`) or OUTPUT_NOT_FOUND (`outputs[i]`).
        InvalidArgumentError: WRONG_INPUT_COUNT (`texts`, `images`), TOO_MANY_OUTPUTS (`outputs`),
            CONTEXT_NOT_ACCEPTED (`context`), PARAMETER_UNKNOWN or PARAMETER_OUT_OF_RANGE
            (`parameters[name]`; `outputs[i]` where the config's own value does not fit an output
            that the caller chose).
    """
    config = _find_config(configs, request.config, request.learner)
    pipeline = configs.pipelines[config.pipeline]
    _check_input_counts(pipeline, request)
    context, source = _context(config, request)
    chosen = _chosen_outputs(configs, config, request, max_outputs)
    _check_pictures(configs, chosen, request)
    given = _given_parameters(chosen, request.parameters)
    planner = Planner(configs, config, pipeline, request.language)
    asked_for = () if request.outputs else configs.requests_of(config)
    return Plan(
        configs_digest=configs.digest,
        config_id=config.id,
        config_digest=configs.interception_digests[config.id],
        config_name=config.name.text_for(request.language),
        pipeline_id=pipeline.id,
        language=request.language,
        input_requirements=pipeline.input_requirements,
        context=context,
        context_source=source,
        translate_input=config.translate_input,
        flow=planner.flow(has_context=bool(context)),
        outputs=tuple(
            planner.output(number, output, given, asked_for[number - 1] if asked_for else None)
            for number, output in enumerate(chosen, start=1)
        ),
        translation=planner.chunk(configs.chunks[TRANSLATION_CHUNK]),
        caller_texts=_caller_texts(context, source, chosen, given),
    )


def _find_config(configs: ConfigSet, config_id: str, learner: str | None) -> InterceptionConfig:
    found = configs.interception.get(config_id)
    if found is None or not found.is_for(learner):
        known = [id_ for id_, each in configs.interception.items() if each.is_for(learner)]
        hint = did_you_mean(config_id, known)
        raise NotFoundError(
            "CONFIG_NOT_FOUND",
            f"There is no config with this id. {hint}".rstrip(),
            field="config",
            resource=("config", config_id[:64]),
        )
    return found


def _check_input_counts(pipeline: Pipeline, request: PlanRequest) -> None:
    needed = pipeline.input_requirements
    counts = {
        "texts": (needed.texts, request.text_count),
        "images": (needed.images, request.image_count),
    }
    violations = [
        (name, f"Count of {name}: this config needs {wanted}, {got} came.")
        for name, (wanted, got) in counts.items()
        if wanted != got
    ]
    if violations:
        message = " ".join(text for _, text in violations)
        raise InvalidArgumentError("WRONG_INPUT_COUNT", message, violations=violations)


def _context(config: InterceptionConfig, request: PlanRequest) -> tuple[str, ContextSource]:
    if request.context is not None and request.context.strip():
        if not config.accepts_context:
            raise InvalidArgumentError(
                "CONTEXT_NOT_ACCEPTED",
                "This config keeps its own rule; leave the context out or choose another config.",
                field="context",
            )
        return request.context, "caller"
    if config.context is None:
        return "", "none"
    return config.context.text_for(request.language), "config"


def _chosen_outputs(
    configs: ConfigSet, config: InterceptionConfig, request: PlanRequest, max_outputs: int
) -> list[OutputConfig]:
    if request.text_only:
        return []
    names = request.outputs or configs.outputs_of(config)
    if len(names) > max_outputs:
        raise InvalidArgumentError(
            "TOO_MANY_OUTPUTS", f"At most {max_outputs} outputs are possible.", field="outputs"
        )
    chosen = []
    for index, name in enumerate(names):
        found = configs.output_id(name)
        if found is None:
            hint = did_you_mean(name, [*configs.output, *configs.default_outputs])
            raise NotFoundError(
                "OUTPUT_NOT_FOUND",
                f"There is no output with this id. {hint}".rstrip(),
                field=f"outputs[{index}]",
                resource=("output", name[:64]),
            )
        chosen.append(configs.output[found])
    return chosen


def _check_pictures(configs: ConfigSet, chosen: list[OutputConfig], request: PlanRequest) -> None:
    """Find outputs that are made from more pictures than the run has."""
    violations = []
    for index, output in enumerate(chosen):
        wanted = configs.input_image_count(output)
        if wanted > request.image_count:
            text = f"{output.id} is made from {wanted} of the run's pictures; choose a config "
            violations.append((f"outputs[{index}]", f"{text}that takes pictures."))
    if violations:
        message = " ".join(text for _, text in violations)
        raise InvalidArgumentError("WRONG_INPUT_COUNT", message, violations=violations)


def _given_parameters(
    chosen: list[OutputConfig], parameters: Mapping[str, str]
) -> dict[str, Scalar]:
    """Decode and check the caller's parameters against every chosen output that knows them."""
    known = {name for output in chosen for name in output.parameters}
    given: dict[str, Scalar] = {}
    for name, text in parameters.items():
        where = f"parameters[{name[:64]}]"
        if name not in known:
            hint = _unknown_hint(name, known)
            raise InvalidArgumentError(
                "PARAMETER_UNKNOWN",
                f"No chosen output has such a parameter. {hint}".rstrip(),
                field=where,
            )
        try:
            value = decode_json_scalar(text)
        except ValueError as exc:
            raise InvalidArgumentError("PARAMETER_OUT_OF_RANGE", str(exc), field=where) from exc
        for output in chosen:
            spec = output.parameters.get(name)
            if spec is not None and (complaint := complaint_about(value, spec)):
                raise InvalidArgumentError("PARAMETER_OUT_OF_RANGE", complaint, field=where)
        given[name] = value
    return given


def _unknown_hint(name: str, known: set[str]) -> str:
    if name == "seed":
        return "The seed has its own field in the request."
    return did_you_mean(name, known)


def _caller_texts(
    context: str,
    source: ContextSource,
    chosen: list[OutputConfig],
    given: Mapping[str, Scalar],
) -> tuple[CallerText, ...]:
    texts = [CallerText(field="context", text=context)] if source == "caller" else []
    free = {
        name for output in chosen for name, spec in output.parameters.items() if spec.is_free_text
    }
    for name in sorted(free & given.keys()):
        value = given[name]
        if isinstance(value, str) and value.strip():
            texts.append(CallerText(field=f"parameters[{name}]", text=value))
    return tuple(texts)
