"""One execution: runs the stages, and makes sure that it ends in exactly one recorded state."""

from __future__ import annotations

import asyncio
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from orchestrator.events import EventLog, StateChanged, WorkFailed
from orchestrator.journal import Journal
from orchestrator.model import Blocked, ExecutionState, OutputState, OutputStatus, StageFailure
from orchestrator.stages.input_check import check_inputs
from orchestrator.stages.interception import intercept
from orchestrator.stages.outputs import make_outputs
from orchestrator.stages.run import Run, Services
from servicekit.context import detached

if TYPE_CHECKING:
    from orchestrator.configs.plan import Plan
    from orchestrator.model import MediaFile, SafetyLevel
    from orchestrator.ports import Records
    from servicekit.principals import Principal

log = structlog.get_logger(__name__)

LAST_STAGE = 5

_MESSAGES = {
    "cancelled": {"de": "Abgebrochen.", "en": "Cancelled."},
    "interrupted": {
        "de": "Der Dienst wird gerade neu gestartet. Was aufgezeichnet ist, bleibt.",
        "en": "The service is restarting. What was recorded stays.",
    },
}


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
        *,
        execution_id: str,
        epoch: int,
        owner: Principal,
        plan: Plan,
        level: SafetyLevel,
        texts: list[str],
        images: list[MediaFile],
        language: str,
        seed: int,
        services: Services,
        records: Records,
        software_version: str,
        request_digest: str = "",
    ) -> None:
        self.id = execution_id
        self.owner = owner
        self.request_digest = request_digest
        self.events = EventLog()
        self.journal = Journal(execution_id, epoch, records, self.events)
        self.run = Run(
            execution_id=execution_id,
            plan=plan,
            level=level,
            texts=texts,
            images=images,
            language=language,
            seed=seed,
            journal=self.journal,
            services=services,
            outputs=[
                OutputStatus(planned.loop_iteration, planned.id, planned.media_type)
                for planned in plan.outputs
            ],
        )
        self.state = ExecutionState.RUNNING
        self.reason = ""
        self.message: dict[str, str] = {}
        self.start_time = datetime.now(UTC)
        self.end_time: datetime | None = None
        self.ended_at: float | None = None
        self._started = time.monotonic()
        self._records = records
        self._software_version = software_version
        self._task: asyncio.Task[None] | None = None
        self._stop_as: ExecutionState | None = None

    @property
    def shown_text(self) -> str:
        """What its person may see of stage 2's text by now."""
        return self.run.shown_text

    def start(self) -> None:
        """Begin, in a task of its own that outlives the call which asked for it."""
        with detached(self.id):
            self._task = asyncio.create_task(self._live(), name=f"execution-{self.id}")

    def cancel(self) -> None:
        """End it and everything done for it as CANCELLED; nothing happens if it has ended."""
        self._stop(ExecutionState.CANCELLED)

    def interrupt(self) -> None:
        """Stop working on it without a terminal item, so that somebody can resume it."""
        self._stop(ExecutionState.INTERRUPTED)

    async def wait(self) -> None:
        """Wait until it has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _stop(self, state: ExecutionState) -> None:
        if self.state.ended or self._task is None or self._stop_as is not None:
            return
        self._stop_as = state
        self._task.cancel()

    async def _live(self) -> None:
        """Run the stages; whatever happens, end in one state."""
        try:
            self._record_start()
            await self._run_stages()
        except Blocked as blocked:
            self._end(ExecutionState.BLOCKED, message=dict(blocked.verdict.message))
        except StageFailure as failure:
            self._fail(failure)
        except asyncio.CancelledError:
            self._end_stopped()
        except Exception:
            log.exception("execution_crashed")
            crash = StageFailure("INTERNAL", "Internal error.", recoverable=False)
            self._fail(crash, traceback.format_exc())
        finally:
            self.events.close()

    async def _run_stages(self) -> None:
        run = self.run
        await check_inputs(run)
        await intercept(run)
        if not run.outputs:
            self._complete(from_stage=2)
            return
        await make_outputs(run)
        states = {status.state for status in run.outputs}
        if OutputState.DELIVERED in states:
            self._complete(from_stage=4)
        elif OutputState.FAILED in states:
            failed = next(each for each in run.outputs if each.state is OutputState.FAILED)
            self._fail(StageFailure(failed.reason, failed.message))
        else:
            blocked = next(each for each in run.outputs if each.state is OutputState.BLOCKED)
            self._end(ExecutionState.BLOCKED, message={run.language: blocked.message})

    def _record_start(self) -> None:
        plan = self.run.plan
        self._records.record_plan(plan.digest, plan.to_json().encode())
        self.journal.record(
            0,
            "pipeline_start",
            media_type="metadata",
            config_used=plan.config_id,
            metadata={
                "config_name": plan.config_id,
                "safety_level": self.run.level.word,
                "user_id": self.owner.id,
                "session_id": self.owner.session,
                "group_id": self.owner.group,
                "plan_digest": plan.digest,
                "software_version": self._software_version,
                "taxonomy_version": "1.1",
                "language": self.run.language,
                "seed": self.run.seed,
            },
        )
        self.events.add(StateChanged(ExecutionState.RUNNING))

    def _complete(self, from_stage: int) -> None:
        self.journal.transition(from_stage, LAST_STAGE)
        self._end(ExecutionState.COMPLETED)

    def _fail(self, failure: StageFailure, stack_trace: str = "") -> None:
        self.reason = failure.reason
        facts: dict[str, object] = {
            "error_type": failure.reason,
            "error_stage": self.run.stage,
            "error_message": failure.message,
            "recoverable": failure.recoverable,
        }
        if stack_trace:
            facts["stack_trace"] = stack_trace
        self.events.add(
            WorkFailed(self.run.stage, failure.reason, failure.message, failure.recoverable)
        )
        message = {"en": failure.message}
        self._end(ExecutionState.FAILED, facts=facts, message=message)

    def _end_stopped(self) -> None:
        """Close what was cancelled or drained; a cancel that nobody asked for is a drain too."""
        if self._stop_as is ExecutionState.CANCELLED:
            self._end(ExecutionState.CANCELLED, message=_MESSAGES["cancelled"])
            return
        self.state = ExecutionState.INTERRUPTED
        self.message = _MESSAGES["interrupted"]
        self._mark_end()
        self._records.heartbeat(
            self.id,
            self.journal.epoch,
            self.journal.last_sequence_number,
            "",
            released=True,
        )
        self.events.add(StateChanged(self.state, "DRAINING", self.message))
        log.info("execution_interrupted")

    def _end(
        self,
        state: ExecutionState,
        *,
        facts: dict[str, object] | None = None,
        message: dict[str, str] | None = None,
    ) -> None:
        """Record the one terminal item and tell everyone who watches."""
        self._mark_end()
        total = time.monotonic() - self._started
        delivered = sum(each.state is OutputState.DELIVERED for each in self.run.outputs)
        failed = state is ExecutionState.FAILED
        self.journal.record(
            self.run.stage if failed else LAST_STAGE,
            _TERMINAL_ITEMS[state],
            media_type="metadata",
            run_seconds=total,
            metadata={
                **(facts or {}),
                "total_duration_seconds": round(total, 6),
                "total_items_logged": self.journal.last_sequence_number + 1,
                "outputs_generated": delivered,
                "stages_completed": sorted(self.run.stages_completed),
            },
        )
        self.state = state
        self.message = message or {}
        self.events.add(StateChanged(state, self.reason, self.message, total))
        log.info(
            "execution_finished",
            state=state.value,
            reason=self.reason,
            duration_ms=round(total * 1000, 1),
            items=self.journal.last_sequence_number,
        )

    def _mark_end(self) -> None:
        self.end_time = datetime.now(UTC)
        self.ended_at = time.monotonic()


_TERMINAL_ITEMS = {
    ExecutionState.COMPLETED: "pipeline_complete",
    ExecutionState.BLOCKED: "pipeline_blocked",
    ExecutionState.FAILED: "pipeline_error",
    ExecutionState.CANCELLED: "pipeline_cancelled",
}
