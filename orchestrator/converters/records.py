"""Records of the tracker as the domain reads them: to go on with an execution, or begin with it."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.configs.plan import Plan
from orchestrator.converters.words import MEDIA_TYPES, media_from_proto
from orchestrator.events import Item
from orchestrator.revival import Recorded
from orchestrator.seeds import LastRun
from servicekit.errors import FailedPreconditionError
from stellwerk.tracker.v1 import execution_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEDIA_WORDS: Mapping[int, str] = {number: word for word, number in MEDIA_TYPES.items()}
_OPEN = frozenset(
    {
        execution_pb2.EXECUTION_STATE_RUNNING,
        execution_pb2.EXECUTION_STATE_AWAITING_EDIT,
        execution_pb2.EXECUTION_STATE_INTERRUPTED,
    }
)


def recorded_from_proto(record: execution_pb2.ExecutionRecord, plan_json: bytes) -> Recorded:
    """Return what is recorded of an execution, without what came too late to count.

    Raises:
        FailedPreconditionError: NOT_RESUMABLE: its plan is of another version of the software.
    """
    try:
        plan = Plan.from_json(plan_json)
    except ValidationError as exc:
        raise FailedPreconditionError(
            "NOT_RESUMABLE", "Its plan is of another version of the software; run it again."
        ) from exc
    summary = record.summary
    return Recorded(
        execution_id=summary.execution_id,
        items=tuple(item_from_proto(item) for item in record.items if not item.late),
        plan=plan,
        ended=summary.state not in _OPEN,
        start_time=summary.start_time.ToDatetime(tzinfo=UTC),
    )


def item_from_proto(item: execution_pb2.ExecutionItem) -> Item:
    """Return an item of a record."""
    given = item.HasField
    return Item(
        item_id=item.item_id,
        execution_id=item.execution_id,
        epoch=item.epoch,
        sequence_number=item.sequence_number,
        occur_time=item.occur_time.ToDatetime(tzinfo=UTC),
        stage=item.stage,
        item_type=item.item_type,
        stage_iteration=item.stage_iteration if given("stage_iteration") else None,
        loop_iteration=item.loop_iteration if given("loop_iteration") else None,
        media_type=_MEDIA_WORDS.get(item.media_type, ""),
        content=item.content if given("content") else None,
        media=media_from_proto(item.media) if given("media") else None,
        config_used=item.config_used,
        model_used=item.model_used,
        backend_used=item.backend_used,
        backend_job_id=item.backend_job_id,
        metadata=_metadata(item),
    )


def last_run_of(record: execution_pb2.ExecutionRecord) -> LastRun | None:
    """Return what decides the seed of a session's next run; None: the record does not say."""
    start = next((item for item in record.items if item.item_type == "pipeline_start"), None)
    facts = _metadata(start) if start is not None else {}
    seed = facts.get("seed")
    return LastRun(str(facts.get("wish_sha256", "")), seed) if isinstance(seed, int) else None


def _metadata(item: execution_pb2.ExecutionItem) -> dict[str, Any]:
    value = json.loads(item.metadata_json) if item.metadata_json else {}
    return value if isinstance(value, dict) else {}
