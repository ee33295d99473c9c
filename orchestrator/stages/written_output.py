"""Outputs that a language model writes, such as a sketch in p5.js or a tune in Tone.js.

They are texts. Nobody here runs them: whoever shows them does so in a sandbox.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.events import OutputReady
from orchestrator.model import Decision, OutputState
from orchestrator.stages.asking import Task, ask, record_switches
from orchestrator.stages.writing import Passage, check_machine_text, placeholder_values

if TYPE_CHECKING:
    from orchestrator.configs.plan import PlannedOutput
    from orchestrator.model import OutputStatus, Verdict
    from orchestrator.ports import TextAnswer
    from orchestrator.stages.run import Run

_FENCED = re.compile(r"```[^\n]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def code_in(answer: str) -> str:
    """Return the code of an answer: what stands in its first fence, or all of it."""
    fenced = _FENCED.search(answer)
    return (fenced.group(1) if fenced else answer).strip("\n")


async def write_output(run: Run, output: PlannedOutput, status: OutputStatus, prompt: str) -> None:
    """Let the output's chunk write, check what came where minors look on, and deliver it.

    Args:
        run: The execution.
        output: One with a chunk.
        status: Of this output.
        prompt: The text that passed stage 3.

    Raises:
        Blocked: It does not fit the level.
        StageFailure: A model or a verdict could not be had.
    """
    chunk = output.chunk
    if chunk is None:
        raise ValueError(f"{output.id} has no chunk")
    passage = Passage(prompt, run.text.language, run.progress.values)
    values = placeholder_values(run, chunk.language, passage, run.language)
    task = Task(prompt, passage.language)
    answer = await ask(run, chunk, values, task)
    record_switches(run, 4, answer, output.loop_iteration)
    code = code_in(answer.text)
    verdict: Verdict | None = None
    allowed = not run.level.withholds_unchecked
    try:
        if run.level.withholds_unchecked:
            verdict = await check_machine_text(run, [code], run.language)
            allowed = verdict.decision is Decision.ALLOW
    finally:
        # Written is written, whatever became of the check: the record keeps it, perhaps unseen.
        _record(run, output, status, answer, code, withheld=not allowed)
    if verdict is not None:
        number = output.loop_iteration
        run.record_verdict(
            3, "stage3_safety_check", verdict, loop_iteration=number, of_item=status.item_id
        )
        run.require_allowed(verdict, 3, loop_iteration=number)
    status.text = code
    status.state = OutputState.DELIVERED
    run.log.add(OutputReady(replace(status)))


def _record(
    run: Run,
    output: PlannedOutput,
    status: OutputStatus,
    answer: TextAnswer,
    code: str,
    *,
    withheld: bool,
) -> None:
    facts: dict[str, Any] = {"role": output.chunk and output.chunk.role, **answer.metadata()}
    facts["prompt"] = status.prompt
    if withheld:
        facts["withheld"] = True
    run.journal.record(
        4,
        "output_code",
        loop_iteration=output.loop_iteration,
        media_type="text",
        content=code,
        config_used=output.id,
        model_used=answer.model,
        backend_used=answer.backend,
        backend_job_id=answer.backend_job_id,
        run_seconds=answer.run_seconds,
        metadata=facts,
        item_id=status.item_id,
    )
