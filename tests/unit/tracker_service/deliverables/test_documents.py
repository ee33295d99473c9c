"""What documents say: of executions, of any other data, of changes and where all comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.errors import InvalidArgumentError
from tests.unit.tracker_service.builders import make_item
from tests.unit.tracker_service.deliverables.made import (
    KeptMedia,
    make_data,
    make_record,
    make_source,
)
from tests.unit.tracker_service.deliverables.reading import statements
from tracker_service.export_workflow.deliverables.building import build, digest, media_of
from tracker_service.export_workflow.deliverables.extraction import extract, extraction_confidence
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.limits import MAX_CHARS
from tracker_service.export_workflow.deliverables.model import (
    Change,
    Document,
    Facts,
    Picture,
    Section,
    Step,
    Table,
    Template,
    marked_text,
)
from tracker_service.export_workflow.deliverables.naming import filename_of
from tracker_service.export_workflow.model import ChangeType, FieldChange
from tracker_service.export_workflow.summary.model import Language
from tracker_service.export_workflow.texts import words

if TYPE_CHECKING:
    from tracker_service.export_workflow.documents import JsonValue

MEDIA = KeptMedia()
DATA = make_data(MEDIA)
LIST: JsonValue = {
    "museum": "Haus der Farben",
    "open": True,
    "guests": [{"name": "Ann", "age": 9}, {"name": "Bo", "tags": {"x.y": [1, 2]}}],
    "address": {"street": 'Am "Markt"', "numbers": [1, 2]},
}
EACH_TEMPLATE = pytest.mark.parametrize("template", Template)


def section(document: Document, title: str) -> Section:
    """The section of this title."""
    (found,) = (one for one in document.sections if one.title == title)
    return found


def facts(part: Section) -> dict[str, str]:
    """The facts of a section by their labels."""
    (found,) = (block for block in part.blocks if isinstance(block, Facts))
    return {fact.label: fact.value for fact in found.facts}


def table(part: Section) -> Table:
    """The table of a section."""
    (found,) = (block for block in part.blocks if isinstance(block, Table))
    return found


# --- executions ----------------------------------------------------------------------------------


def test_a_journey_tells_texts_edits_and_pictures_in_order() -> None:
    """Each execution is a part, with its steps as they happened and an edit word by word."""
    document = build(make_source(DATA, Template.LEARNING_JOURNEY))
    parts = [one for one in document.sections if one.level == 2]
    assert len(parts) == 10
    assert parts[0].title == "1 · Eine Blume auf der Wiese"
    steps = [block for block in parts[0].blocks if isinstance(block, Step | Picture)]
    heads = [one.head if isinstance(one, Step) else one.caption for one in steps]
    assert heads == [
        "Idee",
        "Übersetzung",
        "Umgeschrieben 1",
        "Von Hand bearbeitet",
        "Bild · #6 · bild-0.png",
    ]
    edit = steps[3]
    assert isinstance(edit, Step)
    assert marked_text(edit).endswith("die [-Sonne -]{+Biene leise +}an und tanzt.")
    assert {piece.change for piece in edit.pieces} == set(Change)


def test_key_figures_are_told_in_words() -> None:
    """Totals have names for people; what somebody added keeps its own."""
    data = make_data(MEDIA, count=2)
    data["totals"]["guests"] = {"from afar": 3}
    figures = facts(section(build(make_source(data, Template.EXECUTIVE_SUMMARY)), "Kennzahlen"))
    assert figures["Läufe"] == "2"
    assert figures["Ergebnis: abgeschlossen"] == "2"
    assert figures["Modelle"] == "embedded/gemma-3-270m"
    assert figures["Erster Beginn"] == "2025-10-09 08:53 UTC"
    assert figures["guests: from afar"] == "3"


def test_a_report_tells_every_field_of_an_execution() -> None:
    """Ids, seeds and hashes that a journey leaves out stand in the report."""
    said = "\n".join(statements(build(make_source(DATA, Template.FULL_REPORT))))
    execution = DATA["executions"][3]
    for fact in ("execution_id", "user", "session"):
        assert execution[fact] in said
    output = execution["steps"][-1]
    assert f"seed: {output['seed']}" in said
    assert f"media.sha256: {output['media']['sha256']}" in said


def test_content_that_learners_must_not_see_is_not_extracted() -> None:
    """A withheld picture is named as a step, and nothing of it is told."""
    record = make_record(1, MEDIA.keep_picture(1))
    hidden = make_item(
        "execution-1",
        6,
        "output_image",
        stage=4,
        content="Geheimes",
        media=MEDIA.keep_picture(77),
        metadata={"withheld": True},
    )
    data = extract([replace(record, items=(*record.items[:5], hidden, record.items[6]))])
    assert data["executions"][0]["steps"][-1] == {
        "number": 6,
        "step": "output_image",
        "withheld": True,
    }
    for template in Template:
        said = "\n".join(statements(build(make_source(data, template))))
        assert "Geheimes" not in said
        assert hidden.media.sha256 not in said


def test_confidence_is_the_share_of_items_that_arrived() -> None:
    """A record with a gap lowers it; nothing at all gives none."""
    whole = make_record(1, None)
    gap = replace(whole, summary=replace(whole.summary, item_count=6, missing=(4,)))
    assert extraction_confidence([whole]) == 1.0
    assert extraction_confidence([whole, gap]) == 13 / 14
    assert extraction_confidence([]) == 0.0


def test_only_files_of_the_machine_are_shown() -> None:
    """A hash that somebody wrote into the data opens no picture; it stands as a name."""
    foreign = MEDIA.keep_picture(200)
    data = make_data(MEDIA, count=1)
    trusted = media_of(data)
    data["executions"][0]["steps"][-1]["media"]["sha256"] = foreign.sha256
    document = build(make_source(data, Template.LEARNING_JOURNEY, media=trusted))
    assert document.pictures() == ()
    assert any(foreign.sha256 in text for text in statements(document))


def test_halves_of_characters_stop_no_document() -> None:
    """Where an edit left something that UTF-8 cannot hold, a sign stands for it."""
    data = make_data(MEDIA, count=1)
    data["executions"][0] |= {"config": "\ud800", "status": "\udfff", "inputs": ["\ud83d"]}
    for step in data["executions"][0]["steps"]:
        step |= {"step": "output_\ud800", "model": "\ud800", "note": "\ud800"}
    data["executions"][0]["steps"][-1]["media"] |= {
        "mime_type": "image/\ud800",
        "filename": "\ud800",
    }
    for template in Template:
        document = build(make_source(data, template, title="\ud800"))
        assert Document.model_validate_json(document.model_dump_json()) == document


# --- any data ------------------------------------------------------------------------------------


def test_any_data_become_facts_and_tables() -> None:
    """Simple fields are facts, objects are facts by path, lists of objects are tables."""
    document = build(make_source(LIST, Template.FULL_REPORT))
    assert facts(section(document, "Daten")) == {"museum": "Haus der Farben", "open": "true"}
    assert facts(section(document, "address")) == {
        "street": 'Am "Markt"',
        "numbers[0]": "1",
        "numbers[1]": "2",
    }
    guests = table(section(document, "guests"))
    assert guests.columns == ("name", "age", 'tags["x.y"][0]', 'tags["x.y"][1]')
    assert guests.rows == (("Ann", 9, None, None), ("Bo", None, 1, 2))


@pytest.mark.parametrize(
    "data",
    [
        LIST,
        [],
        {},
        [1, "x", None],
        [{"a": 1}, {}],
        {"executions": [], "totals": 5},
        {"executions": ["x"]},
        {"deep": [[[[[[{"a": [{}]}]]]]]]},
        [{f"field {n}": n for n in range(500)}],
        {"n": 2**80, "f": 1e300, "text": "\x00\ud800\r\n\u2028\ufffe"},
    ],
)
@EACH_TEMPLATE
def test_data_of_any_shape_make_a_document(template: Template, data: JsonValue) -> None:
    """Whatever a person hands in becomes a document, or a journey is refused with a reason."""
    source = make_source(data, template, media=frozenset())
    if template is Template.LEARNING_JOURNEY:
        with pytest.raises(InvalidArgumentError) as failed:
            build(source)
        assert failed.value.reason == "TEMPLATE_NOT_APPLICABLE"
        assert failed.value.violations[0][0] == "document_template"
        return
    document = build(source)
    assert Document.model_validate_json(document.model_dump_json()) == document


def test_wide_objects_are_told_field_by_field() -> None:
    """Hundreds of columns would be read by nobody."""
    document = build(make_source([{f"f{n}": n for n in range(500)}], Template.DATA_TABLE))
    rows = table(section(document, "Daten"))
    assert rows.columns == ("Nr.", "Feld", "Wert")
    assert rows.rows[499] == (1, "f499", 499)


EDITED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["step", "text", "before", "media", "sha256", "mime_type", "inputs", "number"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["steps", "inputs", "config"]), EDITED), min_size=1)
)
def test_edited_executions_never_break_a_journey(executions: list[dict[str, Any]]) -> None:
    """A person may have removed, renamed or retyped anything."""
    data = {"executions": executions}
    document = build(make_source(data, Template.LEARNING_JOURNEY, media=frozenset()))
    assert len([one for one in document.sections if one.level == 2]) == len(executions)


# --- changes and provenance ----------------------------------------------------------------------


@EACH_TEMPLATE
def test_every_template_tells_changes_and_provenance(template: Template) -> None:
    """What a person changed, who made the summary, and of which data, stands in each document."""
    document = build(make_source(DATA, template))
    changed = table(section(document, "Änderungen von Hand"))
    assert changed.rows == (
        ("executions[0].inputs[0]", "geändert", "Blume", "Eine Blume"),
        ('totals["a.b"]', "ergänzt", None, 7),
        ("remark", "gelöscht", "=1+1", None),
    )
    told = facts(section(document, "Herkunft"))
    assert told["Arbeitsgang"] == "0199f7a0-0000-7000-8000-000000000001"
    assert told["Modell"] == "ollama/gemma3:4b"
    assert told["SHA-256 der Daten"] == digest(DATA)
    assert told["Fassung der Daten"] == "1"


def test_a_moved_item_is_told_by_its_places() -> None:
    """Its content stands in the data already."""
    moved = FieldChange(("a", 0), ChangeType.MODIFICATION, {"x": 1}, {"x": 1}, moved_from=("a", 3))
    document = build(make_source(LIST, Template.DATA_TABLE, changes=(moved,)))
    rows = table(section(document, "Änderungen von Hand")).rows
    assert rows == (("a[0]", "verschoben", "a[3]", "a[0]"),)


def test_untouched_data_are_called_so() -> None:
    """A document of the machine's data alone says that nobody changed them, in its language."""
    source = make_source(LIST, Template.DATA_TABLE, changes=(), language=Language.ENGLISH)
    said = statements(build(source))
    assert "Nobody has changed anything in the data." in said


