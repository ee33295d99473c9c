"""What a report counts, and which files it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from safety_service.jury import Jury
from safety_service.model import Level
from safety_service.policy import SHIPPED_POLICIES
from safety_service.report import (
    LabelledFileError,
    Share,
    files_in,
    judge_rows,
    read_rows,
    summarise,
)

if TYPE_CHECKING:
    from pathlib import Path

    from safety_service.text_check import TextChecker


def _file(folder: Path, *rows: dict[str, str], name: str = "texts.jsonl") -> Path:
    path = folder / name
    path.write_text("\n\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def test_shares_are_counted_by_label_and_layer(tmp_path: Path, checker: TextChecker) -> None:
    """Each text counts once for its file and once for its label."""
    path = _file(
        tmp_path,
        {"text": "Ein Hakenkreuz", "lang": "de", "label": "harmful"},
        {"text": "Eine Blume", "lang": "de", "label": "benign", "source": "me"},
        {"text": "Ein Hund", "lang": "de", "label": "benign"},
    )
    judged = list(judge_rows(read_rows(path), checker, Level.OFF))
    summary = summarise("texts", judged)
    assert (summary.blocked, summary.unavailable) == (Share(1, 3), Share(0, 3))
    assert summary.by_label == {"harmful": Share(1, 1), "benign": Share(0, 2)}
    assert summary.by_layer == {2: Share(1, 3)}
    median, late = summary.latency_us
    assert 0 < median <= late
    assert [one.line for one in judged] == [1, 3, 5]
    assert all(one.as_labelled for one in judged)


def test_the_interval_is_wilsons() -> None:
    """Known values, and nothing of nothing."""
    assert Share(5, 100).interval == pytest.approx((0.0215, 0.1118), abs=1e-4)
    assert Share(0, 20).interval == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert Share(0, 0).interval == (0.0, 1.0)


def test_a_file_without_texts_has_a_report(tmp_path: Path, checker: TextChecker) -> None:
    """Nothing is blocked of nothing."""
    path = tmp_path / "empty.jsonl"
    path.write_text("")
    summary = summarise("empty", list(judge_rows(read_rows(path), checker, Level.KIDS)))
    assert summary.blocked == Share(0, 0) and summary.latency_us == (0.0, 0.0)


def test_a_folder_means_its_files_by_name(tmp_path: Path) -> None:
    """Also those in folders of it, and no others."""
    (tmp_path / "more").mkdir()
    second = _file(tmp_path, name="b.jsonl")
    first = _file(tmp_path, name="a.jsonl")
    third = _file(tmp_path / "more", name="c.jsonl")
    (tmp_path / "README.md").write_text("no texts")
    assert files_in(tmp_path) == [first, second, third]
    assert files_in(first) == [first]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"text": "a"}\n{"text": ', "broken.jsonl:2: is no JSON"),
        (b'{"label": "benign"}', "broken.jsonl:1: text: Field required"),
        (b'{"text": ""}', "broken.jsonl:1: text: String should have at least 1 character"),
        (b"[]", "broken.jsonl:1: the line: "),
        (b"\xff", "broken.jsonl: is no UTF-8 text"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, checker: TextChecker, content: bytes, fault: str
) -> None:
    """File, line and field are told."""
    path = tmp_path / "broken.jsonl"
    path.write_bytes(content)
    with pytest.raises(LabelledFileError, match="broken") as caught:
        list(judge_rows(read_rows(path), checker, Level.KIDS))
    assert fault in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path, checker: TextChecker) -> None:
    """A wrong path is told as such."""
    with pytest.raises(LabelledFileError, match="cannot be read"):
        list(judge_rows(read_rows(tmp_path / "none.jsonl"), checker, Level.KIDS))


def test_more_processes_judge_as_one(tmp_path: Path) -> None:
    """In the order of the file, with the same verdicts; a broken line is left out and named."""
    path = _file(tmp_path, *({"text": f"{n} Hakenkreuze" if n % 2 else "Hund"} for n in range(20)))
    with path.open("a") as file:
        file.write("nothing\n")
    faults: list[LabelledFileError] = []
    alone = Jury(SHIPPED_POLICIES, Level.KIDS, cores=1).judge(path, faults.append)
    shared = Jury(SHIPPED_POLICIES, Level.KIDS, cores=2, rows_worth_a_process=5)
    together = shared.judge(path, faults.append)
    seen = [[(one.line, one.verdict.decision) for one in judged] for judged in (alone, together)]
    assert seen[0] == seen[1] and len(seen[0]) == 20
    assert [str(fault).partition(": ")[2] for fault in faults] == [
        "is no JSON (Expecting value)"
    ] * 2
