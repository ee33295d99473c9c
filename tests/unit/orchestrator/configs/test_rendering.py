"""Prompts of a plan, rendered without a model."""

from __future__ import annotations

import pytest

from orchestrator.configs import PlanRequest, build_plan, load_configs, shipped_configs_dir
from orchestrator.configs.rendering import rendered_prompts

SHIPPED = load_configs(shipped_configs_dir())
IDEA = 'Ein {{CONTEXT}} und "zwei\nZeilen"'


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("config_id", sorted(SHIPPED.interception))
def test_every_shipped_config_renders_whole(config_id: str, language: str) -> None:
    """The idea stays as it is, and no placeholder of ours stays open."""
    config = SHIPPED.interception[config_id]
    needs = SHIPPED.pipelines[config.pipeline].input_requirements
    texts = [IDEA] * needs.texts
    request = PlanRequest(
        config_id,
        language,
        text_count=needs.texts,
        image_count=needs.images,
        context="Rot" if config.accepts_context else None,
    )
    for prompt in rendered_prompts(build_plan(SHIPPED, request), texts):
        shown = "".join(message.content for message in prompt.messages)
        assert "{{" not in shown.replace(IDEA, "")
        assert prompt.role


def test_prompts_follow_each_other() -> None:
    """The first holds the rule and the idea; what comes later works on answers yet to be given."""
    plan = build_plan(SHIPPED, PlanRequest("dada", "de"))
    first, second = rendered_prompts(plan, [IDEA])
    assert first.messages == plan.flow.chunks[0].messages(
        {"CONTEXT": plan.context, "PREVIOUS_OUTPUT": IDEA, "LANGUAGE": "Deutsch"}
    )
    assert (second.stage, second.messages[-1].content) == (3, "‹answer of manipulate›")
