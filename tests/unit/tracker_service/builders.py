"""Makes items and batches for tests of the tracker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import uuid_utils

from tracker_service.access import EVERYTHING, Audience, Writer
from tracker_service.items import ExecutionItem
from tracker_service.store.interface import Batch, ClaimRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker_service.lifecycle import Heartbeat

SECOND_US = 1_000_000
SERVICE = Writer(trusted=True, user_id="service", session_id="", group_id="")
ANNA = Writer(trusted=False, user_id="anna", session_id="s-anna", group_id="7b")


def make_item(execution_id: str, number: int, item_type: str = "warning", **fields: Any) -> Any:
    """Make an item; `metadata` is an object, everything else as in `ExecutionItem`."""
    metadata = fields.pop("metadata", {})
    values: dict[str, Any] = {
        "item_id": str(uuid_utils.uuid7()),
        "execution_id": execution_id,
        "epoch": 1,
        "sequence_number": number,
        "occur_time_us": number * SECOND_US,
        "stage": 0,
        "stage_iteration": None,
        "loop_iteration": None,
        "media_type": "metadata",
        "item_type": item_type,
        "content": None,
        "media": None,
        "config_used": "",
        "model_used": "",
        "backend_used": "",
        "backend_job_id": "",
        "run_duration_us": None,
        "metadata_json": json.dumps(metadata),
    }
    return ExecutionItem(**(values | fields))


def make_start(execution_id: str, **metadata: Any) -> ExecutionItem:
    """Make the `pipeline_start` of an execution."""
    facts = {
        "config_name": "dada",
        "safety_level": "kids",
        "user_id": "anna",
        "session_id": "s-anna",
        "group_id": "7b",
    }
    item: ExecutionItem = make_item(
        execution_id, 1, "pipeline_start", stage=0, metadata=facts | metadata
    )
    return item


def make_run(execution_id: str, length: int = 4, **metadata: Any) -> list[ExecutionItem]:
    """Make a whole run: start, input, notes, `pipeline_complete`."""
    return [
        make_start(execution_id, **metadata),
        make_item(execution_id, 2, "user_input_text", stage=1, content="Eine Blume"),
        *(make_item(execution_id, number) for number in range(3, length)),
        make_item(execution_id, length, "pipeline_complete", stage=5),
    ]


def make_batch(
    items: Sequence[ExecutionItem] = (),
    *,
    writer: Writer = SERVICE,
    heartbeats: Sequence[Heartbeat] = (),
) -> Batch:
    """Make a batch."""
    return Batch(writer=writer, items=list(enumerate(items)), heartbeats=heartbeats)


def make_claim(
    execution_id: str,
    owner_address: str = "one:1",
    *,
    key: str = "",
    after_epoch: int | None = None,
    writer: Writer = ANNA,
    audience: Audience = EVERYTHING,
) -> ClaimRequest:
    """Make the wish to own an execution."""
    return ClaimRequest(
        execution_id=execution_id,
        owner_address=owner_address,
        idempotency_key=key,
        lease_us=None,
        after_epoch=after_epoch,
        writer=writer,
        audience=audience,
    )
