"""Executions of this process and their events on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator import events
from orchestrator.converters.verdicts import category, verdict_to_proto
from orchestrator.converters.words import (
    LEVELS,
    MEDIA_TYPES,
    OUTPUT_STATES,
    PHASES,
    STATES,
    duration,
    localized,
    media_to_proto,
    timestamp,
)
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk_client.recorder.encoding import metadata_bytes

if TYPE_CHECKING:
    from orchestrator.events import Item
    from orchestrator.execution import Execution
    from orchestrator.model import OutputStatus

_NAMES = ("user_id", "session_id", "group_id")
"""What items say of whose they are."""


def execution_to_proto(execution: Execution) -> event_pb2.Execution:
    """Return an execution of this process as its owner may see it."""
    run = execution.run
    return event_pb2.Execution(
        execution_id=execution.id,
        config_name=run.plan.config_id,
        safety_level=LEVELS[run.level],
        state=STATES[execution.state],
        epoch=execution.journal.epoch,
        last_sequence_number=execution.journal.last_sequence_number,
        stage=run.stage,
        outputs=[output_to_proto(each) for each in run.outputs],
        start_time=timestamp(execution.start_time),
        end_time=timestamp(execution.end_time),
        reason=execution.reason,
        message=localized(execution.message),
        plan_digest=run.plan.digest,
        language=run.language,
        interception_text=execution.shown_text,
        head_item_id=run.progress.head,
        drafts=[
            event_pb2.Draft(item_id=draft.item_id, field=slot, text=draft.text)
            for slot, draft in execution.drafts.items()
        ],
        parent_execution_id=execution.parent_execution_id,
    )


def output_to_proto(status: OutputStatus) -> event_pb2.Output:
    """Return the status of an output for the wire."""
    return event_pb2.Output(
        loop_iteration=status.loop_iteration,
        output_config=status.output_config,
        media_type=MEDIA_TYPES[status.media_type],
        state=OUTPUT_STATES[status.state],
        media=media_to_proto(status.media) if status.media else None,
        item_id=status.item_id,
        text_alternative=status.text_alternative,
        reason=status.reason,
        prompt=status.prompt,
        seed=status.seed,
        more_files=[
            event_pb2.OutputFile(item_id=item_id, media=media_to_proto(media))
            for item_id, media in status.more_files
        ],
        text=status.text,
    )


def item_to_proto(item: events.Item) -> execution_pb2.ExecutionItem:
    """Return an item as its person may see it: without what is withheld."""
    return execution_pb2.ExecutionItem(
        item_id=item.item_id,
        execution_id=item.execution_id,
        epoch=item.epoch,
        sequence_number=item.sequence_number,
        occur_time=timestamp(item.occur_time),
        stage=item.stage,
        stage_iteration=item.stage_iteration,
        loop_iteration=item.loop_iteration,
        media_type=MEDIA_TYPES[item.media_type],
        item_type=item.item_type,
        content=None if item.withheld else item.content,
        media=media_to_proto(item.media) if item.media and not item.withheld else None,
        config_used=item.config_used,
        model_used=item.model_used,
        backend_used=item.backend_used,
        backend_job_id=item.backend_job_id,
        run_duration=duration(item.run_seconds),
        metadata_json=metadata_bytes(item.metadata) or b"{}",
    )


def event_to_proto(
    execution: Execution, logged: events.Logged, *, with_names: bool = True
) -> event_pb2.ExecutionEvent:
    """Return one event of an execution of this process for the wire.

    Args:
        execution: The execution.
        logged: What happened in it.
        with_names: Whether to tell whose it is.
    """
    event = logged.event
    if not with_names and isinstance(event, events.ItemRecorded):
        event = replace(event, item=_nameless(event.item))
    kind, message = _event_message(event)
    return event_pb2.ExecutionEvent(
        execution_id=execution.id,
        epoch=execution.journal.epoch,
        sequence_number=logged.sequence_number,
        event_time=timestamp(logged.time),
        **{kind: message},  # type: ignore[arg-type]  # which kind shows only now
    )


def _nameless(item: Item) -> Item:
    facts = {name: value for name, value in item.metadata.items() if name not in _NAMES}
    return replace(item, metadata=facts)


def snapshot_to_proto(execution: Execution) -> event_pb2.ExecutionEvent:
    """Return the present moment of an execution as an event."""
    return event_pb2.ExecutionEvent(
        execution_id=execution.id,
        epoch=execution.journal.epoch,
        event_time=timestamp(datetime.now(UTC)),
        snapshot=event_pb2.Snapshot(
            execution=execution_to_proto(execution), text_so_far=execution.shown_text
        ),
    )


def _event_message(event: events.Durable | events.Ephemeral) -> tuple[str, object]:
    """Return the name of the event's arm in the contract, and its message."""
    match event:
        case events.StateChanged():
            return "state_changed", event_pb2.StateChanged(
                state=STATES[event.state],
                reason=event.reason,
                message=localized(event.message),
                total_duration=duration(event.total_seconds),
                head_item_id=event.head,
            )
        case events.StageStarted():
            return "stage_started", event_pb2.StageStarted(
                stage=event.stage, loop_iteration=event.loop_iteration, phase=PHASES[event.phase]
            )
        case events.StageFinished():
            return "stage_finished", event_pb2.StageFinished(
                stage=event.stage,
                loop_iteration=event.loop_iteration,
                phase=PHASES[event.phase],
                run_duration=duration(event.run_seconds),
            )
        case events.ItemRecorded():
            return "item_recorded", event_pb2.ItemRecorded(
                item=item_to_proto(event.item), withheld=event.item.withheld
            )
        case events.VerdictReached():
            return "verdict_reached", event_pb2.VerdictReached(
                verdict=verdict_to_proto(event.verdict),
                stage=event.stage,
                loop_iteration=event.loop_iteration,
                input_index=event.input_index,
            )
        case events.OutputReady():
            return "output_ready", event_pb2.OutputReady(output=output_to_proto(event.output))
        case events.ContentBlocked():
            return "content_blocked", event_pb2.ContentBlocked(
                stage=event.stage,
                loop_iteration=event.loop_iteration,
                message=localized(event.message),
                categories=[category(each) for each in event.categories],
            )
        case events.WorkFailed():
            return "work_failed", event_pb2.WorkFailed(
                stage=event.stage,
                loop_iteration=event.loop_iteration,
                reason=event.reason,
                message=event.message,
                recoverable=event.recoverable,
            )
        case _:
            return _ephemeral_message(event)


def _ephemeral_message(event: events.Ephemeral) -> tuple[str, object]:
    match event:
        case events.TextWritten():
            return "text_delta", event_pb2.TextDelta(
                text=event.text,
                phase=PHASES[event.phase],
                stage_iteration=event.stage_iteration,
                loop_iteration=event.loop_iteration,
                restart=event.restart,
            )
        case events.QueueUpdated():
            return "queue_updated", event_pb2.QueueUpdated(
                loop_iteration=event.loop_iteration,
                position=event.position,
                estimate_duration=duration(event.estimate_seconds),
            )
        case events.ProgressMade():
            return "progress_made", event_pb2.ProgressMade(
                loop_iteration=event.loop_iteration,
                percent=event.percent,
                node=event.node,
                preview=event.preview,
                preview_mime_type=event.preview_mime_type,
            )
