"""Configs of single users: their own, and never a reason why others have none."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator.configs import (
    PlanRequest,
    build_plan,
    check_folder,
    load_configs,
    shipped_configs_dir,
)
from servicekit.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

WILD = {
    "name": "Wild",
    "description": "As Ada likes it.",
    "pipeline": "single_interception",
    "context": "Make it wild.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped configs with one of Ada's own."""
    copy = tmp_path / "configs"
    shutil.copytree(shipped_configs_dir(), copy)
    (copy / "users" / "ada").mkdir(parents=True)
    (copy / "users" / "ada" / "wild.json").write_text(json.dumps(WILD))
    return copy


def test_own_config_is_found_by_its_user_and_by_who_cares_for_all(folder: Path) -> None:
    """For another learner it is as if it were not there, hint included."""
    configs = load_configs(folder)
    assert build_plan(configs, PlanRequest("u_ada_wild", "en", learner="ada")).context
    assert build_plan(configs, PlanRequest("u_ada_wild", "en")).context
    with pytest.raises(NotFoundError) as refused:
        build_plan(configs, PlanRequest("u_ada_wild", "en", learner="bob"))
    assert "u_ada" not in refused.value.message


@pytest.mark.parametrize("content", ["{", json.dumps({**WILD, "pipeline": "nowhere"})])
def test_faulty_own_config_is_left_out_alone(folder: Path, content: str) -> None:
    """Everybody else's configs are loaded; `configs check` names the fault."""
    (folder / "users" / "ada" / "broken.json").write_text(content)
    configs = load_configs(folder)
    assert "u_ada_wild" in configs.interception
    assert "u_ada_broken" not in configs.interception
    assert {fault.file for fault in check_folder(folder)} == {"users/ada/broken.json"}


def test_file_beside_the_users_folders_is_a_fault(folder: Path) -> None:
    """It would belong to nobody."""
    (folder / "users" / "stray.json").write_text(json.dumps(WILD))
    [fault] = check_folder(folder)
    assert (fault.file, fault.message) == ("users/stray.json", "This is no folder of a user.")
