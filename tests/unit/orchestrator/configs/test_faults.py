"""Every kind of fault, planted one at a time into a sound folder: file, line, field and hint."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.configs import ConfigError, check_folder, load_configs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.configs import Fault

    Change = Callable[..., None]


def only_fault(folder: Path) -> Fault:
    faults = check_folder(folder)
    assert len(faults) == 1, [str(fault) for fault in faults]
    return faults[0]


def flow(**update: Any) -> dict[str, Any]:
    """A telephone game's control flow with something changed; None leaves a key out."""
    value: dict[str, Any] = {
        "kind": "iterative",
        "chunks": ["translation"],
        "iterations": 3,
        "languages": "random",
        "language_pool": ["fr", "tr"],
        "final_language": "en",
    } | update
    return {"control_flow": {key: part for key, part in value.items() if part is not None}}


def test_sound_folder_has_no_faults(folder: Path) -> None:
    """A folder in which everything fits loads without a fault."""
    assert check_folder(folder) == []


# file, what is changed in it, field, part of the message, part of the hint
PLANTED: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("interception/cut.json", {"pipeline": "onze"}, "pipeline", 'no pipeline "onze"', "mean once?"),
    ("interception/cut.json", {"output_configs": ["picture", "plane"]}, "output_configs[1]",
     'no output "plane"', "Did you mean plain?"),
    ("interception/cut.json", {"default_output": "imag"}, "default_output", '"imag"', "image?"),
    ("interception/cut.json", {"default_output": "music"}, "default_output",
     "defaults.json names no output for music", "Name one there"),
    ("interception/cut.json", {"contxt": "x"}, "contxt", "not known", "Did you mean context?"),
    ("interception/cut.json", {"accepts_context": "yes"}, "accepts_context", "true or false",
     "own rule"),
    ("interception/cut.json", {"name": {"de": "Schnitt"}}, "name.en", "missing", "English"),
    ("interception/cut.json", {"name": {"en": "a", "xx": "b"}}, "name.xx", 'no language "xx"',
     "ISO 639-1"),
    ("interception/cut.json", {"name": {"en": "a", "german": "b"}}, "name.german",
     "not possible", "two lower-case letters"),
    ("interception/cut.json", {"context": "See {{INPUT_TEXT}}."}, "context", "{{INPUT_TEXT}}",
     "templates of chunks only"),
    ("interception/cut.json", {"parameters": {"widht": 5}}, "parameters.widht",
     '"widht"', "Did you mean width?"),
    ("interception/cut.json", {"parameters": {"width": 5000}}, "parameters.width",
     "does not fit picture", ""),
    ("interception/cut.json", {"parameters": {"temperature": 3}}, "parameters.temperature",
     "at most 2", ""),
    ("interception/cut.json", {"audience": {"min_age": -1}}, "audience.min_age", "at least 0",
     "years"),
    ("interception/cut.json", {"tags": ["a", "a"]}, "tags", "must differ", ""),
    ("interception/whisper.json", {"pipeline": "once"}, "context", "needs a context",
     "pass_through"),
    ("pipelines/once.json", {"control_flow": {"kind": "sequence", "chunks": ["rewrit"]}},
     "control_flow.chunks[0]", 'no chunk "rewrit"', "Did you mean rewrite?"),
    ("pipelines/once.json", {"control_flow": {"kind": "sequense", "chunks": []}},
     "control_flow.kind", '"sequense"', "Did you mean sequence?"),
    ("pipelines/once.json", {"control_flow": {"kind": "sequence", "chunks": [], "iterations": 2}},
     "control_flow.iterations", "does not belong", "iterative"),
    ("pipelines/once.json", {"defaults": {"heigth": 1}}, "defaults.heigth", '"heigth"', ""),
    ("pipelines/once.json", {"defaults": {"top_p": 2}}, "defaults.top_p", "at most 1", ""),
    ("pipelines/once.json", {"input_requirements": {"texts": 1.5}}, "input_requirements.texts",
     "a whole number", "Count of texts"),
    ("pipelines/loop.json", flow(iterations=51), "control_flow.iterations", "at most 50",
     "1 to 50"),
    ("pipelines/loop.json", flow(iterations=None), "control_flow.iterations", "missing", ""),
    ("pipelines/loop.json", flow(chunks=[]), "control_flow.chunks", "at least 1", "one chunk"),
    ("pipelines/loop.json", flow(final_language="zz"), "control_flow.final_language",
     'no language "zz"', "ISO 639-1"),
    ("pipelines/loop.json", flow(language_pool=["fr", "qq"]), "control_flow.language_pool[1]",
     'no language "qq"', ""),
    ("pipelines/loop.json", flow(language_pool=None), "control_flow.language_pool", "missing",
     "draw"),
    ("pipelines/loop.json", flow(languages="rendom", language_pool=None), "control_flow.languages",
     "not written as", "random"),
    ("pipelines/loop.json", flow(languages=["fr"], language_pool=None), "control_flow.languages",
     "1 languages do not fit 3 iterations", "one language per iteration"),
    ("pipelines/loop.json", flow(languages=["fr", "tr"]), "control_flow.language_pool",
     "does not belong", "random"),
    ("pipelines/loop.json", flow(languages=None), "control_flow.language_pool", "does not belong",
     "random"),
    ("chunks/rewrite.json", {"template": "{{INPUT_TXT}}"}, "template",
     "no placeholder {{INPUT_TXT}}", "Did you mean INPUT_TEXT?"),
    ("chunks/rewrite.json", {"template": ["a", "{{context}}"]}, "template[1]", "{{context}}",
     "Did you mean CONTEXT?"),
    ("chunks/rewrite.json", {"template": {"en": "x", "de": ["a", "{{X}}"]}}, "template.de[1]",
     "{{X}}", "INPUT_TEXT"),
    ("chunks/rewrite.json", {"template": "Say {{INPUT_TEXT} now"}, "template", "does not end",
     "}} after it"),
    ("chunks/rewrite.json", {"role": "interceptoin"}, "role", '"interceptoin"',
     "Did you mean interception?"),
    ("chunks/rewrite.json", {"kind": "workflow"}, "kind", '"workflow"', "workflows/"),
    ("chunks/rewrite.json", {"parameters": {"keep_alive": "10 min"}}, "parameters.keep_alive",
     "not written as", "10m"),
    ("chunks/rewrite.json", {"parameters": {"max_tokens": "9"}}, "parameters.max_tokens",
     "a whole number", ""),
    ("output/plain.json", {"media_type": "picture"}, "media_type", '"picture"', "image"),
    ("output/plain.json", {"prompt_languages": ["de", "eng"]}, "prompt_languages[1]",
     "not written as", "two lower-case letters"),
    ("output/plain.json", {"parameters": {"n": {"type": "integer", "minimum": 9, "maximum": 2}}},
     "parameters.n.minimum", "greater than the maximum", "Swap"),
    ("output/plain.json", {"parameters": {"n": {"type": "integer", "maximum": 2, "default": 3}}},
     "parameters.n.default", "at most 2", ""),
    ("output/plain.json", {"parameters": {"n": {"type": "string", "choices": ["a", 1]}}},
     "parameters.n.choices[1]", "a text in quotes", ""),
    ("output/plain.json", {"parameters": {"n": {"type": "boolean", "minimum": 1}}},
     "parameters.n.minimum", "A boolean has no minimum", ""),
    ("output/plain.json", {"parameters": {"seed": {"type": "integer"}}}, "parameters.seed",
     "cannot be declared", "of its own"),
    ("output/plain.json", {"optimization_instruction": "{{CONTEXT}}"}, "optimization_instruction",
     "{{CONTEXT}}", "chunks only"),
    ("output/defaults.json", {"image": "pictur"}, "image", 'no output "pictur"', "mean picture?"),
    ("output/defaults.json", {"music": "picture"}, "music", "makes image, not music", ""),
    ("output/defaults.json", {"immage": "picture"}, "immage", "not possible", "mean image?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "update", "field", "message", "hint"),
    PLANTED,
    ids=[f"{name.split('/')[1].removesuffix('.json')}-{field}-{number}"
         for number, (name, _, field, _, _) in enumerate(PLANTED)],
)  # fmt: skip
def test_planted_fault_is_told_with_its_place(
    folder: Path,
    change: Change,
    name: str,
    update: dict[str, Any],
    field: str,
    message: str,
    hint: str,
) -> None:
    """A fault names the file, the line that holds the field, the field, and what to do."""
    change(name, update)
    fault = only_fault(folder)
    assert (fault.file, fault.field) == (name, field)
    assert message in fault.message
    assert hint in fault.hint
    line = (folder / name).read_text(encoding="utf-8").splitlines()[fault.line - 1]
    assert fault.column >= 1
    if "missing" not in fault.message and "needs a context" not in fault.message:
        last = field.split(".")[-1].split("[")[0]
        assert last in line or field.endswith("]")


