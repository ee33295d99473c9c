"""A folder of configs that is sound, for tests to plant faults in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOUND: dict[str, dict[str, Any]] = {
    "chunks/translation.json": {
        "kind": "prompt",
        "role": "translation",
        "template": "{{INPUT_TEXT}}",
        "system": "Translate into {{TARGET_LANGUAGE}}.",
    },
    "chunks/optimization.json": {
        "kind": "prompt",
        "role": "optimization",
        "template": {
            "en": "{{OPTIMIZATION_INSTRUCTION}} {{PREVIOUS_OUTPUT}}",
            "de": "de {{PREVIOUS_OUTPUT}}",
        },
    },
    "chunks/rewrite.json": {
        "kind": "prompt",
        "role": "interception",
        "model": "ollama/special",
        "system": {"en": "By {{CONTEXT}}", "de": "Nach {{CONTEXT}}"},
        "template": {"en": ["Text:", "{{PREVIOUS_OUTPUT}}"], "de": "Text: {{PREVIOUS_OUTPUT}}"},
        "parameters": {"temperature": 0.5, "stop": ["END"], "keep_alive": "10m"},
    },
    "pipelines/once.json": {
        "control_flow": {"kind": "sequence", "chunks": ["rewrite"]},
        "defaults": {"top_p": 0.8, "width": 256},
    },
    "pipelines/rule.json": {
        "control_flow": {"kind": "sequence", "chunks": ["rewrite"]},
        "without_context": "pass_through",
    },
    "pipelines/loop.json": {
        "control_flow": {
            "kind": "iterative",
            "chunks": ["translation"],
            "iterations": 3,
            "languages": "random",
            "language_pool": ["fr", "tr"],
            "final_language": "en",
        }
    },
    "output/picture.json": {
        "name": "Picture",
        "description": "A picture.",
        "media_type": "image",
        "backend": "embedded",
        "model": "picture-a",
        "photographic": False,
        "optimization_instruction": {"en": "Be short.", "de": "Kurz."},
        "parameters": {
            "width": {"type": "integer", "default": 128, "minimum": 64, "maximum": 512},
            "style": {"type": "string", "choices": ["warm", "cold"]},
            "negative_prompt": {"type": "string", "max_length": 20},
        },
    },
    "output/plain.json": {
        "name": "Plain",
        "description": "Another picture.",
        "media_type": "image",
        "backend": "embedded",
        "model": "picture-b",
        "prompt_languages": ["de", "en"],
    },
    "output/defaults.json": {"image": "picture"},
    "interception/cut.json": {
        "name": {"en": "Cut", "de": "Schnitt"},
        "description": "Cuts.",
        "pipeline": "once",
        "context": {"en": "Cut it.", "de": ["Zerschneide", "es."]},
        "parameters": {"temperature": 1.5},
        "default_output": "image",
        "accepts_context": True,
    },
    "interception/own.json": {
        "name": "Own",
        "description": "By a rule of one's own.",
        "pipeline": "rule",
        "accepts_context": True,
    },
    "interception/whisper.json": {"name": "Whisper", "description": "A game.", "pipeline": "loop"},
    "interception/two.json": {
        "name": "Two",
        "description": "Two pictures.",
        "pipeline": "once",
        "context": "Look twice.",
        "output_configs": ["picture", "plain"],
    },
}  # fmt: skip


def write_json(path: Path, value: object) -> None:
    """Write a value as an author would: indented, so that every key has its line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sound set."""
    for name, value in SOUND.items():
        write_json(tmp_path / name, value)
    return tmp_path


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """Change a file of the sound set: `change("pipelines/once.json", {"defaults": {}}, "key")`."""

    def change(name: str, update: dict[str, Any], *removed: str) -> None:
        value = {**SOUND.get(name, {}), **update}
        write_json(folder / name, {k: v for k, v in value.items() if k not in removed})

    return change
