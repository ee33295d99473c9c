"""Verifying, counting and erasing records, with real media, seen through the command alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment
    from tests.fakes.ollama import FakeOllama

IDEA = "Ein Zaunkönig auf der Wiese"


def test_erased_run_leaves_nothing_but_a_chain(served: Deployment, ollama: FakeOllama) -> None:
    """After `records erase` no text or picture is left in records and media, and all verifies."""
    ollama.answer = "Der Zaunkönig tanzt mit dem Regenschirm über die Wiese und singt sehr laut."
    as_ada = ("--user", "ada-lovelace", "--session", "s-care")
    result = served.run(IDEA, "--config", "dada", "--level", "kids", *as_ada)
    assert result.code == 0, result.err
    served.complete_record(result.execution_id)
    assert holders(served.data, "Zaunkönig".encode())
    (saved,) = [line for line in result.lines if line["event"] == "output_saved"]
    picture = Path(saved["path"]).read_bytes()
    assert served.command("records", "verify", result.execution_id).code == 0
    counted = served.command("records", "stats", "--session", "s-care", "--json")
    assert json.loads(counted.out)["execution_count"] == 1

    found = served.command("records", "list", "--text", "zaunkonig", "--level", "kids", "--json")
    assert result.execution_id in [
        json.loads(line)["execution_id"] for line in found.out.splitlines()
    ]
    none = served.command("records", "list", "--text", "zaunkonig", "--user", "nobody", "--json")
    assert (none.code, none.out) == (0, "")

    erased = served.command("records", "erase", "--user", "ada-lovelace", "--yes", "--json")
    assert erased.code == 0, erased.err
    receipt = json.loads(erased.out)
    assert (receipt["state"], receipt["execution_count"]) == ("done", 1)
    for needle in ("Zaunkönig".encode(), b"ada-lovelace"):
        assert holders(served.data, needle) == []
    assert holders(served.data, picture[100:400]) == []
    assert served.record(result.execution_id)["user_input"] is None
    everything = served.command("records", "verify", "--all")
    assert everything.code == 0, everything.out
    assert "0 with a broken chain" in everything.out


def test_nothing_is_erased_by_accident(served: Deployment) -> None:
    """Without a choice, and without a yes, nothing is erased; a dry run counts."""
    assert served.command("records", "erase", "--yes").code == 2
    assert served.command("records", "erase", "--user", "a", "--config", "b", "--yes").code == 2
    dry = served.command("records", "erase", "--config", "none-such", "--dry-run")
    assert (dry.code, dry.out.strip()) == (0, "0 records match; none was erased")


def holders(data: Path, needle: bytes) -> list[str]:
    """Return the files of the tracker and of the media store that hold some bytes."""
    files = [
        *data.glob("tracker.sqlite3*"),
        *(
            one
            for name in ("research_data", "exports", "media")
            for one in data.rglob(f"{name}/**/*")
        ),
    ]
    return [one.name for one in files if one.is_file() and needle in one.read_bytes()]
