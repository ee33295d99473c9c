"""What an execution is to do, from wherever it comes: a request, its record, another execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.model import Mode, OutputStatus
from orchestrator.stages.run import Run

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.configs.plan import Plan
    from orchestrator.journal import Journal
    from orchestrator.model import MediaFile, SafetyLevel
    from orchestrator.progress import Progress
    from orchestrator.stages.run import Services, StoredVerdict
    from servicekit.principals import Principal


@dataclass(frozen=True, slots=True)
class Commission:
    """What an execution is to do, and what of it is done.

    Attributes:
        execution_id: UUIDv7.
        owner: Whose it is; decides who may see and cancel it.
        progress: The person's texts, and what is done already.
        images: The person's pictures.
        language: Of the person, for messages.
        seed: Of all outputs and of what stage 2 draws.
        epoch: The claim under which it runs.
        first_number: The first sequence number of this claim.
        parent_execution_id: What it was made from; empty: nothing.
        of_item: Item of the parent that holds the text that it begins with; empty: none.
        request_digest: Digest of the request, to tell a repeat from another use of a key.
        wish_sha256: Digest of what was asked for, by which the next run's seed is chosen.
        stored_verdict: An earlier verdict about the text that it begins with; None: none.
        outputs: How far its outputs are; None: nothing is done.
        start_time: When it started, for one that is taken up again; None: now.
        stage: The latest stage that it has reached.
    """

    execution_id: str
    owner: Principal
    plan: Plan
    level: SafetyLevel
    progress: Progress
    images: list[MediaFile]
    language: str
    seed: int
    mode: Mode = Mode.WHOLE
    epoch: int = 1
    first_number: int = 1
    parent_execution_id: str = ""
    of_item: str = ""
    request_digest: str = ""
    wish_sha256: str = ""
    stored_verdict: StoredVerdict | None = None
    outputs: list[OutputStatus] | None = None
    start_time: datetime | None = None
    stage: int = 0

    @property
    def resumes(self) -> bool:
        """Whether it goes on with what an earlier claim began, of which something is recorded."""
        return self.first_number > 1


def run_of(commission: Commission, journal: Journal, services: Services) -> Run:
    """Return the execution as its stages see it."""
    outputs = commission.outputs
    if outputs is None:
        outputs = [
            OutputStatus(planned.loop_iteration, planned.id, planned.media_type)
            for planned in commission.plan.outputs
        ]
    text = commission.progress.interception
    return Run(
        execution_id=commission.execution_id,
        plan=commission.plan,
        level=commission.level,
        progress=commission.progress,
        images=commission.images,
        language=commission.language,
        seed=commission.seed,
        journal=journal,
        services=services,
        outputs=outputs,
        shown_text=text.text if text else "",
        stored_verdict=commission.stored_verdict,
        stage=commission.stage,
    )
