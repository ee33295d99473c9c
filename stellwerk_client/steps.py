"""Working step by step: a person looks at every text, changes it, and lets the next step run.

Each method yields what happens until it is the person's turn again, or until the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk_client import transfers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from stellwerk.orchestrator.v1.event_pb2 import ExecutionEvent
    from stellwerk_client.connections import Connections


def text_edit(
    of_item_id: str, text: str, editing_seconds: float = 0.0
) -> orchestrator_pb2.TextEdit:
    """Return a change of a text.

    Args:
        of_item_id: The item that holds the text as it was.
        text: The text as it is to be.
        editing_seconds: How long the person worked on it; 0 = not known.
    """
    edit = orchestrator_pb2.TextEdit(of_item_id=of_item_id, text=text)
    if editing_seconds > 0:
        edit.editing_duration.FromNanoseconds(int(editing_seconds * 1e9))
    return edit


class Steps:
    """The steps of executions on one deployment."""

    def __init__(self, connections: Connections, step_seconds: float) -> None:
        """Use these channels.

        Args:
            connections: To the deployment.
            step_seconds: Limit of one step, in seconds.
        """
        self._connections = connections
        self._step_seconds = step_seconds

    def start(
        self, request: orchestrator_pb2.RunExecutionRequest
    ) -> AsyncGenerator[ExecutionEvent]:
        """Start an execution that waits for its person after each step."""
        wish = orchestrator_pb2.StartExecutionRequest(execution=request)
        call = self._connections.orchestrator.StartExecution(wish, timeout=self._step_seconds)
        return transfers.events(call)

    def intercept(
        self,
        execution_id: str,
        based_on: str,
        edits: Sequence[orchestrator_pb2.TextEdit] = (),
    ) -> AsyncGenerator[ExecutionEvent]:
        """Let phase 1 rewrite the person's texts.

        Args:
            execution_id: The execution.
            based_on: `head_item_id` of the latest AWAITING_EDIT.
            edits: What the person changed since; see `text_edit`.
        """
        request = orchestrator_pb2.InterceptRequest(
            execution_id=execution_id, based_on_item_id=based_on, edits=edits
        )
        call = self._connections.orchestrator.Intercept(request, timeout=self._step_seconds)
        return transfers.events(call)

    def optimize(
        self,
        execution_id: str,
        based_on: str,
        edits: Sequence[orchestrator_pb2.TextEdit] = (),
        outputs: Sequence[int] = (),
    ) -> AsyncGenerator[ExecutionEvent]:
        """Let phase 2 fit the text to outputs; none = to all. See `intercept`."""
        request = orchestrator_pb2.OptimizeRequest(
            execution_id=execution_id,
            based_on_item_id=based_on,
            edits=edits,
            loop_iterations=outputs,
        )
        call = self._connections.orchestrator.Optimize(request, timeout=self._step_seconds)
        return transfers.events(call)

    def render(
        self,
        execution_id: str,
        based_on: str,
        edits: Sequence[orchestrator_pb2.TextEdit] = (),
        outputs: Sequence[int] = (),
    ) -> AsyncGenerator[ExecutionEvent]:
        """Let outputs be made, none = all; the last step. See `intercept`."""
        request = orchestrator_pb2.RenderRequest(
            execution_id=execution_id,
            based_on_item_id=based_on,
            edits=edits,
            loop_iterations=outputs,
        )
        call = self._connections.orchestrator.Render(request, timeout=self._step_seconds)
        return transfers.events(call)
