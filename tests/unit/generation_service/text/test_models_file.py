"""`configs/models.json`: what ships is right, and what people write wrong is told at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generation_service.text.models_file import ModelsFileError, read_models_file

SHIPPED = Path(__file__).parents[4] / "configs" / "models.json"


def faults_of(path: Path, content: str) -> list[str]:
    """What is told about a file of this content."""
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelsFileError) as failed:
        read_models_file(path)
    return failed.value.faults


def test_the_shipped_profiles_serve_the_roles() -> None:
    """Every profile can rewrite and translate; guards need a real model; texts have a fallback."""
    profiles = read_models_file(SHIPPED).profiles
    assert set(profiles) == {"embedded", "local", "cloud"}
    everyday = {"translation", "interception", "optimization"}
    assert set(profiles["embedded"]) == everyday
    for name in ("local", "cloud"):
        assert len(profiles[name]) == 8
        assert all(profiles[name][r].fallbacks[-1].startswith("embedded/") for r in everyday)  # type: ignore[index]


def test_the_embedded_model_writes_no_summaries(tmp_path: Path) -> None:
    """It makes things up, so it may not stand in for a model that summarises data either."""
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    content["profiles"]["local"]["summary"]["fallbacks"] = ["embedded/gemma-3-270m"]
    (told,) = faults_of(tmp_path / "m.json", json.dumps(content))
    assert told.startswith("profiles.local.summary: the embedded model writes no summaries")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """A file with many faults names each with its field."""
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    content["providers"]["ollama"]["base_url"] = "http://me:secret@host"
    content["providers"]["openai"]["key"] = "sk-123"
    content["providers"]["embedded"]["limits"]["concurrent"] = 0
    content["profiles"]["local"]["translation"]["model"] = "gemma"
    content["profiles"]["local"]["poetry"] = {"model": "ollama/x"}
    told = "\n".join(faults_of(tmp_path / "m.json", json.dumps(content)))
    for field in (
        "providers.ollama.base_url",
        "providers.openai.key",
        "providers.embedded.limits.concurrent",
        "profiles.local.translation.model",
        "profiles.local.poetry",
    ):
        assert field in told
    assert "secret" not in told
    assert "sk-123" not in told


def test_what_does_not_fit_together_is_told(tmp_path: Path) -> None:
    """A profile, a provider or an address that is not there is a fault."""
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    content["default_profile"] = "space"
    del content["providers"]["openai"]
    del content["providers"]["ollama"]["base_url"]
    told = "\n".join(faults_of(tmp_path / "m.json", json.dumps(content)))
    assert "'space'" in told
    assert "providers.ollama.base_url" in told
    assert "profiles.cloud.summary" in told


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_what_is_no_models_file_is_refused(tmp_path: Path, content: str) -> None:
    """Broken JSON and other things than an object are faults, not crashes."""
    assert faults_of(tmp_path / "m.json", content)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """No file: a fault that says so."""
    with pytest.raises(ModelsFileError, match="cannot be read"):
        read_models_file(tmp_path / "none.json")
