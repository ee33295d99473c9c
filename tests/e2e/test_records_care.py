"""Verifying, counting and erasing records, with real media, seen through the command alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from tests.searching import holders
from tests.support import eventually

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment, Result
    from tests.fakes.ollama import FakeOllama

PERSON, SITTING, CLASS = "ada-lovelace", "s-care", "class-care"
IDEA = "Ein Quittenzirkus auf der Wiese"
ANSWER = "Der Quittenzirkus tanzt mit einem Wolkenbiber über die Wiese und singt dabei sehr laut."
TRACES = ("Quittenzirkus", "Wolkenbiber", PERSON)
"""Words that no other test says. (Every line of a log names the sitting, which is no person.)"""


def own_answer(request: dict[str, Any]) -> str:
    """Answer prompts of this module alone: the model may be asked by what others left behind."""
    said = json.dumps(request, ensure_ascii=False)
    return ANSWER if "Quittenzirkus" in said else "A fake answer."


def run_as_ada(served: Deployment, *options: str) -> Result:
    """Run the idea as the person who will be erased."""
    who = ("--user", PERSON, "--session", SITTING, "--group", CLASS)
    result = served.run(IDEA, *who, *options)
    assert result.code == 0, result.err
    served.complete_record(result.execution_id)
    return result


async def test_erased_person_leaves_no_byte(
    served: Deployment, ollama: FakeOllama, tmp_path: Path
) -> None:
    """After `records erase` no text, name or picture is in any file, and every chain verifies."""
    ollama.answer = own_answer
    photo = tmp_path / "photo.png"
    Image.effect_noise((96, 96), 80).save(photo)
    first = run_as_ada(served, "--config", "dada", "--level", "kids")
    with_photo = ("--config", "picture_and_words", "--image", str(photo), "--text-only")
    second = run_as_ada(served, *with_photo, "--level", "off")
    for form in ("zip", "xlsx", "pdf", "parquet"):  # the tracker keeps these for a while
        to = ("--session", SITTING, "--format", form, "--to", str(tmp_path / form))
        assert served.command("records", "export", *to).code == 0
    pictures = [saved_picture(first), photo.read_bytes()]
    before = {path.partition("/")[0].partition("-")[0] for path in holders(served.data, *TRACES)}
    assert before >= {"exports", "research_data", "tracker.sqlite3"}

    erased = served.command("records", "erase", "--user", PERSON, "--yes", "--json")
    assert erased.code == 0, erased.err
    receipt = json.loads(erased.out)
    assert (receipt["state"], receipt["execution_count"]) == ("done", 2)

    def clean() -> bool:
        left = holders(served.data, *TRACES)
        assert not left, left
        return True

    await eventually(clean, within_seconds=60)
    for picture in pictures:
        assert not held_bytes(served.data, picture[100:400])
    for result in (first, second):
        assert served.record(result.execution_id)["user_input"] is None
    everything = served.command("records", "verify", "--all")
    assert everything.code == 0, everything.out
    assert "0 with a broken chain" in everything.out


async def test_record_is_counted_found_and_verified(served: Deployment, ollama: FakeOllama) -> None:
    """A run is found by its words, level and person, counted by its sitting, and verifies."""
    ollama.answer = own_answer
    result = run_as_ada(served, "--config", "dada", "--level", "kids")

    def found() -> bool:
        words = ("--text", "quittenzirk", "--level", "kids", "--user", PERSON, "--json")
        told = served.command("records", "list", *words)
        return result.execution_id in [line["execution_id"] for line in told.lines]

    await eventually(found, within_seconds=60)
    none = served.command("records", "list", "--text", "quittenzirkus", "--user", "nobody")
    assert (none.code, none.out) == (0, "")
    assert served.command("records", "verify", result.execution_id).code == 0
    counted = served.command("records", "stats", "--session", SITTING, "--json")
    assert counted.lines[0]["execution_count"] >= 1


def test_nothing_is_erased_by_accident(served: Deployment) -> None:
    """Without a choice, and without a yes, nothing is erased; a dry run counts."""
    assert served.command("records", "erase", "--yes").code == 2
    assert served.command("records", "erase", "--user", "a", "--config", "b", "--yes").code == 2
    dry = served.command("records", "erase", "--config", "none-such", "--dry-run")
    assert (dry.code, dry.out.strip()) == (0, "0 records match; none was erased")


def saved_picture(result: Result) -> bytes:
    """Return the picture that a run has saved."""
    (saved,) = [line for line in result.lines if line["event"] == "output_saved"]
    return Path(saved["path"]).read_bytes()


def held_bytes(folder: Path, needle: bytes) -> list[str]:
    """Return the files below a folder that hold some bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if needle in path.read_bytes()]
