"""Children who each want one picture of a cluster, and go on when something there goes away."""

from __future__ import annotations

import asyncio
import io
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from PIL import Image

from servicekit.errors import Code, remote_error
from servicekit.principals import Role, identity_metadata
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.tracker.v1 import execution_pb2
from tests.drills.pipelines import assert_chain, complete_record
from tests.fakes.comfyui import prompt_id_of

if TYPE_CHECKING:
    from stellwerk.orchestrator.v1 import event_pb2
    from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
        OrchestratorServiceAsyncStub,
    )
    from tests.drills.cluster import Cluster

SESSIONS = 30
PAUSE_SECONDS = 0.5
UNAVAILABLE = Code.UNAVAILABLE.value
NOT_RESUMABLE = "NOT_RESUMABLE"
CALL_SECONDS = 300.0
UNKNOWN = execution_pb2.EXECUTION_STATE_UNSPECIFIED
INTERRUPTED = execution_pb2.EXECUTION_STATE_INTERRUPTED
COMPLETED = execution_pb2.EXECUTION_STATE_COMPLETED
ENDS = {
    COMPLETED,
    execution_pb2.EXECUTION_STATE_FAILED,
    execution_pb2.EXECUTION_STATE_BLOCKED,
    execution_pb2.EXECUTION_STATE_CANCELLED,
}


class Child:
    """Somebody with an idea of their own, whose picture has a colour of its own.

    Attributes:
        session: One of `SESSIONS`.
        idea: A text that nobody else writes.
        execution_id: Known from the first event.
        state: The last one that was told.
        why: The reason that came with it.
        resumed: How often the child went on with what was interrupted.
        refusals: Why calls failed.
        watched: The items that a watcher beside the child was shown, each once, in order.
        repeated: How many items the watcher was shown again.
    """

    def __init__(self, cluster: Cluster, number: int, seed: int) -> None:
        """Choose an idea."""
        self.session = session_of(number)
        self.idea = f"Eine Blume mit Wort{number}wort"
        self.execution_id, self.why = "", ""
        self.state: execution_pb2.ExecutionState.ValueType = UNKNOWN
        self.resumed = self.repeated = 0
        self.refusals: Counter[str] = Counter()
        self.watched: list[str] = []
        self.number = number
        self._cluster = cluster
        self._choice = random.Random(f"{seed}/{number}")
        metadata = identity_metadata(user=f"kind-{number}", session=self.session, role=Role.LEARNER)
        self._call: dict[str, Any] = {"timeout": CALL_SECONDS, "metadata": tuple(metadata)}

    async def work(self) -> None:
        """Bring the run to its end: repeat what breaks off, resume what was interrupted."""
        while self.state not in ENDS:
            try:
                async for response in self._ask():
                    self._hear(response.event)
            except grpc.aio.AioRpcError as exc:
                self._note(exc)
            await asyncio.sleep(PAUSE_SECONDS)

    async def watch(self) -> None:
        """Look at the same run through whichever orchestrator, from where it broke off."""
        token, state = (0, 0), UNKNOWN
        while state not in ENDS:
            request = pb2.WatchExecutionRequest(
                execution_id=self.execution_id, after_epoch=token[0], after_sequence=token[1]
            )
            try:
                if self.execution_id:
                    async for response in self._stub().WatchExecution(request, **self._call):
                        event = response.event
                        state = event.state_changed.state or state
                        if event.HasField("item_recorded"):
                            token = event.epoch, event.sequence_number
                            self._see(event.item_recorded.item.item_id)
            except grpc.aio.AioRpcError as exc:
                self._note(exc)
            await asyncio.sleep(PAUSE_SECONDS)

    def _stub(self) -> OrchestratorServiceAsyncStub:
        return self._choice.choice(self._cluster.orchestrators)

    def _ask(self) -> Any:
        if self.state == INTERRUPTED:
            self.resumed += 1
            resume = pb2.ResumeExecutionRequest(execution_id=self.execution_id)
            return self._stub().ResumeExecution(resume, **self._call)
        wish = pb2.RunExecutionRequest(
            config="dada",
            texts=[self.idea],
            safety_level=types_pb2.SAFETY_LEVEL_ADULT,
            outputs=["empty_image"],
            parameters={"width": "64", "height": "64", "color": str(self.number)},
            language="de",
            idempotency_key=f"lauf-{self.number}",
            on_disconnect=pb2.ON_DISCONNECT_KEEP,
        )
        return self._stub().RunExecution(wish, **self._call)

    def _hear(self, event: event_pb2.ExecutionEvent) -> None:
        self.execution_id = event.execution_id
        if event.HasField("state_changed"):
            self.state, self.why = event.state_changed.state, event.state_changed.reason

    def _see(self, item_id: str) -> None:
        if item_id in self.watched:
            self.repeated += 1
        else:
            self.watched.append(item_id)

    def _note(self, exc: grpc.aio.AioRpcError) -> None:
        error = remote_error(exc)
        if error.code is Code.UNAVAILABLE:
            self.refusals[UNAVAILABLE] += 1
        else:
            self.refusals[error.reason or error.code] += 1
            if error.reason == NOT_RESUMABLE:  # then it is begun anew, under the same key
                self.state = UNKNOWN
            self.state = UNKNOWN  # ask anew what has become of it


async def checked_record(cluster: Cluster, child: Child) -> execution_pb2.ExecutionRecord:
    """Check that a child's record is complete, sealed, and tells of that child alone."""
    record = await complete_record(cluster.tracker, child.execution_id)
    await assert_chain(cluster.tracker, child.execution_id, len(record.items))
    assert record.summary.state == COMPLETED
    assert record.summary.session_id == child.session
    items = [item for item in record.items if not item.late]
    assert [item.sequence_number for item in items] == list(range(1, len(items) + 1))
    # Once more where the run was cut before its input had a verdict.
    assert {item.content for item in items if item.item_type == "user_input_text"} == {child.idea}
    return record


async def checked_picture(
    cluster: Cluster, child: Child, record: execution_pb2.ExecutionRecord
) -> str:
    """Check that a record has one picture, in the child's colour.

    Returns:
        The ComfyUI prompt that made it.
    """
    (item,) = [item for item in record.items if item.item_type == "output_image"]
    content = await asyncio.to_thread((cluster.media / item.media.uri).read_bytes)
    assert number_in(content) == child.number
    prompt_id = prompt_id_of(content)
    assert prompt_id is not None
    return prompt_id


def number_in(content: bytes) -> int:
    """Read from the colour of a picture which child wanted it."""
    with Image.open(io.BytesIO(content)) as picture:
        red, green, blue = np.asarray(picture.convert("RGB"))[-1, -1]  # the prompt's id is above
    return int.from_bytes((red, green, blue), "big")


def session_of(number: int) -> str:
    """Return where a child sits."""
    return f"tisch-{number % SESSIONS}"