# what the file holds, line, column, part of the message, part of the hint
BROKEN: list[tuple[bytes, int, int, str, str]] = [
    (b'{\n  "name": "a",\n}', 3, 1, "not JSON", "comma too many"),
    (b'{\n  "name": "a"\n  "b": 1\n}', 3, 3, "not JSON", "comma or a colon is missing"),
    (b"{\n  'name': 1\n}", 2, 3, "not JSON", "double quotes"),
    (b'{\n  // no\n  "name": 1\n}', 2, 3, "not JSON", "no comments"),
    (b'{\n  "name": "a', 2, 11, "not JSON", ""),
    (b'{"name": "a"', 1, 13, "not JSON", "ends too early"),
    (b'{\n "name": "a\nb"}', 2, 12, "not JSON", "list of lines"),
    (b'{"name": True}', 1, 10, "not JSON", "lower case"),
    (b"", 1, 1, "not JSON", "ends too early"),
    ('{\n  "name": "Blüte"}'.encode("latin-1"), 2, 14, "not UTF-8", "encoding UTF-8"),
    (b'{\n  "a": 1,\n  "a": 2}', 3, 3, '"a" is here twice', "Keep one"),
    (b'{"x": {"y": 1e999}}', 1, 13, "no finite number", ""),
    (b'{"x": NaN}', 1, 7, "no finite number", ""),
    (b'{"x": "\\ud800"}', 1, 7, "half of a character", ""),
    (b"[" * 30 + b"]" * 30, 1, 21, "more than 20 deep", ""),
    (b"[" * 100_000, 1, 1, "more than 20 deep", ""),
    (b'{"x": ' + b"9" * 5000 + b"}", 1, 1, "far too long", ""),
    (b" " * (1024 * 1024 + 1), 0, 0, "larger than 1 MiB", ""),
]