def test_the_digest_is_of_canonical_json() -> None:
    """The order of keys makes no difference, anything else does."""
    assert digest({"a": 1, "b": "ü"}) == digest({"b": "ü", "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})


def test_a_document_is_called_as_its_data_are() -> None:
    """A title in the data names the document where nobody wants another one."""
    data = {"title": " Unser\nTag ", "x": 1}
    assert build(make_source(data, Template.DATA_TABLE, title="")).title == "Unser Tag"
    assert build(make_source(data, Template.DATA_TABLE)).title == "Unsere Bilder"
    assert build(make_source({"title": 7}, Template.DATA_TABLE, title="")).title == "Datentabelle"


# --- limits, names, words ------------------------------------------------------------------------


def test_long_texts_are_cut_and_say_so() -> None:
    """Every format shows the same beginning, and how long the text is."""
    document = build(make_source({"text": "ä" * 50_000}, Template.FULL_REPORT))
    text = facts(section(document, "Daten"))["text"]
    assert text.endswith("… [gekürzt; 50000 Zeichen]")
    assert len(text) < 17_000


def test_a_document_that_is_too_large_is_refused() -> None:
    """The message says how large it would be and what to do."""
    data = [{"text": "x" * 15_000} for _ in range(MAX_CHARS // 15_000 + 1)]
    with pytest.raises(InvalidArgumentError) as failed:
        build(make_source(data, Template.DATA_TABLE))
    assert failed.value.reason == "DOCUMENT_TOO_LARGE"
    assert "4,000,000" in failed.value.message


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Unsere Bilder", "unsere-bilder-data-table-2025-10-09.csv"),
        ("../../etc/passwd\0\r\n", "etc-passwd-data-table-2025-10-09.csv"),
        ("CON", "con-data-table-2025-10-09.csv"),
        ("Größe & Übung", "groesse-uebung-data-table-2025-10-09.csv"),
        ("들판의 꽃", "data-table-2025-10-09.csv"),
        ("", "data-table-2025-10-09.csv"),
        ("x" * 500, f"{'x' * 60}-data-table-2025-10-09.csv"),
    ],
)
def test_file_names_are_safe(title: str, name: str) -> None:
    """Plain letters, digits and hyphens, of bounded length, on every system."""
    document = build(make_source(LIST, Template.DATA_TABLE, title=title))
    assert filename_of(document, DeliverableFormat.CSV) == name


def test_mime_types_are_those_of_the_registry() -> None:
    """The same on every machine, whatever its own tables say."""
    assert {form.value: form.mime_type for form in DeliverableFormat} == {
        "json": "application/json",
        "csv": "text/csv",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pdf": "application/pdf",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "markdown": "text/markdown",
        "html": "text/html",
    }


def test_both_languages_have_the_same_words() -> None:
    """A word that is missing in one language would only be noticed by who reads it."""
    german, english = (words(language).model_dump() for language in Language)
    assert {name: set(group) for name, group in german.items()} == {
        name: set(group) for name, group in english.items()
    }
