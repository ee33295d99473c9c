"""Starts executions, whoever asked for them: a request, a resumption, a regeneration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from orchestrator.execution import Execution
from servicekit.context import bind_execution_id

if TYPE_CHECKING:
    from orchestrator.commission import Commission
    from orchestrator.ports import Records
    from orchestrator.registry import Executions
    from orchestrator.stages.run import Services

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Launcher:
    """Makes executions run in this process.

    Attributes:
        owner_address: Where other replicas reach this process.
        edit_seconds: How long an execution waits for a person's next step.
    """

    executions: Executions
    services: Services
    records: Records
    software_version: str
    owner_address: str
    edit_seconds: float

    def launch(self, commission: Commission, idempotency_key: str = "") -> Execution:
        """Begin an execution.

        Raises:
            ResourceExhaustedError: TOO_MANY_EXECUTIONS.
            UnavailableError: DRAINING.
        """
        self.executions.require_room(commission.owner)
        execution = Execution(
            commission,
            services=self.services,
            records=self.records,
            software_version=self.software_version,
            owner_address=self.owner_address,
            edit_seconds=self.edit_seconds,
        )
        self.executions.start(execution, idempotency_key)
        bind_execution_id(execution.id)
        log.info(
            "execution_started",
            config=commission.plan.config_id,
            level=commission.level.word,
            mode=commission.mode.value,
            epoch=commission.epoch,
            outputs=len(commission.plan.outputs),
        )
        return execution
