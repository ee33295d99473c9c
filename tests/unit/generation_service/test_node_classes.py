"""Which node classes a graph may use, with and without files of a deployment's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from generation_service.settings import GenerationSettings
from generation_service.workers.node_classes import FILE_NAME, allowed_classes
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

ACT_ELSEWHERE = {
    *(
        "CheckpointSave",
        "CLIPSave",
        "ModelSave",
        "VAESave",
        "SaveLatent",
        "LoraSave",
        "SaveLoRANode",
    ),
    *("LoadLatent", "LoadImageOutput", "LoadImageSetFromFolderNode", "DiffusersLoader"),
    *("LoadImageTextSetFromFolderNode", "TrainLoraNode", "LossGraphNode", "TorchCompileModel"),
    *("WebcamCapture", "RecordAudio", "RegexMatch", "RegexReplace", "RegexExtract"),
}
"""Of a plain ComfyUI: they write or read other folders, train, compile, record or never end."""


def allowed(folder: Path, **settings: Any) -> frozenset[str]:
    """Return what a service may use whose files are in a folder."""
    configured = GenerationSettings(listen_address="127.0.0.1:0", **settings)
    return allowed_classes(configured, folder / "models.json")


def test_without_a_list_of_its_own_the_shipped_one_counts(tmp_path: Path) -> None:
    """Nothing is allowed by having no file; what ships computes and saves results, no more."""
    found = allowed(tmp_path)
    assert {"KSampler", "SaveImage", "LoadImage"} <= found
    assert "ExecAnything" not in found
    assert not found & ACT_ELSEWHERE


def test_settings_name_more_classes(tmp_path: Path) -> None:
    """A deployment adds to a list, whichever it is."""
    more = "MyUpscaler, Epsilon Scaling 2 ,"
    assert allowed(tmp_path, comfyui_node_classes=more) - allowed(tmp_path) == {
        "MyUpscaler",
        "Epsilon Scaling 2",
    }
    (tmp_path / FILE_NAME).write_text(json.dumps({"classes": {"mine": ["SaveImage"]}}))
    found = allowed(tmp_path, comfyui_node_classes="MyUpscaler")
    assert found == {"SaveImage", "MyUpscaler"}


@pytest.mark.parametrize("content", ["", "{}", '{"classes": ["SaveImage"]}'])
def test_a_faulty_list_is_no_list_of_everything(tmp_path: Path, content: str) -> None:
    """The service does not start with it, and says which file it is."""
    file = tmp_path / "mine.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"mine\.json"):
        allowed(tmp_path, node_classes_file=file)
