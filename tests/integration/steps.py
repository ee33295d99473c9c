"""A person who works step by step: what the tests of steps, resuming and regenerating share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servicekit.principals import identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2

if TYPE_CHECKING:
    from tests.integration.house import House

STEP_SECONDS = 60.0
AWAITING = execution_pb2.EXECUTION_STATE_AWAITING_EDIT


@dataclass
class Person:
    """Somebody with a tab open.

    Attributes:
        house: The deployment.
        user: Pseudonym.
        session: The sitting.
        execution_id: What they work on.
        head: The newest text that they have seen.
        events: All that they saw.
    """

    house: House
    user: str = "kind-1"
    session: str = "tisch-1"
    execution_id: str = ""
    head: str = ""
    events: list[event_pb2.ExecutionEvent] = field(default_factory=list)

    async def start(self, config: str = "dada", **fields: Any) -> Person:
        """Start an execution and wait for one's turn; kids' level unless said otherwise."""
        fields.setdefault("safety_level", types_pb2.SAFETY_LEVEL_KIDS)
        request = pb2.RunExecutionRequest(config=config, **fields)
        stub = self.house.orchestrator
        return await self._take(
            stub.StartExecution(pb2.StartExecutionRequest(execution=request), **self._call)
        )

    async def intercept(self, **fields: Any) -> Person:
        """Let phase 1 run."""
        request = pb2.InterceptRequest(**self._step(fields))
        return await self._take(self.house.orchestrator.Intercept(request, **self._call))

    async def optimize(self, **fields: Any) -> Person:
        """Let phase 2 run."""
        request = pb2.OptimizeRequest(**self._step(fields))
        return await self._take(self.house.orchestrator.Optimize(request, **self._call))

    async def render(self, **fields: Any) -> Person:
        """Let stages 3 and 4 run."""
        request = pb2.RenderRequest(**self._step(fields))
        return await self._take(self.house.orchestrator.Render(request, **self._call))

    async def look(self) -> event_pb2.Execution:
        """Return where the execution stands."""
        request = pb2.GetExecutionRequest(execution_id=self.execution_id)
        response = await self.house.orchestrator.GetExecution(request, **self._call)
        return response.execution

    async def text_of(self, field: str) -> event_pb2.Draft:
        """Return a text as it stands."""
        return next(draft for draft in (await self.look()).drafts if draft.field == field)

    async def edit_of(self, field: str, text: str, seconds: int = 3) -> pb2.TextEdit:
        """Return a change of a text."""
        edit = pb2.TextEdit(of_item_id=(await self.text_of(field)).item_id, text=text)
        edit.editing_duration.FromSeconds(seconds)
        return edit

    @property
    def state(self) -> execution_pb2.ExecutionState.ValueType:
        """The last state that they were told."""
        told = [event for event in self.events if event.HasField("state_changed")]
        return told[-1].state_changed.state

    @property
    def _call(self) -> dict[str, Any]:
        metadata = tuple(identity_metadata(user=self.user, session=self.session))
        return {"metadata": metadata, "timeout": STEP_SECONDS}

    def _step(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"execution_id": self.execution_id, "based_on_item_id": self.head, **fields}

    async def _take(self, call: Any) -> Person:
        async for response in call:
            event = response.event
            self.events.append(event)
            self.execution_id = event.execution_id
            if event.HasField("state_changed") and event.state_changed.state == AWAITING:
                self.head = event.state_changed.head_item_id
        return self
