"""Numbers the items of one execution, hands them to the recorder and shows them to watchers.

One place gives numbers, at the moment when something happened, also for outputs that run at once:
so they are gapless by construction.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

import uuid_utils

from orchestrator.events import EventLog, Item, ItemRecorded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from orchestrator.model import MediaFile
    from orchestrator.ports import Records


def new_id() -> str:
    """Return a fresh UUIDv7 in text form: unguessable, and sorted by time."""
    return str(uuid_utils.uuid7())


class ItemFields(TypedDict, total=False):
    """What an item may hold beside its place; see `events.Item`."""

    stage_iteration: int | None
    loop_iteration: int | None
    media_type: str
    content: str | None
    media: MediaFile | None
    config_used: str
    model_used: str
    backend_used: str
    backend_job_id: str
    run_seconds: float | None
    metadata: Mapping[str, Any]


class Journal:
    """The record of one execution while it is written.

    Attributes:
        epoch: The claim under which it is written.
        log: Where watchers see it.
        last_sequence_number: The last number that was given.
    """

    def __init__(
        self,
        execution_id: str,
        epoch: int,
        records: Records,
        log: EventLog,
        *,
        first_number: int = 1,
    ) -> None:
        self.execution_id = execution_id
        self.epoch = epoch
        self.log = log
        self.last_sequence_number = first_number - 1
        self._records = records
        self._last_transition = time.monotonic()

    def record(
        self, stage: int, item_type: str, *, item_id: str = "", **fields: Unpack[ItemFields]
    ) -> Item:
        """Give the next number to an event, record it and show it.

        Args:
            stage: 0 to 5.
            item_type: A word of the taxonomy.
            item_id: Where it had to be known before; empty: a fresh one.
            fields: The rest of the item.

        Returns:
            The item as recorded.
        """
        self.last_sequence_number += 1
        item = Item(
            item_id=item_id or new_id(),
            execution_id=self.execution_id,
            epoch=self.epoch,
            sequence_number=self.last_sequence_number,
            occur_time=datetime.now(UTC),
            stage=stage,
            item_type=item_type,
            **fields,
        )
        self._records.record(
            execution_id=item.execution_id,
            epoch=item.epoch,
            sequence_number=item.sequence_number,
            stage=stage,
            item_type=item_type,
            item_id=item.item_id,
            occur_time=item.occur_time,
            **fields,
        )
        self.log.add(ItemRecorded(item))
        return item

    def transition(
        self, from_stage: int, to_stage: int, *, loop_iteration: int | None = None
    ) -> None:
        """Record that the execution, or one output, goes on to another stage."""
        now = time.monotonic()
        elapsed_ms = round((now - self._last_transition) * 1000, 3)
        self._last_transition = now
        self.record(
            to_stage,
            "stage_transition",
            loop_iteration=loop_iteration,
            media_type="metadata",
            metadata={
                "from_stage": from_stage,
                "to_stage": to_stage,
                "transition_time_ms": elapsed_ms,
            },
        )
