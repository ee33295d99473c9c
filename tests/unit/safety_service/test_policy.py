"""The policy folder: what is refused at start-up, and that every fault is named at once."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from safety_service.model import Category, Direction, Level, OnFailure
from safety_service.policy import SHIPPED_POLICIES, PolicyError, load_policy

if TYPE_CHECKING:
    from pathlib import Path

    from safety_service.policy import Policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policy to break."""
    copy = tmp_path / "policies"
    shutil.copytree(SHIPPED_POLICIES, copy)
    return copy


def _append(path: Path, line: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")


def _faults(folder: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        load_policy(folder)
    return "\n".join(caught.value.faults)


def test_the_version_names_every_byte(folder: Path, policy: Policy) -> None:
    """The version is the same for the same files and another for one more entry."""
    assert load_policy(folder).version == policy.version
    _append(folder / "terms/drugs.tsv", "new\tde\tkids\tblock\tneuewortschöpfung")
    assert load_policy(folder).version != policy.version


def test_the_levels_are_as_specified(policy: Policy) -> None:
    """Law is on everywhere, age for minors, and a missing picture guard stops minors only."""
    for level in Level:
        rules = policy.rules(level, "text", Direction.OUTPUT)
        minor = level in (Level.KIDS, Level.YOUTH)
        assert "terms_law" in rules
        assert ("terms_age" in rules) == minor
        missing = policy.checks["image_guard"].on_missing
        assert missing is not None
        assert (missing[level] is OnFailure.BLOCK) == minor
    counts = [policy.entry_counts[level] for level in Level]
    assert counts == sorted(counts, reverse=True) and counts[-1] > 50


def test_messages_are_kind_words_for_the_age(policy: Policy) -> None:
    """Every category speaks to kids and to older people, in two languages, and outages differ."""
    texts = set()
    for level in (Level.KIDS, Level.ADULT):
        for category in Category:
            texts.add(policy.refusal(category, level))
        texts.add(policy.outage(level))
    assert len(texts) == 2 * (len(Category) + 1)
    assert all(message.de and message.en for message in texts)


def test_every_fault_of_the_lists_is_named_with_its_line(folder: Path) -> None:
    """One start shows all that is wrong, with file and line."""
    path = folder / "terms/drugs.tsv"
    line = len(path.read_text(encoding="utf-8").splitlines()) + 1
    for row in (
        "one\tfr\tkids\tblock\twort",
        "two\tde\tbabies\tblock\twort",
        "three\tde\tkids\tmaybe\twort",
        "four\tde\tkids\tblock\twort/q",
        "five\tde\tkids\tblock\t$nosuchset",
        "six\tde\tkids\tblock\twort ..",
        "seven\tde\tkids\tblock\twort\tunless=nosuchset",
        "eight\tde\tkids\tblock\twort\tif=lesson",
        "nine\tde\tkids",
        "ten\tde\tkids\tblock\twort",
        "ten\tde\tkids\tblock\twort",
    ):
        _append(path, row)
    _append(folder / "terms/law.tsv", "kids-only\tde\tkids\tblock\twort")
    faults = _faults(folder)
    for offset in (*range(9), 10):
        assert f"terms/drugs.tsv:{line + offset}: " in faults
    assert "terms/law.tsv:" in faults and "every level" in faults


def test_broken_json_is_named_with_its_line(folder: Path) -> None:
    """A comma too much is found where it is."""
    (folder / "policy.json").write_text('{\n  "sets": ,\n}')
    assert "policy.json:2:" in _faults(folder)


def test_missing_and_unknown_parts_are_named(folder: Path) -> None:
    """A forgotten message, an unknown check and a level left out are all found."""
    path = folder / "policy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["messages"]["violence"]
    del content["checks"]["terms_law"]["directions"]["off"]
    content["checks"]["terms_law"]["on_failure"]["adult"] = "allow_with_warning"
    content["checks"]["magic"] = content["checks"]["normalise"]
    path.write_text(json.dumps(content), encoding="utf-8")
    faults = _faults(folder)
    assert "messages: violence is missing" in faults
    assert "checks.terms_law.directions: needs every level" in faults
    assert "law always blocks" in faults
    assert "checks: magic is unknown" in faults


def test_a_message_may_not_say_what_it_explains(folder: Path) -> None:
    """A message with a listed term in it is a fault."""
    path = folder / "policy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["messages"]["drugs"]["kids"]["de"] = "Kein Kokain!"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "messages.drugs: contains the listed term drugs." in _faults(folder)


@pytest.mark.parametrize("name", ["terms/none.tsv", "../outside.tsv"])
def test_lists_are_files_of_the_folder(folder: Path, name: str) -> None:
    """A list that is not there, or lies elsewhere, is a fault."""
    (folder.parent / "outside.tsv").write_text("")
    path = folder / "policy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["lists"][0]["file"] = name
    path.write_text(json.dumps(content), encoding="utf-8")
    assert name in _faults(folder)