@pytest.mark.parametrize(
    ("content", "line", "column", "message", "hint"), BROKEN, ids=map(str, range(len(BROKEN)))
)
def test_broken_file_is_told_with_line_and_column(
    folder: Path, content: bytes, line: int, column: int, message: str, hint: str
) -> None:
    """A file that is no usable JSON names the place where reading it failed, and a likely slip."""
    (folder / "interception" / "cut.json").write_bytes(content)
    fault = only_fault(folder)
    assert (fault.file, fault.line, fault.column) == ("interception/cut.json", line, column)
    assert message in fault.message
    assert hint in fault.hint


def test_all_faults_are_told_at_once_in_order(folder: Path, change: Change) -> None:
    """Faults of several files and several fields come together, sorted by file and line."""
    change("interception/cut.json", {"pipeline": "nope", "tags": 5})
    change("interception/own.json", {"pipeline": "nope", "output_configs": ["a1", "b2"]})
    (folder / "output" / "plain.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        load_configs(folder)
    told = [(fault.file, fault.field) for fault in caught.value.faults]
    assert told == [
        ("interception/cut.json", "tags"),
        ("interception/own.json", "pipeline"),
        ("interception/own.json", "output_configs[0]"),
        ("interception/own.json", "output_configs[1]"),
        ("output/plain.json", ""),
    ]
    assert str(caught.value).splitlines()[0].startswith("interception/cut.json:")


def test_faulty_file_does_not_make_others_faulty(folder: Path, change: Change) -> None:
    """Who names a config whose file is faulty is not told that it is missing."""
    change("pipelines/once.json", {"control_flow": 5})
    assert only_fault(folder).file == "pipelines/once.json"


def test_duplicate_id_is_a_fault(folder: Path, change: Change) -> None:
    """An explicit id that another file has already is a fault that names that file."""
    change(
        "interception/twin.json", {"id": "cut", "name": "T", "description": "t", "pipeline": "rule"}
    )
    fault = only_fault(folder)
    assert (fault.file, fault.line, fault.field) == ("interception/twin.json", 2, "id")
    assert "interception/cut.json" in fault.message
    assert fault.hint == "Give it another id."


def test_explicit_id_is_the_id(folder: Path, change: Change) -> None:
    """An explicit id counts instead of the file's name."""
    change("interception/own.json", {"id": "mine"})
    assert set(load_configs(folder).interception) == {"cut", "mine", "whisper", "two"}


@pytest.mark.parametrize("name", ["Dada", "dä", "a b", "9a", "a-b", "x" * 65])
def test_odd_file_name_is_a_fault(folder: Path, change: Change, name: str) -> None:
    """A file name that is no id is a fault."""
    change(f"interception/{name}.json", {"name": "T", "description": "t", "pipeline": "rule"})
    fault = only_fault(folder)
    assert fault.file == f"interception/{name}.json"
    assert "lower-case letters" in fault.message


def test_odd_file_name_comes_with_a_better_one(folder: Path, change: Change) -> None:
    """The hint about an odd file name proposes one that is possible."""
    change("interception/My Rule.json", {"name": "T", "description": "t", "pipeline": "rule"})
    assert only_fault(folder).hint == "Rename it, for instance to my_rule.json."


@pytest.mark.parametrize("id_", ["Cut", "", "a/b", "../x"])
def test_odd_explicit_id_is_a_fault(folder: Path, change: Change, id_: str) -> None:
    """An explicit id with odd characters is a fault."""
    change("interception/own.json", {"id": id_})
    fault = only_fault(folder)
    assert (fault.file, fault.field) == ("interception/own.json", "id")


def test_medium_is_no_output_id(folder: Path, change: Change) -> None:
    """An output cannot take the name of a medium, or nobody knows what is asked for."""
    change("output/video.json", json.loads((folder / "output/plain.json").read_text()))
    assert "name of a medium" in only_fault(folder).message


def test_missing_needed_chunk_is_a_fault(folder: Path) -> None:
    """A set without the translation chunk cannot run and says so."""
    (folder / "chunks" / "translation.json").unlink()
    faults = check_folder(folder)
    assert ("chunks/translation.json", "This file is missing; no run is possible without it.") in [
        (fault.file, fault.message) for fault in faults
    ]


def test_chunk_may_not_ask_for_more_texts_than_there_are(folder: Path, change: Change) -> None:
    """A pipeline with one text cannot use a chunk that speaks of a second."""
    change("chunks/rewrite.json", {"template": "{{INPUT_TEXT}} {{INPUT_TEXT_2}}"})
    faults = check_folder(folder)
    assert {fault.file for fault in faults} == {"pipelines/once.json", "pipelines/rule.json"}
    assert all("INPUT_TEXT_2" in fault.message for fault in faults)
    assert faults[0].hint == "Raise input_requirements.texts."


def test_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """A missing folder is one fault, not a crash."""
    faults = check_folder(tmp_path / "nowhere")
    assert any("cannot be read" in fault.message for fault in faults)


@pytest.mark.parametrize("name", ["interceptions/a.json", "a.json", "guests/x.json"])
def test_config_in_the_wrong_place_is_a_fault(folder: Path, name: str) -> None:
    """A config that would be passed over is told."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}")
    fault = only_fault(folder)
    assert fault.file == name.split("/")[0]
    assert "interception" in fault.hint


def test_folder_in_a_folder_is_a_fault(folder: Path) -> None:
    """Folders of configs are flat."""
    (folder / "chunks" / "more").mkdir()
    (folder / "chunks" / "more" / "x.json").write_text("{}")
    fault = only_fault(folder)
    assert (fault.file, fault.hint) == ("chunks/more", "Put the files into chunks/ itself.")


def test_what_is_no_config_is_passed_over(folder: Path) -> None:
    """Models, schemas, notes, hidden and disabled files are none of our business."""
    for name in ("models.json", "README.md", "interception/cut.json.disabled", "chunks/.x.json"):
        (folder / name).write_text("no json")
    (folder / "schema").mkdir()
    (folder / "schema" / "x.json").write_text("no json")
    assert check_folder(folder) == []


def test_link_out_of_the_folder_is_a_fault(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A link that leads out of the folder is not followed."""
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.json"
    secret.write_text("{}")
    (folder / "chunks" / "x.json").symlink_to(secret)
    fault = only_fault(folder)
    assert (fault.file, fault.hint) == ("chunks/x.json", "Put a copy here.")
    assert "leads out" in fault.message


def test_linked_folder_is_a_fault(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A whole folder that is a link to elsewhere is not followed."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "output").rename(elsewhere / "output")
    (folder / "output").symlink_to(elsewhere / "output")
    assert ("output", "This link leads out of the folder.") in [
        (fault.file, fault.message) for fault in check_folder(folder)
    ]


def test_link_inside_the_folder_is_followed(folder: Path) -> None:
    """Links within the folder work, as a Kubernetes ConfigMap mounts its files."""
    data = folder / "..data"
    data.mkdir()
    original = folder / "interception" / "cut.json"
    original.rename(data / "cut.json")
    original.symlink_to(data / "cut.json")
    assert check_folder(folder) == []


@pytest.mark.parametrize("target", ["nowhere.json", "x.json"])
def test_link_to_nothing_is_a_fault(folder: Path, target: str) -> None:
    """A link to nothing, or to itself, is a fault and not a crash."""
    (folder / "chunks" / "x.json").symlink_to(folder / "chunks" / target)
    assert "cannot be read" in only_fault(folder).message


def test_pipe_is_a_fault(folder: Path) -> None:
    """A named pipe, which would block whoever reads it, is a fault."""
    os.mkfifo(folder / "chunks" / "x.json")
    assert only_fault(folder).message == "This is no file."


def test_byte_order_mark_is_forgiven(folder: Path) -> None:
    """A file as Windows' editor saves it loads, and its places are right."""
    path = folder / "interception" / "cut.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert check_folder(folder) == []


def test_tabs_and_escaped_emoji_do_not_move_places(folder: Path) -> None:
    """Columns count characters, whatever stands before them."""
    text = '{\n\t"name": "\\ud83d\\ude00😀",\n\t"description": "d", "pipelin": "rule"\n}'
    (folder / "interception" / "own.json").write_text(text, encoding="utf-8")
    places = {fault.field: (fault.line, fault.column) for fault in check_folder(folder)}
    assert places == {"pipeline": (1, 1), "pipelin": (3, 22)}


def test_fault_reads_as_one_line(folder: Path, change: Change) -> None:
    """A fault prints as `file:line:column: field: message hint`."""
    change("interception/cut.json", {"pipeline": "onze"})
    assert str(only_fault(folder)) == (
        'interception/cut.json:7:15: pipeline: There is no pipeline "onze". Did you mean once?'
    )
