"""The life of one execution as the tracker sees it: who owns it, what is there, where it stands.

An `Execution` is the row that a store keeps per execution, and all rules about it are methods
here, so that every store follows the same ones. It is kept up to date item by item; nobody ever
reads back all items to know the state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from servicekit.errors import FailedPreconditionError, NotFoundError
from tracker_service.chain import link_of, new_key, seal_of
from tracker_service.intake import MAX_SEQUENCE_NUMBER
from tracker_service.items import Refusal
from tracker_service.metadata import read_metadata, text_of
from tracker_service.records import (
    INPUT_TEXT,
    MAX_USER_INPUT,
    OPEN_STATES,
    ExecutionState,
    is_delivered_output,
    is_input_text,
    stated_outputs,
)
from tracker_service.taxonomy import DELIVERED_OUTPUTS, TAXONOMY_VERSION, TERMINAL_STATES, VERDICTS

if TYPE_CHECKING:
    from tracker_service.access import Writer
    from tracker_service.items import ExecutionItem

SAFETY_LEVELS: Final = frozenset({"kids", "youth", "adult", "off"})
_TELLING: Final = frozenset(
    {"interception_iteration", INPUT_TEXT, *TERMINAL_STATES, *VERDICTS, *DELIVERED_OUTPUTS}
)
"""The items that change more of an execution than its counts; most do not."""
_ERROR_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def execution_not_found() -> NotFoundError:
    """Return the one error for "unknown" and "not yours", which must look the same."""
    return NotFoundError("EXECUTION_NOT_FOUND", "There is no such execution, or it is not yours.")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life of the owner.

    Attributes:
        execution_id: The execution.
        epoch: The claim that is alive.
        last_sequence_number: The last number that the owner has used.
        owner_address: Where it answers, `host:port`.
        released: The owner gives the lease back.
        awaiting_edit: It waits for a person.
    """

    execution_id: str
    epoch: int
    last_sequence_number: int
    owner_address: str
    released: bool
    awaiting_edit: bool = False


