"""A worker's routes, one method each, with answers in our words."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from generation_service.backends.comfyui.answers import (
    HistoryEntry,
    QueueView,
    Receipt,
    WorkerStats,
    mapping,
    read_history,
    read_queue,
    read_receipt,
    read_refusal,
    read_stats,
)
from generation_service.backends.comfyui.errors import (
    OutputTooLargeError,
    OutputUnreadableError,
    PromptTooLargeError,
    UploadRefusedError,
    WorkerAnswerInvalidError,
    WorkerRefusedError,
    WorkflowInvalidError,
)
from generation_service.backends.comfyui.http import RefusedRequestError, parse_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from generation_service.backends.comfyui.http import HttpDoor

UPLOAD_FOLDER = "stellwerk"


@dataclass(frozen=True)
class WorkerFile:
    """How a worker names one of its files.

    Attributes:
        filename: Without folders.
        subfolder: Below the folder that `kind` means.
        kind: `output`, `temp` or `input`.
    """

    filename: str
    subfolder: str = ""
    kind: str = "output"


class WorkerRoutes:
    """What a worker can be asked over HTTP.

    Every method may raise a WorkerFaultError when there is no proper answer.
    """

    def __init__(self, door: HttpDoor) -> None:
        """Use a door that its owner closes."""
        self._door = door

    async def post_prompt(self, body: Mapping[str, Any]) -> Receipt:
        """Queue a prompt. Never repeated by itself: the reply may be lost though it is queued.

        Raises:
            WorkflowInvalidError: The worker refused it, with every fault that it named.
            PromptTooLargeError: It is larger than the worker takes.
        """
        try:
            return read_receipt(await self._door.post_json("/prompt", body))
        except RefusedRequestError as exc:
            raise WorkflowInvalidError(faults=read_refusal(_read(exc.body))) from exc

    async def queue(self) -> QueueView:
        """Tell what runs and what waits."""
        return read_queue(await self._door.get_json("/queue"))

    async def history(self, prompt_id: str) -> HistoryEntry | None:
        """Tell how a prompt ended; None while it has not, or when it is forgotten."""
        answer = await self._door.get_json(f"/history/{quote(prompt_id, safe='')}")
        return read_history(answer, prompt_id)

    async def history_is_empty(self) -> bool:
        """Whether no prompt at all is remembered, as after a restart."""
        return not mapping(await self._door.get_json("/history", {"max_items": "1"}))

    async def forget(self, prompt_ids: Iterable[str]) -> None:
        """Delete entries of the history; the files stay."""
        await self._door.tell("/history", {"delete": list(prompt_ids)})

    async def unqueue(self, prompt_id: str) -> None:
        """Take a waiting prompt out of the queue; nothing happens to a running one."""
        await self._door.tell("/queue", {"delete": [prompt_id]})

    async def interrupt(self, prompt_id: str) -> None:
        """Ask to stop a prompt if it is the running one; may be lost, may come too late."""
        await self._door.tell("/interrupt", {"prompt_id": prompt_id})

    async def free(self, *, unload_models: bool, free_memory: bool) -> None:
        """Ask to unload models, and to drop all cached results of nodes (`free_memory`)."""
        await self._door.tell("/free", {"unload_models": unload_models, "free_memory": free_memory})

    async def stats(self) -> WorkerStats:
        """Ask how it is; answers even when its worker thread is dead."""
        return read_stats(await self._door.get_json("/system_stats"))

    async def object_info(self) -> dict[str, Any]:
        """Fetch all its node classes, some hundred kilobytes."""
        answer = await self._door.get_json("/object_info")
        if not isinstance(answer, dict) or not answer:
            raise WorkerAnswerInvalidError("an answer that is no object_info")
        return answer

    async def upload(self, name: str, data: bytes) -> str:
        """Put a file among the inputs, as it is.

        Args:
            name: Should be made from the content: the same name with other bytes is renamed.
            data: The file.

        Returns:
            The name to use in a graph, which may be another one.

        Raises:
            UploadRefusedError: The worker does not take it.
        """
        fields = {"type": "input", "subfolder": UPLOAD_FOLDER}
        try:
            answer = mapping(await self._door.post_file("/upload/image", name, data, fields))
        except (RefusedRequestError, PromptTooLargeError) as exc:
            raise UploadRefusedError(exc.detail) from exc
        stored, folder = answer.get("name"), answer.get("subfolder")
        if not isinstance(stored, str) or not stored:
            raise WorkerAnswerInvalidError("a reply to an upload without a name")
        return f"{folder}/{stored}" if folder else stored

    @asynccontextmanager
    async def view(self, file: WorkerFile, max_bytes: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Fetch a file piece by piece.

        Raises:
            OutputTooLargeError: It has more than `max_bytes`.
            OutputUnreadableError: The worker does not have it any more.
        """
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.kind}
        try:
            async with self._door.stream("/view", params) as response:
                if response.headers.get("Content-Type", "").startswith("text/html"):
                    # The server sends web pages as octet-stream: this is a proxy's.
                    raise WorkerAnswerInvalidError("a web page instead of a file")
                told = response.headers.get("Content-Length", "")
                if told.isdigit() and int(told) > max_bytes:
                    raise OutputTooLargeError(f"{file.filename}: {told} bytes")
                yield _bounded(response.content.iter_any(), max_bytes, file.filename)
        except (WorkerRefusedError, RefusedRequestError) as exc:
            raise OutputUnreadableError(f"{file.filename}: {exc.detail}") from exc


async def _bounded(pieces: AsyncIterator[bytes], max_bytes: int, name: str) -> AsyncIterator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise OutputTooLargeError(f"{name}: more than {max_bytes} bytes")
        yield piece


def _read(body: bytes) -> Any:
    try:
        return parse_json(body)
    except ValueError:
        return {}
