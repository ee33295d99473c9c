"""What exports hide and leave out."""

from __future__ import annotations

import json

from tests.unit.tracker_service.builders import make_item
from tests.unit.tracker_service.export_records import IDEA, blocked, multi_output, record_of
from tracker_service.export.json_form import dump
from tracker_service.export.shaping import Shape, Shaper

KEY = b"a key of the deployment"


def test_plain_shape_changes_nothing() -> None:
    """An export without options is the record itself."""
    record = multi_output()
    assert Shaper(Shape(), KEY).shaped(record) is record


def test_pseudonyms_leave_no_name_anywhere() -> None:
    """User, session and group are hashed in the summary and wherever metadata repeat them."""
    note = make_item("e", 2, metadata={"told": {"who": ["anna", "anna's friend"]}})
    start = multi_output().items[0]
    record = record_of([start._replace(execution_id="e"), note])
    shaped = Shaper(Shape(pseudonymise=True), KEY).shaped(record)
    summary = shaped.summary
    assert summary.user_id.startswith("user-")
    assert summary.session_id.startswith("session-")
    assert summary.group_id.startswith("group-")
    facts = json.loads(shaped.items[0].metadata_json)
    assert facts["user_id"] == summary.user_id
    assert facts["config_name"] == "dada"
    assert json.loads(shaped.items[1].metadata_json)["told"]["who"][0] == summary.user_id


def test_a_session_that_is_called_as_its_person_has_a_pseudonym_of_its_own() -> None:
    """As with a login that knows no sessions; else a session could not be found by its name."""
    started = multi_output().items[0]
    names = json.loads(started.metadata_json) | {"user_id": "anna", "session_id": "anna"}
    record = record_of([started._replace(metadata_json=json.dumps(names))])
    shaper = Shaper(Shape(pseudonymise=True), KEY)
    shaped = shaper.shaped(record)
    found = json.loads(shaped.items[0].metadata_json)
    for kind, name in (
        ("user", shaped.summary.user_id),
        ("session", shaped.summary.session_id),
    ):
        assert name == found[f"{kind}_id"] == shaper.pseudonym(kind, "anna")


def test_pseudonyms_are_those_of_the_key() -> None:
    """The same key gives the same pseudonyms, so that records can be joined; another one others."""
    shape = Shape(pseudonymise=True)
    first, again = (Shaper(shape, KEY).shaped(multi_output()).summary for _ in range(2))
    other = Shaper(shape, b"another key").shaped(multi_output()).summary
    assert first.user_id == again.user_id != other.user_id


def test_names_of_files_are_left_out_with_names_of_people() -> None:
    """A file's name is a text that a person gave; its hash stays."""
    for shape in (Shape(pseudonymise=True), Shape(drop_text=True)):
        media = [item.media for item in Shaper(shape, KEY).shaped(multi_output()).items]
        assert {one.filename for one in media if one} == {""}
        assert all(one.sha256 for one in media if one)


def test_media_can_be_left_out() -> None:
    """No item refers to a file."""
    shaped = Shaper(Shape(drop_media=True), KEY).shaped(multi_output())
    assert [item.media for item in shaped.items if item.media] == []
    assert shaped.items[1].content == IDEA


def test_no_text_of_a_person_is_left() -> None:
    """Texts go, also those in metadata; codes, numbers and verdicts stay."""
    for record in (multi_output(), blocked()):
        text = dump(Shaper(Shape(drop_text=True), KEY).shaped(record))
        for word in ("Blume", "newspaper", "tickets", "SUM", "Lass uns", "-x"):
            assert word not in text
    shaped = Shaper(Shape(drop_text=True), KEY).shaped(multi_output())
    assert json.loads(shaped.items[2].metadata_json)["decision"] == "allow"
    assert json.loads(shaped.items[9].metadata_json)["seed"] == 2**63 + 1
