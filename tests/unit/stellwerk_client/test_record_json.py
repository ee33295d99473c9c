"""The JSON form of a record is the same wherever it is made."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.tracker.v1 import execution_pb2
from stellwerk_client.record_json import record_json
from tracker_service.converters import record_message
from tracker_service.export.json_form import to_json
from tracker_service.items import MEDIA_TYPES, ExecutionItem, MediaRef
from tracker_service.records import ExecutionRecord, ExecutionState, ExecutionSummary

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.none() | st.integers(1, 50)
TIMES_US = st.integers(
    int(datetime(1970, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000,
    int(datetime(2199, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000,
)
METADATA = st.dictionaries(
    TEXTS,
    st.none()
    | st.integers(0, 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    max_size=4,
).map(json.dumps)
MEDIA = st.builds(MediaRef, TEXTS, TEXTS, st.integers(0, 2**40), TEXTS, TEXTS)
ITEMS = st.builds(
    ExecutionItem,
    item_id=TEXTS,
    execution_id=TEXTS,
    epoch=st.integers(1, 9),
    sequence_number=st.integers(1, 10**9),
    occur_time_us=TIMES_US,
    stage=st.integers(0, 5),
    stage_iteration=NUMBERS,
    loop_iteration=NUMBERS,
    media_type=st.sampled_from(("", *MEDIA_TYPES)),
    item_type=st.sampled_from(["user_input_text", "stage_transition", "output_image", "brand_new"]),
    content=st.none() | TEXTS,
    media=st.none() | MEDIA,
    config_used=TEXTS,
    model_used=TEXTS,
    backend_used=TEXTS,
    backend_job_id=TEXTS,
    run_duration_us=st.none() | st.integers(0, 10**12),
    metadata_json=METADATA
    | st.sampled_from(["", '{"huge":1e999,"big":123456789012345678901234567890}']),
    late=st.just(False),
)
SUMMARIES = st.builds(
    ExecutionSummary,
    execution_id=TEXTS,
    config_name=TEXTS,
    safety_level=st.sampled_from(["", "kids", "youth", "adult", "off"]),
    user_id=TEXTS,
    session_id=TEXTS,
    group_id=TEXTS,
    parent_execution_id=TEXTS,
    start_time_us=st.none() | TIMES_US,
    end_time_us=st.none() | TIMES_US,
    state=st.sampled_from(ExecutionState),
    epoch=st.integers(1, 9),
    last_sequence_number=st.integers(0, 99),
    item_count=st.integers(0, 99),
    complete=st.booleans(),
    missing=st.lists(st.integers(1, 99), max_size=3).map(tuple),
    error=TEXTS,
    user_input=TEXTS,
    plan_digest=TEXTS,
    policy_version=TEXTS,
    software_version=TEXTS,
    taxonomy_version=TEXTS,
    outputs_generated=st.integers(0, 9),
)
RECORDS = st.builds(ExecutionRecord, SUMMARIES, st.lists(ITEMS, max_size=4).map(tuple))


@given(RECORDS)
def test_client_and_tracker_write_the_same_form(record: ExecutionRecord) -> None:
    """A record that came over the wire has the JSON form that the tracker's own files have."""
    received = execution_pb2.ExecutionRecord.FromString(record_message(record).SerializeToString())
    assert record_json(received) == to_json(record)
