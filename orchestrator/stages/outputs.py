"""Runs the outputs of an execution side by side: phase 2, stage 3 and stage 4 of each.

What goes wrong in one output stays in it. An output that was blocked gets a text in its place.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from orchestrator.events import WorkFailed
from orchestrator.model import Blocked, OutputState, StageFailure
from orchestrator.stages.generation import generate
from orchestrator.stages.interception import optimize
from orchestrator.stages.output_check import check_output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.model import OutputStatus
    from orchestrator.stages.run import Run

    Work = Callable[[Run, PlannedOutput, OutputStatus], Awaitable[None]]

log = structlog.get_logger(__name__)


async def make_outputs(run: Run, chosen: Collection[int] | None = None) -> None:
    """Make outputs, a bounded number at once; how each ended is in its status.

    Args:
        run: The execution.
        chosen: Numbers of the outputs to make; None: all. Those that have ended stay as they are.
    """
    await _for_each(run, chosen, _make)


async def optimize_outputs(run: Run, chosen: Collection[int] | None = None) -> None:
    """Run phase 2 alone, as `make_outputs` does; outputs without one are left as they are."""
    await _for_each(run, chosen, _optimize)


async def _for_each(run: Run, chosen: Collection[int] | None, work: Work) -> None:
    places = asyncio.Semaphore(run.services.limits.outputs_at_once)
    async with asyncio.TaskGroup() as group:
        for planned, status in zip(run.plan.outputs, run.outputs, strict=True):
            if (chosen is None or planned.loop_iteration in chosen) and not status.state.ended:
                group.create_task(_contained(run, planned, status, places, work))


async def _make(run: Run, planned: PlannedOutput, status: OutputStatus) -> None:
    draft = await optimize(run, planned)
    status.state = OutputState.CHECKING
    prompt = await check_output(run, planned, draft)
    await generate(run, planned, status, prompt)


async def _optimize(run: Run, planned: PlannedOutput, status: OutputStatus) -> None:
    await optimize(run, planned)


async def _contained(
    run: Run,
    planned: PlannedOutput,
    status: OutputStatus,
    places: asyncio.Semaphore,
    work: Work,
) -> None:
    """Work on one output and note how it ended."""
    try:
        async with places:
            await work(run, planned, status)
    except Blocked as blocked:
        _stand_in(run, status, blocked)
    except StageFailure as failure:
        _fail(run, status, failure)
    except asyncio.CancelledError:
        status.state = OutputState.CANCELLED
        raise
    except Exception:
        log.exception("output_crashed", loop_iteration=status.loop_iteration)
        _fail(run, status, StageFailure("INTERNAL", "Internal error.", recoverable=False))


def _stand_in(run: Run, status: OutputStatus, blocked: Blocked) -> None:
    """Put a text in place of a blocked output: why, and what stage 2 wrote if it may be seen."""
    why = blocked.verdict.message
    explanation = why.get(run.language) or why.get("en", "")
    seen = run.text.text if blocked.stage != 2 else ""
    status.text_alternative = "\n\n".join(part for part in (explanation, seen) if part)
    status.state = OutputState.BLOCKED
    status.message = explanation
    item = run.journal.record(
        4,
        "output_text_alternative",
        loop_iteration=status.loop_iteration,
        media_type="text",
        content=status.text_alternative,
        config_used=status.output_config,
        metadata={"blocked_in_stage": blocked.stage, "message": explanation},
    )
    status.item_id = item.item_id


def _fail(run: Run, status: OutputStatus, failure: StageFailure) -> None:
    status.state = OutputState.FAILED
    status.reason = failure.reason
    status.message = failure.message
    stage = max(run.stage, 3)
    facts: dict[str, object] = {
        "reason": failure.reason,
        "message": failure.message,
        "output_failed": True,
    }
    if failure.details:
        facts["details"] = list(failure.details)
    run.journal.record(
        stage,
        "warning",
        loop_iteration=status.loop_iteration,
        media_type="metadata",
        metadata=facts,
    )
    run.log.add(
        WorkFailed(
            stage, failure.reason, failure.message, failure.recoverable, status.loop_iteration
        )
    )
