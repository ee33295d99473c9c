"""What a run leaves behind, seen through the command alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.deployment import assert_well_formed, items_of

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

IDEA = "Eine Blume auf der Wiese"
VIOLENT_IDEA = "Ein Mann ermordet seinen Nachbarn mit einem Messer, überall ist Blut"
PNG = b"\x89PNG\r\n\x1a\n"


def test_dada_run_delivers_a_picture_and_a_complete_record(
    served: Deployment, ollama: FakeOllama
) -> None:
    """A plain run ends COMPLETED with code 0, saves its picture and records everything."""
    ollama.answer = "Die Blume tanzt mit dem Regenschirm über die Wiese und singt dabei laut."
    result = served.run(IDEA, "--config", "dada", "--level", "kids")
    assert result.code == 0, result.err
    (saved,) = [line for line in result.lines if line["event"] == "output_saved"]
    assert Path(saved["path"]).read_bytes().startswith(PNG)
    record = served.complete_record(result.execution_id)
    assert_well_formed(record)
    assert record["status"] == "completed"
    assert len(items_of(record, "user_input_text")) == 1
    assert len(items_of(record, "output_image")) == 1
    (translation,) = items_of(record, "translation_result")
    assert translation["metadata"]["from_lang"] == "de"


def test_every_line_names_the_execution(served: Deployment) -> None:
    """With `--json` each line is an object with the execution and what happened."""
    result = served.run(IDEA, "--config", "dada", "--text-only")
    assert {line["execution_id"] for line in result.lines} == {result.execution_id}
    assert all(line["event"] for line in result.lines)


def test_stillepost_records_one_input_check_and_eight_iterations(served: Deployment) -> None:
    """The telephone game has stage 1 once and exactly the iterations 1 to 8."""
    result = served.run(IDEA, "--config", "stillepost", "--level", "kids")
    assert result.code == 0, result.err
    record = served.complete_record(result.execution_id)
    assert_well_formed(record)
    assert len(items_of(record, "stage1_safety_check")) == 1
    iterations = items_of(record, "interception_iteration")
    assert [item["stage_iteration"] for item in iterations] == list(range(1, 9))
    assert not [item for item in record["items"] if item["stage"] in (3, 4)]


def test_image_comparison_runs_late_stages_once_per_output(served: Deployment) -> None:
    """Two outputs share stages 1 and 2 and have stages 3 and 4 each."""
    result = served.run(IDEA, "--config", "image_comparison", "--level", "kids")
    assert result.code == 0, result.err
    record = served.complete_record(result.execution_id)
    assert_well_formed(record)
    assert len(items_of(record, "stage1_safety_check")) == 1
    assert len(items_of(record, "interception_final")) == 1
    for item_type in ("stage3_safety_check", "output_image"):
        numbers = [item["loop_iteration"] for item in items_of(record, item_type)]
        assert sorted(numbers) == [1, 2], item_type
    assert len([line for line in result.lines if line["event"] == "output_saved"]) == 2


def test_text_only_run_has_no_late_stages(served: Deployment) -> None:
    """Without outputs there is nothing of stages 3 and 4, whatever the config says."""
    result = served.run(IDEA, "--config", "dada", "--text-only", "--level", "kids")
    assert result.code == 0, result.err
    record = served.complete_record(result.execution_id)
    assert_well_formed(record)
    assert not [item for item in record["items"] if item["stage"] in (3, 4)]
    assert items_of(record, "interception_final")[0]["content"]


def test_blocked_input_ends_the_run_kindly(served: Deployment) -> None:
    """A blocked input ends BLOCKED with code 3 and a kind message, and nothing later happens."""
    result = served.run(VIOLENT_IDEA, "--config", "dada", "--level", "kids", "--lang", "de")
    assert result.code == 3
    (blocked,) = [line for line in result.lines if line["event"] == "content_blocked"]
    assert set(blocked["content_blocked"]["message"]) >= {"de", "en"}
    record = served.complete_record(result.execution_id)
    assert_well_formed(record)
    assert record["status"] == "blocked"
    assert len(items_of(record, "stage1_blocked")) == 1
    assert not [item for item in record["items"] if item["stage"] in (2, 3, 4)]


def test_same_words_and_seed_give_the_same_picture(served: Deployment) -> None:
    """The embedded renderer repeats itself byte for byte; only the marks name two executions."""
    options = ("--config", "passthrough", "--output", "embedded_image", "--seed", str(2**64 - 1))
    hashes = set()
    for _ in range(2):
        result = served.run("A red kite over the sea", *options)
        (item,) = items_of(served.complete_record(result.execution_id), "output_image")
        assert item["metadata"]["seed"] == 2**64 - 1
        hashes.add(item["media"]["sha256"])
    assert len(hashes) == 1


def test_shown_record_exported_record_and_file_are_the_same(
    served: Deployment, tmp_path: Path
) -> None:
    """`records show --json`, both exports and the file under research_data agree."""
    result = served.run(IDEA, "--config", "stillepost")
    in_file = served.complete_record(result.execution_id)
    assert served.record(result.execution_id) == in_file
    for form, read in (("json", json.loads), ("jsonl", lambda text: [json.loads(text)])):
        path = tmp_path / f"export.{form}"
        exported = served.command(
            *("records", "export", result.execution_id, "--format", form, "--to", str(path))
        )
        assert exported.code == 0, exported.err
        assert read(path.read_text()) == [in_file]


def test_finished_run_can_be_listed_shown_and_watched(served: Deployment) -> None:
    """A finished run is found by its session, and watching it shows the same items again."""
    result = served.run(IDEA, "--text-only", "--session", "class-4b", "--user", "mia")
    served.complete_record(result.execution_id)
    listed = served.command("records", "list", "--session", "class-4b", "--json")
    assert [line["execution_id"] for line in listed.lines] == [result.execution_id]
    assert listed.lines[0]["user_id"] == "mia"
    assert "interception_final" in served.command("records", "show", result.execution_id).out
    watched = served.command("watch", result.execution_id, "--json")
    assert watched.code == 0
    assert [item["item_id"] for item in watched.items] == [item["item_id"] for item in result.items]


def test_idempotency_key_gives_the_same_execution(served: Deployment) -> None:
    """The same key twice is one execution."""
    options = ("--config", "passthrough", "--text-only", "--idempotency-key", "only-once")
    first = served.run("A kite", *options)
    second = served.run("A kite", *options)
    assert first.execution_id == second.execution_id


def test_run_without_json_tells_a_person_what_happens(served: Deployment) -> None:
    """The screen names the stages, shows the text and says where the picture is."""
    out = served.data.parent / "screen"
    result = served.command("run", IDEA, "--config", "dada", "--out", str(out))
    assert result.code == 0, result.err
    (picture,) = out.rglob("*.png")
    for words in ("Input check", "Interception", "Generation", str(picture), "COMPLETED"):
        assert words in result.out


def test_configs_can_be_listed_and_shown(served: Deployment) -> None:
    """What ships is listed, and a config is shown with everything resolved."""
    listed = served.command("configs", "list", "--json")
    ids = {line["id"] for line in listed.lines}
    assert ids >= {
        *("dada", "bauhaus", "overdrive", "stillepost", "passthrough", "image_comparison"),
        *("user_defined", "embedded_image", "embedded_image_b"),
    }
    shown = served.command("configs", "show", "dada", "--json")
    assert json.loads(shown.out)


def test_doctor_finds_a_healthy_deployment(served: Deployment) -> None:
    """With everything serving the doctor finds the four services and no fault."""
    result = served.command("doctor", "--json", "--data", str(served.data))
    assert result.code == 0, result.out
    subjects = {line["subject"] for line in result.lines}
    assert subjects >= {"orchestrator", "safety", "generation", "tracker", "model", "configs"}


@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_unknown_execution_is_a_wrong_usage(served: Deployment, command: str) -> None:
    """An execution that is not there ends with code 2 and one sentence."""
    result = served.command(command, "0197b5c0-0000-7000-8000-000000000000")
    assert result.code == 2
    assert "EXECUTION_NOT_FOUND" in result.err
    assert "Traceback" not in result.err
