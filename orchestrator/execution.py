"""One execution: runs the stages, and makes sure that it ends in exactly one recorded state."""

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from orchestrator.commission import run_of
from orchestrator.ending import (
    CANCELLED,
    EDIT_TIME_OVER,
    INTERRUPTED,
    Ending,
    crashed,
    ending_of_outputs,
    failed,
)
from orchestrator.events import EventLog, StateChanged, WorkFailed
from orchestrator.journal import Journal
from orchestrator.model import Blocked, ExecutionState, Mode, StageFailure
from orchestrator.stages.input_check import check_inputs
from orchestrator.stages.interception import intercept
from orchestrator.stages.outputs import make_outputs
from orchestrator.steps import Step, StepKind
from servicekit.context import detached, within_span
from servicekit.errors import FailedPreconditionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.commission import Commission
    from orchestrator.ports import Records
    from orchestrator.progress import Draft
    from orchestrator.stages.run import Services

log = structlog.get_logger(__name__)

LAST_STAGE = 5


class Execution:
    """A request on its way through the stages.

    Attributes:
        id: UUIDv7.
        owner: Whose it is; decides who may see and cancel it.
        request_digest: Digest of the request, to tell a repeat from another use of a key.
        state: Where it stands.
        reason: Why it FAILED.
        message: What the person is told at a block or a failure.
        start_time: UTC.
        end_time: UTC, None while it runs.
        ended_at: Monotonic clock at its end, for eviction.
    """

    def __init__(
        self,
        commission: Commission,
        *,
        services: Services,
        records: Records,
        software_version: str,
        owner_address: str,
        edit_seconds: float,
    ) -> None:
        self.id = commission.execution_id
        self.owner = commission.owner
        self.request_digest = commission.request_digest
        self.events = EventLog()
        self.journal = Journal(
            self.id,
            commission.epoch,
            records,
            self.events,
            first_number=commission.first_number,
        )
        self.run = run_of(commission, self.journal, services)
        self.state = ExecutionState.RUNNING
        self.reason = ""
        self.message: dict[str, str] = {}
        self.start_time = commission.start_time or datetime.now(UTC)
        self.end_time: datetime | None = None
        self.ended_at: float | None = None
        self._commission = commission
        self._started = time.monotonic()
        self._records = records
        self._software_version = software_version
        self._owner_address = owner_address
        self._edit_seconds = edit_seconds
        self._task: asyncio.Task[None] | None = None
        self._stop_as: ExecutionState | None = None
        self._next_step: asyncio.Future[Step] | None = None

    @property
    def shown_text(self) -> str:
        """What its person may see of stage 2's text by now."""
        return self.run.shown_text

    @property
    def parent_execution_id(self) -> str:
        """The execution that it was made from; empty: none."""
        return self._commission.parent_execution_id

    @property
    def drafts(self) -> dict[str, Draft]:
        """The texts that a person may change now, by slot."""
        return self.run.progress.drafts if self._commission.mode is Mode.STEPS else {}

    def start(self, when_ended: Callable[[], None]) -> None:
        """Begin, in a task of its own that outlives the call which asked for it.

        Args:
            when_ended: Called once, when this process has nothing more to do for it.
        """
        with detached(self.id):
            self._task = asyncio.create_task(self._live(), name=f"execution-{self.id}")
        self._task.add_done_callback(lambda _: when_ended())

    def take_step(self, step: Step) -> int:
        """Let a person's next step be done.

        Returns:
            The position in the events at which the step begins.

        Raises:
            FailedPreconditionError: EXECUTION_CLOSED, NOT_STEP_BY_STEP, STEP_RUNNING, or as of
                `Step.require_possible`.
            InvalidArgumentError: As of `Step.require_possible`.
        """
        if self.state.ended:
            raise execution_closed()
        if self._commission.mode is not Mode.STEPS:
            raise not_step_by_step()
        if self._next_step is None or self._next_step.done():
            raise FailedPreconditionError(
                "STEP_RUNNING", "A step is running, perhaps in another tab; wait until it is done."
            )
        step.require_possible(self.run)
        position = self.events.position
        self._next_step.set_result(step)
        self._change_state(ExecutionState.RUNNING)
        return position

    def cancel(self) -> None:
        """End it and everything done for it as CANCELLED; nothing happens if it has ended."""
        self._stop(ExecutionState.CANCELLED)

    def interrupt(self) -> None:
        """Stop working on it without a terminal item, so that somebody can resume it."""
        self._stop(ExecutionState.INTERRUPTED)

    async def persons_turn(self) -> None:
        """Wait until it awaits a person's step, or has ended."""
        async with aclosing(self.events.batches(0, 1)) as batches:
            async for _ in batches:
                if self.state is not ExecutionState.RUNNING:
                    return

    def beat(self, *, released: bool = False) -> None:
        """Tell the tracker that it is alive and whether it waits for a person; or give it back."""
        self._records.heartbeat(
            self.id,
            self.journal.epoch,
            self.journal.last_sequence_number,
            self._owner_address,
            released=released,
            awaiting_edit=self.state is ExecutionState.AWAITING_EDIT,
        )

    async def wait(self) -> None:
        """Wait until it has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _stop(self, state: ExecutionState) -> None:
        if self.state.ended or self._task is None or self._stop_as is not None:
            return
        self._stop_as = state
        if self.events.position:  # else it has not begun, and looks when it does
            self._task.cancel()

    async def _live(self) -> None:
        """Run to the end, as one part of a trace."""
        facts = {"stellwerk.execution_id": self.id, "stellwerk.config": self.run.plan.config_id}
        with within_span("execution", facts) as span:
            if span.traceparent:
                self._records.record_trace(span.traceparent)
            await self._run_to_end()
            span.note({"stellwerk.state": self.state.value})
            if self.state is ExecutionState.FAILED:
                span.fail(self.reason)

    async def _run_to_end(self) -> None:
        """Run the stages; whatever happens, end in one state."""
        try:
            self._record_start()
            if self._stop_as is not None:
                raise asyncio.CancelledError
            self._end(await self._work())
        except Blocked as blocked:
            self._end(Ending(ExecutionState.BLOCKED, message=dict(blocked.verdict.message)))
        except StageFailure as failure:
            self._end(failed(failure))
        except asyncio.CancelledError:
            self._end_stopped()
        except Exception:
            log.exception("execution_crashed")
            self._end(crashed(traceback.format_exc()))
        finally:
            self.events.close()

    async def _work(self) -> Ending:
        """Do what is to be done, as the mode says, and return how it ended."""
        run, mode = self.run, self._commission.mode
        if mode is not Mode.REGENERATION:
            await check_inputs(run)
        if mode is Mode.STEPS:
            return await self._take_steps()
        if mode is Mode.WHOLE:
            await intercept(run)
        await make_outputs(run)
        return ending_of_outputs(run)

    async def _take_steps(self) -> Ending:
        """Wait for a person's steps and do them, until one renders or the time to edit is over."""
        while True:
            self._next_step = asyncio.get_running_loop().create_future()
            self._change_state(ExecutionState.AWAITING_EDIT)
            try:
                async with asyncio.timeout(self._edit_seconds):
                    step = await self._next_step
            except TimeoutError:
                return EDIT_TIME_OVER
            await step.take(self.run)
            if step.kind is StepKind.RENDER:
                return ending_of_outputs(self.run)

    def _change_state(self, state: ExecutionState) -> None:
        self.state = state
        self.events.add(StateChanged(state, head=self.run.progress.head))
        self.beat()

    def _record_start(self) -> None:
        if self._commission.resumes:
            self.journal.record(
                self.run.stage,
                "warning",
                media_type="metadata",
                metadata={
                    "reason": "RESUMED",
                    "message": "Taken up again; what was not recorded is done once more.",
                    "software_version": self._software_version,
                },
            )
        else:
            plan = self.run.plan
            self._records.record_plan(plan.digest, plan.to_json().encode())
            self.journal.record(
                0,
                "pipeline_start",
                media_type="metadata",
                config_used=plan.config_id,
                metadata=self._start_facts(),
            )
        self._change_state(ExecutionState.RUNNING)
        self._record_given_text()

    def _start_facts(self) -> dict[str, object]:
        run, commission = self.run, self._commission
        facts: dict[str, object] = {
            "config_name": run.plan.config_id,
            "safety_level": run.level.word,
            "user_id": self.owner.id,
            "session_id": self.owner.session,
            "group_id": self.owner.group,
            "plan_digest": run.plan.digest,
            "software_version": self._software_version,
            "taxonomy_version": "1.1",
            "language": run.language,
            "seed": run.seed,
            "mode": commission.mode.value,
            "wish_sha256": commission.wish_sha256,
        }
        if commission.parent_execution_id:
            facts["parent_execution_id"] = commission.parent_execution_id
        return facts

    def _record_given_text(self) -> None:
        """Record the text of the parent that a regeneration begins with."""
        given = self.run.progress.interception
        if self._commission.mode is not Mode.REGENERATION or given is None or given.item_id:
            return
        self.journal.record(
            3,
            "pipeline_input_text",
            loop_iteration=1,
            media_type="text",
            content=given.text,
            metadata={
                "of_item": self._commission.of_item,
                "of_execution": self._commission.parent_execution_id,
                "language": given.language,
            },
        )

    def _end_stopped(self) -> None:
        """Close what was cancelled or drained; a cancel that nobody asked for is a drain too."""
        if self._stop_as is ExecutionState.CANCELLED:
            self._end(CANCELLED)
            return
        self.state = INTERRUPTED.state
        self.message = dict(INTERRUPTED.message)
        self._mark_end()
        self.beat(released=True)
        self.events.add(StateChanged(self.state, "DRAINING", self.message))
        total = time.monotonic() - self._started
        self.run.services.metrics.execution_ended(self.state.name, total)
        log.info("execution_interrupted")

    def _end(self, ending: Ending) -> None:
        """Record the one terminal item and tell everyone who watches."""
        self._mark_end()
        total = time.monotonic() - self._started
        if ending.state is ExecutionState.COMPLETED:
            self.journal.transition(4 if self.run.outputs else 2, LAST_STAGE)
        if ending.failure is not None:
            failure = ending.failure
            self.events.add(
                WorkFailed(self.run.stage, failure.reason, failure.message, failure.recoverable)
            )
        self.journal.record(
            self.run.stage if ending.failure else LAST_STAGE,
            ending.item_type,
            media_type="metadata",
            run_seconds=total,
            metadata=ending.facts(self.run, total, self.journal.last_sequence_number + 1),
        )
        self.state = ending.state
        self.reason = ending.reason
        self.message = dict(ending.message)
        self.events.add(StateChanged(ending.state, ending.reason, ending.message, total))
        self._count(ending, total)
        log.info(
            "execution_finished",
            state=ending.state.value,
            reason=ending.reason,
            duration_ms=round(total * 1000, 1),
            items=self.journal.last_sequence_number,
        )

    def _count(self, ending: Ending, total_seconds: float) -> None:
        metrics = self.run.services.metrics
        metrics.execution_ended(ending.state.name, total_seconds)
        if ending.state is ExecutionState.FAILED:
            metrics.execution_failed(self.run.stage, ending.reason)

    def _mark_end(self) -> None:
        self.end_time = datetime.now(UTC)
        self.ended_at = time.monotonic()


def execution_closed() -> FailedPreconditionError:
    """Return the error for what cannot be done to an execution that has ended."""
    return FailedPreconditionError("EXECUTION_CLOSED", "The execution has ended.")


def not_step_by_step() -> FailedPreconditionError:
    """Return the error for a step of an execution that takes none."""
    return FailedPreconditionError(
        "NOT_STEP_BY_STEP", "This execution runs in one go; start one with StartExecution."
    )
