"""Giving a prompt to a worker exactly once, also when the reply is lost.

A worker that answers 500, or nothing, may have queued the prompt all the same. There is no other
idempotency than our own id: look for it in the queue, then in the history, before posting again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from generation_service.backends.comfyui.errors import (
    WorkerFaultError,
    WorkerRefusedError,
    WorkerUnreachableError,
)
from generation_service.backends.comfyui.http import NotConnectedError

if TYPE_CHECKING:
    from generation_service.backends.comfyui.answers import Receipt
    from generation_service.backends.comfyui.prompt import Prompt, RunLimits
    from generation_service.backends.comfyui.routes import WorkerRoutes


async def post_prompt(
    routes: WorkerRoutes, prompt: Prompt, client_id: str, limits: RunLimits
) -> Receipt | None:
    """Post a prompt.

    Args:
        routes: The worker.
        prompt: What to run.
        client_id: Whose socket gets the messages.
        limits: The rhythm.

    Returns:
        The reply; None: it was lost, and the prompt is there.

    Raises:
        WorkflowInvalidError: The worker refused it.
        PromptTooLargeError: It is larger than the worker takes.
        WorkerFaultError: It could not be given to the worker.
    """
    body = {
        "prompt": prompt.workflow.graph_for(prompt.prompt_id),
        "client_id": client_id,
        "prompt_id": prompt.prompt_id,
    }
    failure: WorkerFaultError = WorkerUnreachableError("never posted")
    for attempt in range(limits.post_attempts):
        if attempt:
            await asyncio.sleep(limits.lost_pause_seconds)
        try:
            return await routes.post_prompt(body)
        except NotConnectedError as exc:
            failure = exc
        except WorkerRefusedError:
            raise  # whatever stands there did not let it through
        except WorkerFaultError as exc:
            failure = exc
            if await _is_there(routes, prompt.prompt_id, limits):
                return None
    raise failure


async def _is_there(routes: WorkerRoutes, prompt_id: str, limits: RunLimits) -> bool:
    """Whether a worker has a prompt whose reply was lost.

    Raises:
        WorkerFaultError: It does not tell.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + limits.unreachable_seconds
    looks = 0
    while True:
        try:
            async with asyncio.timeout(limits.call_seconds):
                if prompt_id in await routes.queue():
                    return True
                if await routes.history(prompt_id) is not None:
                    return True
        except (WorkerFaultError, TimeoutError) as exc:
            if loop.time() >= give_up:
                raise WorkerUnreachableError("a lost reply could not be looked after") from exc
        else:
            looks += 1
            if looks >= limits.lost_looks:
                return False
        await asyncio.sleep(limits.lost_pause_seconds)
