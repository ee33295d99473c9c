"""A ComfyUI server as a worker."""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.check import check_workflow
from generation_service.backends.comfyui.errors import ComfyUIError, PromptReleasedError
from generation_service.backends.comfyui.graph import BoundWorkflow
from generation_service.backends.comfyui.prompt import (
    Deadlines,
    Previewed,
    Progressed,
    Prompt,
)
from generation_service.backends.comfyui.workflow import OutputMapping
from generation_service.backends.interface import InputMedia, MadeFile, Preview
from generation_service.queue.drivers import Made, WorkBegun, WorkerDownError, WorkerFacts
from generation_service.queue.jobs import Progress, RunFacts
from generation_service.workers.comfyui_backend import ComfyUIBackend, input_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from generation_service.backends.comfyui.catalogue import NodeCatalogue
    from generation_service.backends.comfyui.client import ComfyUIWorker
    from generation_service.backends.comfyui.prompt import Happening, OutputFile, PromptResult
    from generation_service.backends.interface import MediaPlan
    from generation_service.queue.drivers import Report
    from generation_service.queue.jobs import Job

CATALOGUE_SECONDS = 300.0
"""How long a worker's list of nodes and models is believed; it answers at length and slowly."""
_LEARNING_SECONDS = 2.0
_REMEMBERED_CHECKS = 5000


