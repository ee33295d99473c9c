"""From a run to a document that one can stand behind, by the command alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pypdf

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

IDEA = "Eine Blume auf der Wiese"
ANSWER = "Die Blume tanzt mit dem Regenschirm über die Wiese und singt dabei laut."


def test_run_becomes_a_document(served: Deployment, ollama: FakeOllama, tmp_path: Path) -> None:
    """Started, edited in an editor, finished, made again, shown, and known by its bytes."""
    ollama.answer = ANSWER
    run = served.run(IDEA, "--config", "dada")
    served.complete_record(run.execution_id)
    started = served.command("exports", "start", run.execution_id, "--language", "de", "--json")
    assert started.code == 0, started.err
    name = started.lines[0]["workflow"]["export_workflow_id"]

    editor = {"EDITOR": "sed -i s/Blume/Distel/"}
    choice = ("--format", "pdf", "--template", "learning_journey")
    edited = served.command("exports", "edit", name, *choice, **editor)
    assert edited.code == 0, edited.err
    assert "executions[0].inputs[0]" in edited.out

    finished = served.command("exports", "finish", name, "--to", str(tmp_path), "--json")
    assert finished.code == 0, finished.err
    made = finished.lines[0]["final_summary_and_deliverable"]
    path = tmp_path / made["deliverable"]["filename"]
    pages = pypdf.PdfReader(path).pages
    assert "Distel" in "".join(page.extract_text() for page in pages)
    assert sum(len(page.images) for page in pages) >= 1
    again = served.command(
        *("exports", "regenerate", name, "--format", "html", "--to", str(tmp_path / "a.html"))
    )
    assert again.code == 0, again.err
    assert "Distel" in (tmp_path / "a.html").read_text()
    shown = served.command("exports", "show", name, "--json")
    assert [line.get("stage", "workflow") for line in shown.lines] == [
        "workflow",
        "initial_ai_summary",
        "user_modifications",
        "final_summary_and_deliverable",
        "final_summary_and_deliverable",
    ]
    known = served.command("exports", "audit", "--file", str(path), "--json")
    assert known.lines[0]["export_workflow_id"] == name


def test_any_json_becomes_a_document(served: Deployment, tmp_path: Path) -> None:
    """A file is handed in and its type kept; one that is too large is refused as such."""
    data, huge = tmp_path / "data.json", tmp_path / "huge.json"
    data.write_text(json.dumps({"items": [{"price": 4}], "unit.price": 1}))
    huge.write_text(json.dumps(["x" * 2_000_000]))
    options = ("--type", "invoice", "--provenance", '{"by": "scanner"}', "--json")
    started = served.command("exports", "start", "--document", str(data), *options)
    assert started.code == 0, started.err
    source = started.lines[0]["record"]["initial_ai_summary"]["source"]
    assert (source["document_type"], source["provenance"]) == ("invoice", {"by": "scanner"})
    refused = served.command("exports", "start", "--document", str(huge))
    assert (refused.code, "DOCUMENT_TOO_LARGE" in refused.err) == (2, True)