@dataclass(slots=True)
class Execution:
    """One execution; every field but the last two is a column of the table `executions`.

    Attributes:
        key: The store's own number of it, in the order of creation.
        execution_id: Its name.
        start_time_us: Of the first item, or of the claim while there is none.
        lease_until_us: When the lease ends; microseconds since 1970 UTC.
        lease_us: How far a heartbeat moves that.
        config_name: From `pipeline_start`, like the next ones.
        safety_level: See `ExecutionSummary`.
        user_id: Pseudonym of the person it belongs to.
        session_id: Its sitting.
        group_id: Its class.
        parent_execution_id: What it was made from.
        end_time_us: Time of the terminal item.
        state: Where it stands.
        epoch: The latest claim.
        highest_number: Highest number known, from items and heartbeats.
        item_count: All stored items.
        numbered_count: Those inside the numbering; equal to `highest_number` if none is missing.
        terminal_number: Number of the terminal item.
        terminal_position: Its position.
        complete: It has ended and nothing is missing.
        error: Reason of a failed one.
        user_input: First input text, cut.
        user_input_number: Number of that item.
        plan_digest: Of the plan.
        policy_version: Of the first verdict.
        software_version: Of what runs it.
        taxonomy_version: Of its items.
        outputs_generated: Delivered so far, or as the terminal item says.
        bound: A `pipeline_start` has said whose it is.
        owner_address: Who runs it; empty: nobody.
        revision: Grows with every change that a reader can see.
        file_revision: The revision of which the JSON file was written; 0: there is none.
        chain_key: Key of the seals; empty: there are none yet, or it was destroyed.
        chain_head: The last link of the chain.
        unchained_count: Items from before there were chains.
        erased_time_us: When its content was erased; what arrives later is dropped.
        iteration_count: Passes of loops in stage 2.
        last_stage: How far it came.
        claims: First number of each epoch.
        numbers: The numbers stored, by epoch.
    """

    key: int
    execution_id: str
    start_time_us: int
    lease_until_us: int
    lease_us: int
    config_name: str = ""
    safety_level: str = ""
    user_id: str = ""
    session_id: str = ""
    group_id: str = ""
    parent_execution_id: str = ""
    end_time_us: int | None = None
    state: str = ExecutionState.RUNNING.value
    epoch: int = 1
    highest_number: int = 0
    item_count: int = 0
    numbered_count: int = 0
    terminal_number: int | None = None
    terminal_position: int | None = None
    complete: int = 0
    error: str = ""
    user_input: str = ""
    user_input_number: int | None = None
    plan_digest: str = ""
    policy_version: str = ""
    software_version: str = ""
    taxonomy_version: str = TAXONOMY_VERSION
    outputs_generated: int = 0
    bound: int = 0
    owner_address: str = ""
    revision: int = 1
    file_revision: int = 0
    chain_key: bytes = b""
    chain_head: bytes = b""
    unchained_count: int = 0
    erased_time_us: int | None = None
    iteration_count: int = 0
    last_stage: int = 0
    claims: list[int] = field(default_factory=lambda: [1])
    numbers: dict[int, set[int]] = field(default_factory=dict)

    # --- items ---------------------------------------------------------------------------------

    def take(self, item: ExecutionItem, writer: Writer) -> bool:
        """Account for an item that is about to be stored at position `item_count`.

        Args:
            item: A checked item of this execution whose id is new.
            writer: Who sends it.

        Returns:
            Whether it is late: from a superseded claim, outside the numbering.

        Raises:
            Refusal: EXECUTION_NOT_FOUND, EPOCH_UNKNOWN, SEQUENCE_TAKEN or EXECUTION_CLOSED. Then
                nothing has changed.
        """
        number, epoch = item.sequence_number, item.epoch
        is_start = item.item_type == "pipeline_start" and epoch == 1 and number == 1
        if not writer.trusted:
            self._check_writer(item, writer, is_start=is_start)
        late = self._check_number(number, epoch, item.item_type)
        if is_start:
            self._bind(read_metadata(item.metadata_json), writer)
        if self.item_count == 0 or item.occur_time_us < self.start_time_us:
            self.start_time_us = item.occur_time_us
        self.numbers.setdefault(epoch, set()).add(number)
        self.item_count += 1
        self.revision += 1
        if not late:
            self.numbered_count += 1
            self.highest_number = max(self.highest_number, number)
            self._summarise(item)
            self.complete = int(
                self.terminal_number is not None and self.numbered_count == self.highest_number
            )
        return late

    def seal(self, item: ExecutionItem) -> bytes:
        """Add an item that was just taken to the chain; return its seal.

        Raises:
            ValueError: A text of it cannot be stored.
        """
        if not self.chain_key:
            self.chain_key = new_key()
            self.unchained_count = self.item_count - 1
        seal = seal_of(self.chain_key, item)
        self.chain_head = link_of(self.chain_head, self.item_count, item.item_id, seal)
        return seal

    def _check_writer(self, item: ExecutionItem, writer: Writer, *, is_start: bool) -> None:
        if self.bound:
            own = self.user_id == writer.user_id and self.session_id == writer.session_id
        else:
            own = is_start and self.item_count == 0 and self.user_id in ("", writer.user_id)
        if own and is_start:
            metadata = read_metadata(item.metadata_json)
            own = (
                metadata.get("user_id", writer.user_id) == writer.user_id
                and metadata.get("session_id", writer.session_id) == writer.session_id
                and metadata.get("group_id", writer.group_id) == writer.group_id
            )
        if not own:
            raise Refusal("EXECUTION_NOT_FOUND", "There is no such execution, or it is not yours.")

    def _check_number(self, number: int, epoch: int, item_type: str) -> bool:
        """Return whether an item is late."""
        if epoch > self.epoch:
            raise Refusal("EPOCH_UNKNOWN", "Nobody has claimed this epoch; claim it first.")
        if number < self.claims[epoch - 1]:
            raise Refusal("SEQUENCE_TAKEN", "This number belongs to an earlier claim.")
        if number in self.numbers.get(epoch, ()):
            raise Refusal("SEQUENCE_TAKEN", "Another item has this number; repeats keep their id.")
        if epoch < self.epoch:
            # Below the next claim's first number it fills a gap; from there on it is outside.
            return number >= self.claims[epoch]
        ended_at = self.terminal_number
        if ended_at is not None and (number > ended_at or item_type in TERMINAL_STATES):
            raise Refusal("EXECUTION_CLOSED", "The execution has its terminal item already.")
        return False

    def _bind(self, metadata: dict[str, Any], writer: Writer) -> None:
        if writer.trusted:
            self.user_id = text_of(metadata, "user_id") or self.user_id
            self.session_id = text_of(metadata, "session_id") or self.session_id
            self.group_id = text_of(metadata, "group_id") or self.group_id
        else:
            self.user_id = writer.user_id
            self.session_id = writer.session_id
            self.group_id = writer.group_id
        self.bound = 1
        self.config_name = text_of(metadata, "config_name")
        self.safety_level = text_of(metadata, "safety_level").lower()
        self.parent_execution_id = text_of(metadata, "parent_execution_id")
        self.plan_digest = text_of(metadata, "plan_digest")
        self.software_version = text_of(metadata, "software_version")
        self.policy_version = text_of(metadata, "policy_version") or self.policy_version
        self.taxonomy_version = text_of(metadata, "taxonomy_version") or TAXONOMY_VERSION

    def _summarise(self, item: ExecutionItem) -> None:
        item_type = item.item_type
        if item.stage > self.last_stage and item_type not in TERMINAL_STATES:
            self.last_stage = item.stage
        if item_type not in _TELLING:
            return
        self.iteration_count += item_type == "interception_iteration"
        if is_input_text(item) and item.content is not None:
            first = self.user_input_number
            if first is None or item.sequence_number < first:
                self.user_input = item.content[:MAX_USER_INPUT]
                self.user_input_number = item.sequence_number
        elif item_type in VERDICTS:
            if not self.policy_version:
                metadata = read_metadata(item.metadata_json)
                self.policy_version = text_of(metadata, "policy_version")
        elif is_delivered_output(item):
            # The terminal item states the count; what arrives after it was counted there.
            self.outputs_generated += self.terminal_number is None
        elif item_type in TERMINAL_STATES and item.epoch == self.epoch:
            self._end(item)

    def _end(self, item: ExecutionItem) -> None:
        self.state = TERMINAL_STATES[item.item_type]
        self.end_time_us = item.occur_time_us
        self.terminal_number = item.sequence_number
        self.terminal_position = self.item_count
        # From here on the items alone say what is missing.
        self.highest_number = max(self.numbers[item.epoch])
        if item.item_type == "pipeline_error":
            self.error = text_of(read_metadata(item.metadata_json), "error_type")
        stated = stated_outputs(item)
        if stated is not None:
            self.outputs_generated = stated
        self._disown()

    # --- ownership -----------------------------------------------------------------------------

    def beat(self, heartbeat: Heartbeat, writer: Writer, now_us: int) -> None:
        """Renew or release the lease; signs of superseded or foreign owners count for nothing."""
        own = writer.trusted or (self.bound and self.user_id == writer.user_id)
        if self.erased_time_us is not None:
            return
        if not own or heartbeat.epoch != self.epoch or self.terminal_number is not None:
            return
        if heartbeat.last_sequence_number <= MAX_SEQUENCE_NUMBER:
            self.highest_number = max(self.highest_number, heartbeat.last_sequence_number)
        if heartbeat.released:
            self._interrupt()
            return
        self.owner_address = heartbeat.owner_address
        self.lease_until_us = now_us + self.lease_us
        awaits = heartbeat.awaiting_edit
        self._change_state(ExecutionState.AWAITING_EDIT if awaits else ExecutionState.RUNNING)

    def lapse(self, now_us: int) -> None:
        """Note that nobody runs it any more, if its lease is over."""
        if self.terminal_number is None and self.lease_until_us < now_us:
            self._interrupt()

    def claim_next(self, after_epoch: int, owner_address: str, lease_us: int, now_us: int) -> None:
        """Make `owner_address` the owner by an epoch that supersedes `after_epoch`, for resuming.

        Raises:
            FailedPreconditionError: EXECUTION_CLOSED, or LEASE_HELD by somebody else.
        """
        if self.terminal_number is not None:
            raise FailedPreconditionError("EXECUTION_CLOSED", "The execution has ended.")
        if self.is_fresh_claim_of(owner_address, epoch=after_epoch + 1):
            return
        if self.epoch != after_epoch:
            raise FailedPreconditionError(
                "LEASE_HELD", f"The execution is at epoch {self.epoch}, not {after_epoch}."
            )
        if self.is_owned(now_us) and self.owner_address != owner_address:
            raise FailedPreconditionError("LEASE_HELD", "Somebody else still runs the execution.")
        first_number = 1 + max((number for number in self._numbering() if number), default=0)
        self.claims.append(first_number)
        self.epoch += 1
        # What only heartbeats told of belongs to the lost tail, which is done again.
        self.highest_number = first_number - 1
        self.own(owner_address, lease_us, now_us)

    def own(self, owner_address: str, lease_us: int, now_us: int) -> None:
        """Give the lease to `owner_address`."""
        self.state = ExecutionState.RUNNING.value
        self.owner_address = owner_address
        self.lease_us = lease_us
        self.lease_until_us = now_us + lease_us
        self.revision += 1

    def is_owned(self, now_us: int) -> bool:
        """Tell whether somebody's lease still runs."""
        return self.state in OPEN_STATES and self.lease_until_us >= now_us

    def is_fresh_claim_of(self, owner_address: str, *, epoch: int) -> bool:
        """Tell whether `owner_address` holds `epoch` and has not used it yet."""
        return (
            self.epoch == epoch
            and self.owner_address == owner_address
            and not self.numbers.get(epoch)
        )

    @property
    def next_number(self) -> int:
        """The first number that the owner of the present epoch may use."""
        return max(self.claims[-1], 1 + max(self.numbers.get(self.epoch, ()), default=0))

    def erase(self, now_us: int) -> None:
        """Keep of it only what says nothing about a person; destroy the key of its seals."""
        self.user_id = self.session_id = self.group_id = self.user_input = ""
        self.safety_level = self.safety_level if self.safety_level in SAFETY_LEVELS else ""
        self.error = self.error if _ERROR_NAME.fullmatch(self.error) else ""
        self.parent_execution_id = self.software_version = self.plan_digest = ""
        self.chain_key = b""
        self.erased_time_us = now_us
        if self.terminal_number is None:
            self.state = ExecutionState.INTERRUPTED.value
        self._disown()
        self.revision += 1
        self.file_revision = self.revision  # its file is removed, not written anew

    def _numbering(self) -> list[int]:
        """Return the numbers inside the numbering."""
        limits = [*self.claims[1:], None]
        return [
            number
            for epoch, limit in enumerate(limits, start=1)
            for number in self.numbers.get(epoch, ())
            if limit is None or number < limit
        ]

    def _interrupt(self) -> None:
        self._change_state(ExecutionState.INTERRUPTED)
        self._disown()

    def _change_state(self, state: ExecutionState) -> None:
        if self.state != state:
            self.state = state.value
            self.revision += 1

    def _disown(self) -> None:
        self.owner_address = ""
        self.lease_until_us = 0