class ComfyUIDriver:
    """One ComfyUI server; see `WorkerDriver`."""

    backend = ComfyUIBackend.name
    choosy = True

    def __init__(
        self,
        worker: ComfyUIWorker,
        address: str,
        read_input: Callable[[str], Awaitable[bytes]],
        deadlines: Deadlines,
    ) -> None:
        """Build the driver and open the worker's socket.

        Args:
            worker: The server; closed with the driver.
            address: Where it is reached.
            read_input: Reads a file of the media store by its hash. Raises AttemptFailedError.
            deadlines: Of phases for which a job has none of its own.
        """
        self.name = worker.name
        self.address = address
        self.grace_seconds = deadlines.wait_seconds + 2 * worker_grace(deadlines)
        self._worker = worker
        self._read_input = read_input
        self._deadlines = deadlines
        self._vram_bytes = 0
        self._catalogue: NodeCatalogue | None = None
        self._learned_time: float | None = None
        self._learning: asyncio.Task[NodeCatalogue] | None = None
        self._lacks: dict[str, tuple[str, ...]] = {}
        worker.start()

    async def check(self) -> WorkerFacts:
        """See `WorkerDriver.check`."""
        try:
            stats = await self._worker.stats()
            if self._worker.unfinished:
                raise WorkerDownError("An old prompt still has to be ended.")
            await self._learn()
        except ComfyUIError as exc:
            self._learned_time = None  # it may come back as another one
            raise WorkerDownError(str(exc)) from exc
        self._vram_bytes = stats.vram_total_bytes
        return WorkerFacts(
            version=stats.version,
            device=stats.device,
            vram_total_bytes=stats.vram_total_bytes,
            vram_free_bytes=stats.vram_free_bytes,
        )

    def lacks(self, plan: MediaPlan) -> tuple[str, ...]:
        """See `WorkerDriver.lacks`."""
        if 0 < self._vram_bytes < plan.vram_bytes:
            return (f"It needs a device with {plan.vram_bytes / 1e9:.0f} GB of memory.",)
        if self._catalogue is None:
            return ()
        key = str(plan.work.get("sha256"))
        if key not in self._lacks:
            if len(self._lacks) >= _REMEMBERED_CHECKS:
                self._lacks.clear()
            report = check_workflow(_bound(plan, plan.work["graph"]), self._catalogue)
            self._lacks[key] = tuple(str(fault) for fault in report.faults)
        return self._lacks[key]

    async def learn(self, plan: MediaPlan) -> None:
        """See `WorkerDriver.learn`; its list of nodes and models tells of every plan."""

    async def run(self, job: Job, attempt_id: str, report: Report) -> Made:
        """See `WorkerDriver.run`."""
        prompt = await self._prompt(job, attempt_id)
        return await self._follow(self._worker.run, prompt, report)

    async def resume(self, job: Job, attempt_id: str, report: Report) -> Made:
        """See `WorkerDriver.resume`."""
        prompt = self._prompt_of(job, attempt_id, job.plan.work["graph"])
        return await self._follow(self._worker.resume, prompt, report)

    async def cancel(self, attempt_id: str) -> None:
        """See `WorkerDriver.cancel`."""
        await self._worker.cancel(attempt_id)

    async def forget(self, attempt_id: str) -> None:
        """The client has had the entry deleted once its files were fetched."""

    def release(self, attempt_id: str) -> None:
        """See `WorkerDriver.release`."""
        self._worker.release(attempt_id)

    async def close(self) -> None:
        """See `WorkerDriver.close`."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        await self._worker.close()

    async def _learn(self) -> None:
        """Ask from time to time which nodes and models it has; the answer may take a while."""
        now = time.monotonic()
        if self._learned_time is not None and now - self._learned_time < CATALOGUE_SECONDS:
            return
        if self._learning is None:
            self._learning = asyncio.create_task(self._worker.catalogue())
        await asyncio.wait({self._learning}, timeout=_LEARNING_SECONDS)
        if self._learning.done():
            learning, self._learning = self._learning, None
            self._catalogue = learning.result()
            self._learned_time = time.monotonic()
            self._lacks.clear()
        elif self._catalogue is None:
            raise WorkerDownError("It has not told yet what it can do.")

    async def _follow(
        self,
        begin: Callable[[Prompt, _Files, Callable[[Happening], None]], Awaitable[PromptResult]],
        prompt: Prompt,
        report: Report,
    ) -> Made:
        files = _Files()
        try:
            result = await begin(prompt, files, _Teller(report).tell)
        except PromptReleasedError as exc:
            raise asyncio.CancelledError from exc
        facts = RunFacts(
            backend_job_id=result.prompt_id,
            workflow_sha256=result.workflow_sha256,
            outputs_reused=result.outputs_reused,
            load_seconds=result.durations.load,
            warnings=result.warnings,
            texts=tuple(each.text for each in result.texts),
        )
        return Made(files.in_order(), facts)

    async def _prompt(self, job: Job, attempt_id: str) -> Prompt:
        """The prompt, with its input files on the worker."""
        names: dict[str, str] = {}
        for fields in _inputs(job.plan):
            data = await self._read_input(fields.sha256)
            name = await self._worker.upload(data, fields.filename)
            names[input_token(fields.sha256)] = name
        graph: Any = job.plan.work["graph"]
        return self._prompt_of(job, attempt_id, _with_names(graph, names) if names else graph)

    def _prompt_of(self, job: Job, attempt_id: str, graph: object) -> Prompt:
        plan, usual = job.plan, self._deadlines
        return Prompt(
            workflow=_bound(plan, graph),
            prompt_id=attempt_id,
            deadlines=Deadlines(
                wait_seconds=usual.wait_seconds,
                load_seconds=plan.load_seconds or usual.load_seconds,
                run_seconds=plan.run_seconds or usual.run_seconds,
            ),
            previews=job.previews,
        )


def worker_grace(deadlines: Deadlines) -> float:
    """Seconds by which the queue's clock runs behind the client's own."""
    return 30.0 + 0.1 * deadlines.load_seconds


class _Files:
    """Collects what a prompt made; an `OutputSink`."""

    def __init__(self) -> None:
        self._files: dict[int, bytes] = {}

    async def store(self, file: OutputFile, pieces: AsyncIterator[bytes]) -> None:
        """Keep a file once it is whole."""
        data = bytearray()
        async for piece in pieces:
            data += piece
        self._files[file.number] = bytes(data)

    def in_order(self) -> tuple[MadeFile, ...]:
        """The files by their number."""
        return tuple(MadeFile(self._files[number]) for number in sorted(self._files))


class _Teller:
    """Says in the queue's words what the client tells."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._begun = False
        self._last = Progress(0.0, "")

    def tell(self, news: Happening) -> None:
        """Pass it on."""
        if isinstance(news, Progressed):
            if not news.loading and not self._begun:
                self._begun = True
                self._report(WorkBegun())
            self._last = Progress(news.percent, news.node)
            self._report(self._last)
        elif isinstance(news, Previewed):
            preview = Preview(news.preview.data, news.preview.mime_type)
            self._report(Progress(self._last.percent, self._last.node, preview))


def _bound(plan: MediaPlan, graph: Any) -> BoundWorkflow:
    """The plan's workflow as the client takes it."""
    outputs: Any = plan.work["outputs"]
    return BoundWorkflow(
        graph=graph,
        outputs=tuple(OutputMapping(**fields) for fields in outputs),
        applied=plan.applied,
        warnings=(),
        sha256=str(plan.work["sha256"]),
    )


def _inputs(plan: MediaPlan) -> list[InputMedia]:
    inputs: Any = plan.work["inputs"]
    return [InputMedia(**fields) for fields in inputs]


def _with_names(graph: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The graph with the worker's names in place of the tokens."""
    named: dict[str, Any] = copy.deepcopy(dict(graph))
    for node in named.values():
        for key, value in node["inputs"].items():
            if isinstance(value, str) and value in names:
                node["inputs"][key] = names[value]
    return named
