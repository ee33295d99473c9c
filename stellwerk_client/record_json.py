"""A record in the JSON form that people and other tools read.

Key names are those of the published taxonomy where the contract names a thing differently. The
tracker writes the same form into files and exports; this one is for whoever holds a record that
came by `GetExecution`. A test keeps both the same.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk_client.recorder.encoding import MEDIA_TYPES

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEDIA_NAMES = {int(number): name for name, number in MEDIA_TYPES.items()}


def record_json(record: execution_pb2.ExecutionRecord) -> dict[str, Any]:
    """Return the JSON form of a record.

    Args:
        record: As the tracker sent it.

    Returns:
        Objects, lists, text and numbers; every key is always there, null where nothing is known;
        only `erased` and an item's `late` are left out unless they are true.
    """
    summary = record.summary
    texts = _input_texts(record)
    return {
        "execution_id": summary.execution_id,
        "config_name": summary.config_name or None,
        "user_input": texts[0] if texts else summary.user_input or None,
        "user_inputs": texts,
        "safety_level": _level(summary.safety_level),
        "user_id": summary.user_id or None,
        "session_id": summary.session_id or None,
        "group_id": summary.group_id or None,
        "parent_execution_id": summary.parent_execution_id or None,
        "start_time": _time(summary.start_time) if summary.HasField("start_time") else None,
        "end_time": _time(summary.end_time) if summary.HasField("end_time") else None,
        "status": state_name(summary.state),
        "epoch": summary.epoch,
        "complete": summary.complete,
        "missing": list(summary.missing),
        "error": summary.error or None,
        "taxonomy_version": summary.taxonomy_version or None,
        "plan_digest": summary.plan_digest or None,
        "policy_version": summary.policy_version or None,
        "software_version": summary.software_version or None,
        "items": [item_json(item) for item in record.items],
        **({"erased": True} if summary.erased else {}),
    }


def _input_texts(record: execution_pb2.ExecutionRecord) -> list[str]:
    """The person's texts; what was recorded before a new beginning of stage 1 does not count."""
    texts: list[str] = []
    for item in record.items:
        if item.item_type == "stage_transition" and item.stage == 1:
            texts.clear()
        elif item.item_type == "user_input_text" and item.HasField("content"):
            texts.append(item.content)
    return texts


def item_json(item: execution_pb2.ExecutionItem) -> dict[str, Any]:
    """Return the JSON form of an item."""
    media = item.media if item.HasField("media") else None
    return {
        "item_id": item.item_id,
        "execution_id": item.execution_id,
        "epoch": item.epoch,
        "sequence_number": item.sequence_number,
        "timestamp": _time(item.occur_time),
        "stage": item.stage,
        "stage_iteration": item.stage_iteration if item.HasField("stage_iteration") else None,
        "loop_iteration": item.loop_iteration if item.HasField("loop_iteration") else None,
        "media_type": _MEDIA_NAMES.get(item.media_type) or None,
        "item_type": item.item_type,
        "content": item.content if item.HasField("content") else None,
        "file_path": media.uri if media else None,
        "media": {
            "uri": media.uri,
            "sha256": media.sha256,
            "size_bytes": media.size_bytes,
            "mime_type": media.mime_type,
            "filename": media.filename,
        }
        if media
        else None,
        "config_used": item.config_used or None,
        "model_used": item.model_used or None,
        "backend_used": item.backend_used or None,
        "prompt_id": item.backend_job_id or None,
        "execution_time": (
            item.run_duration.ToMicroseconds() / 1_000_000
            if item.HasField("run_duration")
            else None
        ),
        "metadata": json.loads(item.metadata_json or b"{}", parse_float=_finite),
        **({"late": True} if item.late else {}),
    }


def state_name(state: execution_pb2.ExecutionState.ValueType) -> str:
    """Return a state as the JSON form names it, such as `completed`."""
    return execution_pb2.ExecutionState.Name(state).removeprefix("EXECUTION_STATE_").lower()


def _level(level: types_pb2.SafetyLevel.ValueType) -> str | None:
    name = types_pb2.SafetyLevel.Name(level).removeprefix("SAFETY_LEVEL_").lower()
    return name if level else None


def _time(time: Timestamp) -> str:
    # By integers: ToDatetime() goes through nanoseconds, which dates cannot hold.
    moment = _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1_000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _finite(literal: str) -> float:
    """Read a number; one beyond a double becomes its largest, since JSON cannot say infinity."""
    value = float(literal)
    return value if math.isfinite(value) else math.copysign(sys.float_info.max, value)
