"""Lists that a deployment adds, changes of files while the service runs, and what stays law."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from safety_service.model import Decision, Direction, Level
from safety_service.policy import SHIPPED_POLICIES, PolicyError, load_policy
from safety_service.text_check import TextChecker
from servicekit.reloading import Reloading
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from safety_service.policy import Policy

ROW = "de\tkids\tblock\t"


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    """A deployment's folder with one list for minors and one for everybody."""
    folder = tmp_path / "lists"
    (folder / "law").mkdir(parents=True)
    (folder / "bullying.our-school.tsv").write_text(f"{ROW}quarkschnute\n", encoding="utf-8")
    (folder / "law" / "extremism_86a.local.tsv").write_text(
        "de\tall\tblock\tzorkelbund\n", encoding="utf-8"
    )
    return folder


def _decision(policy: Policy, text: str, level: Level) -> Decision:
    return TextChecker(policy).check(text, level, Direction.INPUT).decision


def test_added_lists_count_where_they_say(extra: Path, policy: Policy) -> None:
    """A school's own word blocks its children, its own law blocks everybody, nothing is lost."""
    more = load_policy(extra_lists=extra)
    assert more.version != policy.version
    assert _decision(policy, "Du Quarkschnute", Level.KIDS) is Decision.ALLOW
    assert _decision(more, "Du Quarkschnute", Level.KIDS) is Decision.BLOCK
    assert _decision(more, "Du Quarkschnute", Level.ADULT) is Decision.ALLOW
    assert _decision(more, "Der Zorkelbund", Level.OFF) is Decision.BLOCK
    assert [(found.name, found.law) for found in more.lists if found.own] == [
        ("bullying.our-school.tsv", False),
        ("law/extremism_86a.local.tsv", True),
    ]
    assert len(more.lists) == len(policy.lists) + 2


@pytest.mark.parametrize(
    ("name", "row", "fault"),
    [
        ("bullying.tsv", f"{ROW}x", "call it <category>.<name>.tsv"),
        ("silly.our.tsv", f"{ROW}x", "categories are"),
        ("hate.our.tsv", "de\tkids\tmaybe\tx", "hate.our.tsv:1:"),
        ("law/hate.our.tsv", f"{ROW}x", "every level"),
    ],
)
def test_faulty_lists_are_named(extra: Path, name: str, row: str, fault: str) -> None:
    """A wrong name or row says which file, and what would be right."""
    (extra / name).write_text(f"{row}\n", encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(extra_lists=extra)
    assert fault in "\n".join(caught.value.faults)


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """A mistyped path must not look like an empty folder."""
    with pytest.raises(PolicyError):
        load_policy(extra_lists=tmp_path / "nowhere")


def _without_a_law_entry(folder: Path) -> None:
    path = folder / "terms/incitement.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    path.write_text("\n".join(lines[:first] + lines[first + 1 :]) + "\n", encoding="utf-8")


def _with_a_soft_failure(folder: Path) -> None:
    _edit(folder, "classifier", "on_failure", "kids", "allow_with_warning")


def _without_age_checks(folder: Path) -> None:
    _edit(folder, "terms_age", "directions", "youth", [])


def _with_blind_pictures(folder: Path) -> None:
    _edit(folder, "image_guard", "on_missing", "kids", "allow_with_warning")


def _edit(folder: Path, check: str, table: str, level: str, value: object) -> None:
    path = folder / "policy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["checks"][check][table][level] = value
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (_without_a_law_entry, "is missing or changed"),
        (_with_a_soft_failure, "must block for minors"),
        (_without_age_checks, "minors get every check"),
        (_with_blind_pictures, "must block for minors"),
    ],
)
def test_no_deployment_removes_the_base(
    tmp_path: Path, damage: Callable[[Path], None], fault: str
) -> None:
    """An own policy folder may add and tighten; law and the protection of minors stay."""
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED_POLICIES, folder)
    damage(folder)
    with pytest.raises(PolicyError) as caught:
        load_policy(folder)
    assert fault in "\n".join(caught.value.faults)


async def test_changes_are_taken_up_and_faulty_ones_are_not(extra: Path) -> None:
    """A new word counts without a restart; with a typo the last good policy stays in force."""
    live = Reloading("policy", lambda: load_policy(extra_lists=extra), [extra], PolicyError)
    first = live.value
    path = extra / "bullying.our-school.tsv"

    async def changed(in_order: bool) -> None:
        told.append(in_order)

    told: list[bool] = []
    async with live.watching(0.01, changed):
        path.write_text(f"{ROW}quarkschnute\n{ROW}wurzelzwerg\n", encoding="utf-8")
        await eventually(lambda: live.value is not first, within_seconds=60)
        assert _decision(live.value, "Du Wurzelzwerg", Level.KIDS) is Decision.BLOCK
        second = live.value
        path.write_text("this is no list\n", encoding="utf-8")
        await eventually(lambda: live.fault, within_seconds=60)
        assert live.value is second and "bullying.our-school.tsv:1" in str(live.fault)
        path.write_text(f"{ROW}quarkschnute\n", encoding="utf-8")
        await eventually(lambda: live.fault is None, within_seconds=60)
        assert live.value.version == first.version
        await eventually(lambda: told[-3:] == [True, False, True])
