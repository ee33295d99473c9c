"""Protobuf to domain and back. Knows both sides, and no rules but those of the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import (
    execution_pb2,
    export_service_pb2,
    export_workflow_service_pb2,
    tracker_service_pb2,
)
from tracker_service.access import audience_of, writer_of
from tracker_service.intake import MAX_TIME_US, MIN_TIME_US, is_execution_id
from tracker_service.items import MEDIA_TYPES, ExecutionItem, MediaRef, Refusal
from tracker_service.lifecycle import Heartbeat
from tracker_service.metadata import check_metadata, storable
from tracker_service.records import ExecutionState
from tracker_service.store.interface import ClaimRequest, ExecutionFilter, Plan
from tracker_service.watching import DEFAULT_WAIT_SECONDS, MAX_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from servicekit.principals import Principal
    from tracker_service.chain import ChainReport
    from tracker_service.records import ExecutionRecord, ExecutionSummary
    from tracker_service.store.interface import BatchOutcome, Claim, Owner
    from tracker_service.watching import WatchedItem

_MEDIA_NAMES: Final = dict(enumerate(("", *MEDIA_TYPES)))
_MEDIA_NUMBERS: Final = {name: number for number, name in _MEDIA_NAMES.items()}
_STATES: Final[dict[int, ExecutionState]] = {
    number: ExecutionState(name.removeprefix("EXECUTION_STATE_").lower())
    for name, number in execution_pb2.ExecutionState.items()
    if number
}
_STATE_NUMBERS: Final = {state: number for number, state in _STATES.items()}
_LEVEL_NUMBERS: Final = {
    name.removeprefix("SAFETY_LEVEL_").lower(): number
    for name, number in types_pb2.SafetyLevel.items()
}
MAX_ADDRESS: Final = 256
MAX_IDEMPOTENCY_KEY: Final = 128
MIN_LEASE_US: Final = 1_000_000
MAX_LEASE_US: Final = 3600 * 1_000_000


# --- from the wire -------------------------------------------------------------------------------


def read_item(message: execution_pb2.ExecutionItem) -> ExecutionItem:
    """Read an item; its fields are checked later, what cannot be read at all is refused here.

    Raises:
        Refusal: TIME_INVALID, MEDIA_TYPE_INVALID or METADATA_INVALID.
    """
    if not message.HasField("occur_time"):
        raise Refusal("TIME_INVALID", "`occur_time` is missing.")
    media_type = _MEDIA_NAMES.get(message.media_type)
    if media_type is None:
        raise Refusal("MEDIA_TYPE_INVALID", "`media_type` is none that this tracker knows.")
    metadata = message.metadata_json
    check_metadata(metadata)
    config, model, backend, job = _read_names(message)
    has = message.HasField
    return ExecutionItem(
        message.item_id,
        message.execution_id,
        message.epoch,
        message.sequence_number,
        _time_us(message.occur_time),
        message.stage,
        message.stage_iteration if has("stage_iteration") else None,
        message.loop_iteration if has("loop_iteration") else None,
        media_type,
        message.item_type,
        storable(message.content) if has("content") else None,
        _read_media(message.media) if has("media") else None,
        config,
        model,
        backend,
        job,
        duration_us(message.run_duration) if has("run_duration") else None,
        metadata.decode(),
    )


def _read_names(message: execution_pb2.ExecutionItem) -> tuple[str, str, str, str]:
    config, model, backend = message.config_used, message.model_used, message.backend_used
    job = message.backend_job_id
    if "\0" in config + model + backend + job:  # looked for once, since nearly none has it
        return storable(config), storable(model), storable(backend), storable(job)
    return config, model, backend, job


def _read_media(message: types_pb2.MediaRef) -> MediaRef:
    return MediaRef(
        storable(message.uri),
        message.sha256,
        message.size_bytes,
        storable(message.mime_type),
        storable(message.filename),
    )


def read_plan(message: tracker_service_pb2.ExecutionPlan) -> Plan:
    """Read a plan."""
    return Plan(message.plan_digest, message.plan_json)


def read_heartbeat(message: tracker_service_pb2.ExecutionHeartbeat) -> Heartbeat:
    """Read a sign of life."""
    return Heartbeat(
        message.execution_id,
        message.epoch,
        message.last_sequence_number,
        storable(message.owner_address[:MAX_ADDRESS]),
        message.released,
        message.awaiting_edit,
    )


def read_filter(
    message: tracker_service_pb2.ListExecutionsRequest
    | export_service_pb2.ExportExecutionsRequest
    | export_workflow_service_pb2.ExecutionSelection,
) -> ExecutionFilter:
    """Read the filters that lists and exports share.

    Raises:
        InvalidArgumentError: STATE_UNSPECIFIED.
    """
    lower, upper = message.start_time_from, message.start_time_before
    return ExecutionFilter(
        config_name=message.config_name,
        session_id=message.session_id,
        states=read_states(message.states),
        start_from_us=bounded_us(lower) if message.HasField("start_time_from") else None,
        start_before_us=bounded_us(upper) if message.HasField("start_time_before") else None,
    )


def read_states(numbers: Iterable[int]) -> tuple[ExecutionState, ...]:
    """Read the states of a filter.

    Raises:
        InvalidArgumentError: STATE_UNSPECIFIED.
    """
    states = {_STATES.get(number) for number in numbers}
    known = [state for state in states if state is not None]
    if len(known) < len(states):
        raise InvalidArgumentError(
            "STATE_UNSPECIFIED", "Name states that exist, or none for all.", field="states"
        )
    return tuple(sorted(known))


def read_claim(
    message: tracker_service_pb2.ClaimExecutionRequest, principal: Principal
) -> ClaimRequest:
    """Read the wish to own an execution.

    Raises:
        InvalidArgumentError: INVALID_ID, naming the field.
    """
    if not is_execution_id(message.execution_id):
        raise _invalid_id("execution_id", "1 to 64 characters of `A-Z a-z 0-9 . _ : -`")
    if len(message.idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise _invalid_id("idempotency_key", "at most 128 characters")
    if not 1 <= len(message.owner_address) <= MAX_ADDRESS:
        raise _invalid_id("owner_address", "`host:port`, at most 256 characters")
    if message.HasField("after_epoch") and message.after_epoch < 1:
        raise _invalid_id("after_epoch", "1 or more")
    lease_us = None
    if message.HasField("lease_duration"):
        lease_us = min(max(duration_us(message.lease_duration), MIN_LEASE_US), MAX_LEASE_US)
    return ClaimRequest(
        execution_id=message.execution_id,
        owner_address=storable(message.owner_address),
        idempotency_key=storable(message.idempotency_key),
        lease_us=lease_us,
        after_epoch=message.after_epoch if message.HasField("after_epoch") else None,
        writer=writer_of(principal),
        audience=audience_of(principal),
    )


def _invalid_id(field: str, rule: str) -> InvalidArgumentError:
    return InvalidArgumentError("INVALID_ID", f"`{field}` must be {rule}.", field=field)


def read_max_wait(
    message: tracker_service_pb2.WatchItemsRequest
    | export_workflow_service_pb2.WatchExportWorkflowRequest,
) -> float:
    """Read how long a watcher waits for something new, in seconds."""
    if not message.HasField("max_wait_duration"):
        return DEFAULT_WAIT_SECONDS
    return min(max(duration_us(message.max_wait_duration) / 1e6, 0.0), MAX_WAIT_SECONDS)


def duration_us(message: Duration) -> int:
    """Return a duration in microseconds; nothing about its range is promised."""
    return message.seconds * 1_000_000 + message.nanos // 1000


def _time_us(message: Timestamp) -> int:
    return message.seconds * 1_000_000 + message.nanos // 1000


def bounded_us(message: Timestamp) -> int:
    """Return a time in microseconds, brought into the range that can be stored."""
    return min(max(_time_us(message), MIN_TIME_US), MAX_TIME_US)


# --- to the wire ---------------------------------------------------------------------------------


def item_message(item: ExecutionItem) -> execution_pb2.ExecutionItem:
    """Write an item."""
    message = execution_pb2.ExecutionItem(
        item_id=item.item_id,
        execution_id=item.execution_id,
        epoch=item.epoch,
        sequence_number=item.sequence_number,
        stage=item.stage,
        stage_iteration=item.stage_iteration,
        loop_iteration=item.loop_iteration,
        media_type=types_pb2.MediaType.ValueType(_MEDIA_NUMBERS[item.media_type]),
        item_type=item.item_type,
        content=item.content,
        config_used=item.config_used,
        model_used=item.model_used,
        backend_used=item.backend_used,
        backend_job_id=item.backend_job_id,
        metadata_json=item.metadata_json.encode(),
        late=item.late,
    )
    set_time(message.occur_time, item.occur_time_us)
    if item.media is not None:
        message.media.uri = item.media.uri
        message.media.sha256 = item.media.sha256
        message.media.size_bytes = item.media.size_bytes
        message.media.mime_type = item.media.mime_type
        message.media.filename = item.media.filename
    if item.run_duration_us is not None:
        message.run_duration.FromMicroseconds(item.run_duration_us)
    return message


def summary_message(summary: ExecutionSummary) -> execution_pb2.ExecutionSummary:
    """Write an execution without its items."""
    message = execution_pb2.ExecutionSummary(
        execution_id=summary.execution_id,
        config_name=summary.config_name,
        safety_level=level_number(summary.safety_level),
        user_id=summary.user_id,
        session_id=summary.session_id,
        group_id=summary.group_id,
        parent_execution_id=summary.parent_execution_id,
        state=state_number(summary.state),
        epoch=summary.epoch,
        last_sequence_number=summary.last_sequence_number,
        item_count=summary.item_count,
        complete=summary.complete,
        missing=summary.missing,
        error=summary.error,
        user_input=summary.user_input,
        plan_digest=summary.plan_digest,
        policy_version=summary.policy_version,
        software_version=summary.software_version,
        taxonomy_version=summary.taxonomy_version,
        outputs_generated=summary.outputs_generated,
        erased=summary.erased,
    )
    if summary.start_time_us is not None:
        set_time(message.start_time, summary.start_time_us)
    if summary.end_time_us is not None:
        set_time(message.end_time, summary.end_time_us)
    return message


def level_number(word: str) -> types_pb2.SafetyLevel.ValueType:
    """Write a safety level; what is no level is UNSPECIFIED."""
    return types_pb2.SafetyLevel.ValueType(_LEVEL_NUMBERS.get(word, 0))


def state_number(state: ExecutionState) -> execution_pb2.ExecutionState.ValueType:
    """Write a state."""
    return execution_pb2.ExecutionState.ValueType(_STATE_NUMBERS[state])


def record_message(record: ExecutionRecord) -> execution_pb2.ExecutionRecord:
    """Write an execution with its items."""
    return execution_pb2.ExecutionRecord(
        summary=summary_message(record.summary),
        items=[item_message(item) for item in record.items],
    )


def outcome_message(
    batch_number: int, outcome: BatchOutcome
) -> tracker_service_pb2.RecordItemsResponse:
    """Write what became of a batch."""
    return tracker_service_pb2.RecordItemsResponse(
        batch_number=batch_number,
        accepted_count=outcome.accepted_count,
        erased_count=outcome.erased_count,
        refused=[
            tracker_service_pb2.RefusedItem(
                item_id=one.item_id, reason=one.reason, message=one.message, index=one.index
            )
            for one in outcome.refused
        ],
    )


def claim_message(claim: Claim) -> tracker_service_pb2.ClaimExecutionResponse:
    """Write what is owned now."""
    return tracker_service_pb2.ClaimExecutionResponse(
        execution_id=claim.execution_id,
        epoch=claim.epoch,
        next_sequence_number=claim.next_sequence_number,
        existing=claim.existing,
        owner_address=claim.owner_address,
    )


def owner_message(owner: Owner) -> tracker_service_pb2.GetOwnerResponse:
    """Write who runs an execution."""
    return tracker_service_pb2.GetOwnerResponse(
        owned=owner.owned, owner_address=owner.owner_address
    )


def chain_message(report: ChainReport) -> tracker_service_pb2.VerifyChainResponse:
    """Write what became of a chain."""
    return tracker_service_pb2.VerifyChainResponse(
        execution_id=report.execution_id,
        state=tracker_service_pb2.ChainState.Value(f"CHAIN_STATE_{report.state.name}"),
        position=report.position,
        item_count=report.item_count,
        unchained_count=report.unchained_count,
        erased=report.erased,
        head=report.head.hex(),
    )


def plan_message(plan: Plan) -> tracker_service_pb2.ExecutionPlan:
    """Write a plan."""
    return tracker_service_pb2.ExecutionPlan(plan_digest=plan.plan_digest, plan_json=plan.plan_json)


def watched_message(watched: WatchedItem) -> tracker_service_pb2.WatchItemsResponse:
    """Write an item as a watcher gets it."""
    return tracker_service_pb2.WatchItemsResponse(
        item=item_message(watched.stored.item),
        position=watched.stored.position,
        state=state_number(watched.state),
    )


def set_time(message: Timestamp, time_us: int) -> None:
    """Write a time of microseconds since 1970 UTC."""
    message.seconds, rest_us = divmod(time_us, 1_000_000)
    message.nanos = rest_us * 1000
