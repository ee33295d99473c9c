"""What ships with Stellwerk: sound, in two languages, and doing what the guide says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orchestrator.configs import (
    ConfigSet,
    PlanRequest,
    build_plan,
    check_folder,
    load_configs,
    shipped_configs_dir,
)
from orchestrator.configs.languages import LANGUAGE_CODES, language_name

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def shipped() -> ConfigSet:
    """The shipped set."""
    return load_configs(shipped_configs_dir())


def test_shipped_configs_are_sound() -> None:
    """The shipped folder has no fault."""
    assert check_folder(shipped_configs_dir()) == []


def test_shipped_configs_are_found_from_anywhere(tmp_path: Path) -> None:
    """The folder is found whatever the working directory is, without gRPC being loaded."""
    code = (
        "import sys; from orchestrator.configs import *;"
        "print(shipped_configs_dir(), len(check_folder(shipped_configs_dir())),"
        "'grpc' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        timeout=60, env={"PYTHONPATH": str(CHECKOUT), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.stdout.split() == [str(CHECKOUT / "configs"), "0", "False"]


def test_environment_names_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ORCHESTRATOR_CONFIGS_DIR wins over the shipped folder."""
    monkeypatch.setenv("ORCHESTRATOR_CONFIGS_DIR", str(tmp_path))
    assert shipped_configs_dir() == tmp_path


def test_shipped_configs_speak_german_and_english(shipped: ConfigSet) -> None:
    """Descriptions and rules are there in both languages."""
    for config in shipped.interception.values():
        assert {"de", "en"} <= config.description.texts.keys(), config.id
        assert config.context is None or {"de", "en"} <= config.context.texts.keys(), config.id
    for output in shipped.output.values():
        assert {"de", "en"} <= output.description.texts.keys(), output.id


@pytest.mark.parametrize(
    ("config", "outputs", "chunks"),
    [
        ("dada", ["embedded_image"], ["manipulate"]),
        ("bauhaus", ["embedded_image"], ["manipulate"]),
        ("overdrive", ["embedded_image"], ["manipulate"]),
        ("expressionism", ["embedded_image"], ["manipulate"]),
        ("surrealism", ["embedded_image"], ["manipulate"]),
        ("renaissance", ["embedded_image"], ["manipulate"]),
        ("the_opposite", ["embedded_image"], ["manipulate"]),
        ("planetarian", ["embedded_image"], ["manipulate"]),
        ("technical_drawing", ["embedded_image"], ["manipulate"]),
        ("tell_a_story", ["embedded_image"], ["manipulate"]),
        ("youth_slang", [], ["manipulate"]),
        ("pig_latin", [], ["manipulate"]),
        ("passthrough", [], []),
        ("stillepost", [], ["telephone"]),
        ("image_comparison", ["embedded_image", "embedded_image_b"], []),
        ("user_defined", [], []),
    ],
)
def test_shipped_config_plans_as_described(
    shipped: ConfigSet, config: str, outputs: list[str], chunks: list[str]
) -> None:
    """Each shipped config has the outputs and chunks that it promises."""
    plan = build_plan(shipped, PlanRequest(config, "de"))
    assert [output.id for output in plan.outputs] == outputs
    assert [chunk.id for chunk in plan.flow.chunks] == chunks


def test_telephone_game_has_eight_passes(shipped: ConfigSet) -> None:
    """Stille Post runs eight times in random languages and ends in English."""
    flow = build_plan(shipped, PlanRequest("stillepost", "de")).flow
    assert flow.kind == "iterative"
    assert (flow.iterations, flow.languages, flow.final_language) == (8, "random", "en")


def test_split_and_combine_looks_three_times(shipped: ConfigSet) -> None:
    """Three branches work on the idea and are joined by a template; one picture comes of it."""
    plan = build_plan(shipped, PlanRequest("split_and_combine", "de"))
    assert plan.flow.kind == "parallel"
    assert [branch.name for branch in plan.flow.branches] == ["NEAR", "AROUND", "SOUND"]
    assert plan.flow.join_template == "{{NEAR}} {{AROUND}} {{SOUND}}"
    assert [output.id for output in plan.outputs] == ["embedded_image"]


def test_own_rule_is_used(shipped: ConfigSet) -> None:
    """With a rule of the caller's, user_defined runs it."""
    plan = build_plan(shipped, PlanRequest("user_defined", "de", context="Nur Farben."))
    assert [chunk.id for chunk in plan.flow.chunks] == ["manipulate"]
    assert plan.context == "Nur Farben."


def test_embedded_pictures_are_drawn_from_english(shipped: ConfigSet) -> None:
    """The embedded renderers are no photographs and read English only."""
    for id_ in ("embedded_image", "embedded_image_b"):
        output = shipped.output[id_]
        assert (output.photographic, output.prompt_languages) == (False, ("en",))


def test_schemas_are_schemas() -> None:
    """The published schemas are valid JSON Schema, and every shipped file names its own."""
    for path in (CHECKOUT / "configs" / "schema").glob("*.json"):
        Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
    for kind in ("interception", "output", "pipelines", "chunks"):
        for path in (CHECKOUT / "configs" / kind).glob("*.json"):
            named = json.loads(path.read_text(encoding="utf-8"))["$schema"]
            assert (path.parent / named).is_file(), path


def test_languages_have_names_for_people() -> None:
    """Every language code has an English and a German name; other readers get English."""
    assert len(LANGUAGE_CODES) == 183
    assert (language_name("fr"), language_name("fr", "de")) == ("French", "Französisch")
    assert language_name("fr", "tr") == "French"
    assert language_name("", "de") == "einer unbekannten Sprache"
    with pytest.raises(KeyError):
        language_name("xx")
