"""Executions that do not run in this process, as the tracker knows them.

Whoever asks sees them in the same form as running ones, so that a client need not know which
replica, if any, ran them.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.tracker.v1 import execution_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from orchestrator.tracker_client import TrackerClient

UNFINISHED = frozenset(
    {execution_pb2.EXECUTION_STATE_RUNNING, execution_pb2.EXECUTION_STATE_AWAITING_EDIT}
)
LOOK_SECONDS = 2.0
"""How often the state of an execution that nobody adds to is looked at."""

Token = tuple[int, int]


async def past_execution(tracker: TrackerClient, execution_id: str) -> event_pb2.Execution:
    """Return an execution from its record.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND.
        UnavailableError: TRACKER_UNAVAILABLE.
    """
    record = (await tracker.get(execution_id)).record
    return _execution(record)


async def past_events(
    tracker: TrackerClient, execution_id: str, after: Token
) -> AsyncGenerator[event_pb2.ExecutionEvent, None]:
    """Stream a snapshot, the items after a token, and the state at the end.

    Raises:
        NotFoundError: EXECUTION_NOT_FOUND.
        UnavailableError: TRACKER_UNAVAILABLE.
    """
    record = (await tracker.get(execution_id)).record
    yield event_pb2.ExecutionEvent(
        execution_id=execution_id,
        epoch=record.summary.epoch,
        event_time=record.summary.start_time,
        snapshot=event_pb2.Snapshot(execution=_execution(record)),
    )
    if record.summary.state not in UNFINISHED:
        for item in record.items:
            if _token(item) > after:
                yield _item_event(item)
    position = 0
    # Somebody else runs it, or has died: then no item comes, and its lease ends some time.
    while record.summary.state in UNFINISHED:
        async with aclosing(tracker.watch(execution_id, position, LOOK_SECONDS)) as watching:
            async for stored in watching:
                position = stored.position
                if _token(stored.item) > after:
                    yield _item_event(stored.item)
        record = (await tracker.get(execution_id)).record
    yield _end_event(record)


def _token(item: execution_pb2.ExecutionItem) -> Token:
    return item.epoch, item.sequence_number


def _item_event(item: execution_pb2.ExecutionItem) -> event_pb2.ExecutionEvent:
    withheld = bool(_metadata(item).get("withheld"))
    if withheld:
        item.ClearField("content")
        item.ClearField("media")
    return event_pb2.ExecutionEvent(
        execution_id=item.execution_id,
        epoch=item.epoch,
        sequence_number=item.sequence_number,
        event_time=item.occur_time,
        item_recorded=event_pb2.ItemRecorded(item=item, withheld=withheld),
    )


def _end_event(record: execution_pb2.ExecutionRecord) -> event_pb2.ExecutionEvent:
    summary = record.summary
    return event_pb2.ExecutionEvent(
        execution_id=summary.execution_id,
        epoch=summary.epoch,
        sequence_number=summary.last_sequence_number,
        event_time=summary.end_time if summary.HasField("end_time") else summary.start_time,
        state_changed=event_pb2.StateChanged(state=summary.state, reason=summary.error),
    )


def _execution(record: execution_pb2.ExecutionRecord) -> event_pb2.Execution:
    summary = record.summary
    execution = event_pb2.Execution(
        execution_id=summary.execution_id,
        config_name=summary.config_name,
        safety_level=summary.safety_level,
        state=summary.state,
        epoch=summary.epoch,
        last_sequence_number=summary.last_sequence_number,
        stage=max((item.stage for item in record.items), default=0),
        start_time=summary.start_time,
        end_time=summary.end_time if summary.HasField("end_time") else None,
        reason=summary.error,
        plan_digest=summary.plan_digest,
        parent_execution_id=summary.parent_execution_id,
    )
    outputs: dict[int, event_pb2.Output] = {}
    for item in record.items:
        if item.item_type == "pipeline_start":
            execution.language = str(_metadata(item).get("language", ""))
        elif item.item_type == "interception_final" and not _metadata(item).get("withheld"):
            execution.interception_text = item.content
        if item.HasField("loop_iteration"):
            _fold(outputs, item)
    ended = summary.state not in UNFINISHED
    for number in sorted(outputs):
        output = outputs[number]
        if ended and output.state == event_pb2.OUTPUT_STATE_PENDING:
            cancelled = summary.state == execution_pb2.EXECUTION_STATE_CANCELLED
            output.state = (
                event_pb2.OUTPUT_STATE_CANCELLED if cancelled else event_pb2.OUTPUT_STATE_FAILED
            )
        execution.outputs.append(output)
    return execution


def _fold(outputs: dict[int, event_pb2.Output], item: execution_pb2.ExecutionItem) -> None:
    """Let one item tell where its output stands."""
    number = item.loop_iteration
    output = outputs.setdefault(
        number,
        event_pb2.Output(loop_iteration=number, state=event_pb2.OUTPUT_STATE_PENDING),
    )
    facts = _metadata(item)
    if item.item_type == "output_text_alternative":
        output.state = event_pb2.OUTPUT_STATE_BLOCKED
        output.text_alternative = item.content
        output.item_id = item.item_id
        output.output_config = item.config_used
    elif item.item_type.startswith("output_") and not facts.get("withheld"):
        if output.state == event_pb2.OUTPUT_STATE_DELIVERED:
            output.more_files.add(media=item.media, item_id=item.item_id)
            return
        output.state = event_pb2.OUTPUT_STATE_DELIVERED
        if item.HasField("media"):
            output.media.CopyFrom(item.media)
        else:
            output.text = item.content
        output.media_type = item.media_type
        output.item_id = item.item_id
        output.output_config = item.config_used
        output.prompt = str(facts.get("prompt", ""))
        seed = facts.get("seed")
        if isinstance(seed, int) and 0 <= seed < 1 << 64:
            output.seed = seed
    elif item.item_type == "warning" and output.state == event_pb2.OUTPUT_STATE_PENDING:
        output.reason = str(facts.get("reason", ""))


def _metadata(item: execution_pb2.ExecutionItem) -> dict[str, object]:
    value = json.loads(item.metadata_json) if item.metadata_json else {}
    return value if isinstance(value, dict) else {}
