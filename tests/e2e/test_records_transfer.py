"""Records go out in every form and come back, by the command alone."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pypdf
import pytest
from PIL import Image

from tests.e2e.deployment import items_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

IDEA = "Eine Blume auf der Wiese"
ANSWER = "Die Blume tanzt mit dem Regenschirm über die Wiese und singt dabei laut."
FORMATS = ["json", "jsonl", "csv", "xlsx", "parquet", "pdf", "zip", "ro-crate", "prov-json"]


def test_record_goes_out_in_every_form_and_comes_back(
    served: Deployment, ollama: FakeOllama, tmp_path: Path
) -> None:
    """Nine files of a real run; the ZIP holds its picture, and importing it finds all present."""
    ollama.answer = ANSWER
    result = served.run(IDEA, "--config", "dada")
    record = served.complete_record(result.execution_id)
    (picture,) = items_of(record, "output_image")
    for form in FORMATS:
        path = tmp_path / form
        told = served.command(
            *("records", "export", result.execution_id, "--format", form, "--to", str(path)),
            "--json",
        )
        assert told.code == 0, told.err
        assert told.lines == [{"path": str(path), "size_bytes": path.stat().st_size}]
    with zipfile.ZipFile(tmp_path / "zip") as archive:
        assert any(picture["media"]["sha256"] in name for name in archive.namelist())
    pages = pypdf.PdfReader(tmp_path / "pdf").pages
    assert IDEA in pages[0].extract_text()
    assert sum(len(page.images) for page in pages) == 1
    for form in ("json", "jsonl", "zip"):
        told = served.command("records", "import", str(tmp_path / form), "--json")
        assert told.code == 0, told.err
        assert told.lines[0]["present_count"] == 1


def test_older_records_are_imported_from_a_folder(served: Deployment, tmp_path: Path) -> None:
    """A folder with older records is read, first dry, then for good; it stays."""
    run = tmp_path / "runs"
    run.mkdir(parents=True)
    item = {"sequence_number": 1, "stage": 1, "item_type": "user_input_text", "content": IDEA}
    old = {"execution_id": "run_e2e", "config_name": "dada", "items": [item]}
    (run / "old.json").write_text(json.dumps(old))
    (run / "broken.json").write_text("{")
    before = sorted(file.read_bytes() for file in run.iterdir())
    dry = served.command("records", "import", str(run / "old.json"), "--dry-run", "--json")
    assert (dry.code, dry.lines[0]["imported_count"]) == (0, 1)
    told = served.command("records", "import", str(run))
    assert "1 imported" in told.out
    assert sorted(file.read_bytes() for file in run.iterdir()) == before
    shown = served.command("records", "show", "run_e2e", "--view", "learner")
    assert IDEA in shown.out


def test_run_folders_are_imported_with_their_files(served: Deployment, tmp_path: Path) -> None:
    """A folder of the predecessor's runs becomes records with pictures; nothing in it changes."""
    run = tmp_path / "exports" / "2025-11-03" / "run_7"
    (run / "final").mkdir(parents=True)
    (run / "prompting_process").mkdir()
    facts = {"config": "dada", "user_id": "p-7", "timestamp": "2025-11-03T10:00:00"}
    (run / "metadata.json").write_text(json.dumps(facts))
    (run / "prompting_process" / "01_input.txt").write_text(IDEA)
    Image.effect_noise((64, 64), 90).save(run / "final" / "output_image.png")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    told = served.command("records", "import", str(tmp_path / "exports"), "--json")
    report = told.lines[0]
    assert (told.code, report["imported_count"], report["media_count"]) == (0, 1, 1), told.out
    assert {one["reason"] for one in report["warnings"]} >= {"ITEM_TYPE_GUESSED"}
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    again = served.command("records", "import", str(run), "--json").lines[0]
    assert (again.get("imported_count", 0), again["present_count"]) == (0, 1)
    listed = served.command("records", "list", "--user", "p-7", "--json").lines[0]
    record = served.record(listed["execution_id"])
    (picture,) = items_of(record, "output_image")
    assert picture["media"]["sha256"]
    assert record["user_input"] == IDEA


@pytest.mark.parametrize(
    ("view", "has", "lacks"),
    [
        ("learner", "output image", "safety check"),
        ("advanced", "safety check", "stage transition"),
        ("researcher", "stage_transition", "nothing that any record holds"),
    ],
)
def test_record_is_shown_to_three_kinds_of_people(
    served: Deployment, ollama: FakeOllama, view: str, has: str, lacks: str
) -> None:
    """Learners see input, transformation and picture; researchers every item and field."""
    ollama.answer = ANSWER
    result = served.run(IDEA)
    served.complete_record(result.execution_id)
    shown = served.command("records", "show", result.execution_id, "--view", view)
    assert IDEA in shown.out
    assert has in shown.out
    assert lacks not in shown.out
