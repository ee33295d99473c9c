"""The JSON form of records: its key names, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tracker_service.builders import make_item
from tracker_service.export.json_form import canonical_metadata, dump, dump_line, from_json, to_json
from tracker_service.intake import MAX_DURATION_US, MAX_TIME_US, MIN_TIME_US
from tracker_service.items import MEDIA_TYPES, ExecutionItem, MediaRef
from tracker_service.records import (
    MAX_USER_INPUT,
    ExecutionRecord,
    ExecutionState,
    ExecutionSummary,
    count_outputs,
    input_texts,
)
from tracker_service.taxonomy import RULES

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TIMES = st.integers(MIN_TIME_US, MAX_TIME_US)
ITERATIONS = st.none() | st.integers(1, 99)
METADATA = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(-1e300, 1e300) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)
MEDIA = st.builds(MediaRef, TEXT.filter(bool), TEXT, st.integers(0, 2**62), TEXT, TEXT)


@st.composite
def items(draw: st.DrawFn) -> list[ExecutionItem]:
    """Draw the items of a record, in their order."""
    numbers = sorted(draw(st.sets(st.integers(1, 50), max_size=8)))
    metadata = draw(METADATA)
    return [
        make_item(
            "e",
            number,
            draw(st.sampled_from(sorted(RULES))),
            occur_time_us=draw(TIMES),
            stage_iteration=draw(ITERATIONS),
            loop_iteration=draw(ITERATIONS),
            media_type=draw(st.sampled_from(("", *MEDIA_TYPES))),
            content=draw(st.none() | TEXT),
            media=draw(st.none() | MEDIA),
            model_used=draw(TEXT),
            backend_job_id=draw(TEXT),
            run_duration_us=draw(st.none() | st.integers(0, MAX_DURATION_US)),
            metadata_json=canonical_metadata(metadata) if metadata else "",
        )
        for number in numbers
    ]


def make_record(events: list[ExecutionItem], **fields: Any) -> ExecutionRecord:
    """Make a record whose summary says what a store would say."""
    texts = input_texts(events)
    summary = ExecutionSummary(
        execution_id="e",
        config_name="dada",
        safety_level="kids",
        user_id="anna",
        session_id="s-anna",
        group_id="",
        parent_execution_id="",
        start_time_us=1,
        end_time_us=None,
        state=ExecutionState.RUNNING,
        epoch=1,
        last_sequence_number=max((item.sequence_number for item in events), default=0),
        item_count=len(events),
        complete=False,
        missing=(),
        error="",
        user_input=texts[0][:MAX_USER_INPUT] if texts else "",
        plan_digest="",
        policy_version="",
        software_version="0.1.0",
        taxonomy_version="1.1",
        outputs_generated=count_outputs(events),
    )
    return ExecutionRecord(replace(summary, **fields), tuple(events))


@settings(max_examples=150, deadline=None)
@given(items(), TEXT, st.sampled_from(ExecutionState), TIMES)
def test_record_reads_back_equal(
    events: list[ExecutionItem], name: str, state: ExecutionState, end_time_us: int
) -> None:
    """Whatever a record holds, reading its JSON form back gives an equal record."""
    record = make_record(events, config_name=name, state=state, end_time_us=end_time_us)
    assert from_json(json.loads(dump(record))) == record


RAW = st.sampled_from(
    [
        '{ "seed": 18446744073709551616,\n"b":1.50, "a" :"\\u00e4\\n", "c": {"d": []}}',
        '{"x": 1e999, "y": [-1E400, 0.1], "n": 123456789012345678901234567890}',
        '{"text": "1e999 \\u2028 \u2028 \\" \\\\u"}',
    ]
)


@settings(max_examples=100, deadline=None)
@given(items(), RAW | METADATA.map(json.dumps))
def test_lines_say_the_same_as_files(events: list[ExecutionItem], metadata: str) -> None:
    """A record is one line, and that holds the same values as its file, with any metadata."""
    events = [item._replace(metadata_json=metadata) for item in events]
    record = make_record(events, user_id="änna")
    line = dump_line(record)
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line) == json.loads(dump(record)) == to_json(record)


def test_form_uses_the_published_key_names() -> None:
    """Keys, order and values are those of the taxonomy; late items say that they are late."""
    media = MediaRef("media/ab/abc.png", "ab" * 32, 10, "image/png", "bild.png")
    item = make_item(
        "e",
        1,
        "output_image",
        stage=4,
        loop_iteration=1,
        media_type="image",
        media=media,
        backend_job_id="p-1",
        run_duration_us=1_500_000,
        metadata={"seed": 2**64 - 1},
    )
    form = json.loads(dump(make_record([item, item._replace(sequence_number=2, late=True)])))
    assert list(form) == [
        *("execution_id", "config_name", "user_input", "user_inputs", "safety_level", "user_id"),
        *("session_id", "group_id", "parent_execution_id", "start_time", "end_time", "status"),
        *("epoch", "complete", "missing", "error", "taxonomy_version", "plan_digest"),
        *("policy_version", "software_version", "items"),
    ]
    assert form["status"] == "running"
    first, late = form["items"]
    assert first == {
        "item_id": item.item_id,
        "execution_id": "e",
        "epoch": 1,
        "sequence_number": 1,
        "timestamp": "1970-01-01T00:00:01.000000Z",
        "stage": 4,
        "stage_iteration": None,
        "loop_iteration": 1,
        "media_type": "image",
        "item_type": "output_image",
        "content": None,
        "file_path": "media/ab/abc.png",
        "media": {
            "uri": "media/ab/abc.png",
            "sha256": "ab" * 32,
            "size_bytes": 10,
            "mime_type": "image/png",
            "filename": "bild.png",
        },
        "config_used": None,
        "model_used": None,
        "backend_used": None,
        "prompt_id": "p-1",
        "execution_time": 1.5,
        "metadata": {"seed": 18446744073709551615},
    }
    assert late["late"] is True


def test_text_is_written_unescaped_and_indented() -> None:
    """People can read the file: umlauts stay umlauts, two spaces per level."""
    text = dump(make_record([make_item("e", 1, "user_input_text", content="Größe 😀")]))
    assert '\n      "content": "Größe 😀",\n' in text


def test_inputs_that_were_recorded_again_count_once() -> None:
    """A run that was cut in stage 1 begins it anew; its texts stand in the record twice."""
    begun = make_item("e", 2, "stage_transition", stage=1)
    given_texts = [make_item("e", 3 + at, "user_input_text", content=f"{at}") for at in range(2)]
    assert input_texts([begun, *given_texts]) == ["0", "1"]
    assert input_texts([begun, given_texts[0], begun, *given_texts]) == ["0", "1"]
