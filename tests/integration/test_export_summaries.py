"""Summaries through the real generation service, with a stand-in for Ollama."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from generation_service.service import registration
from generation_service.settings import GenerationSettings
from tests.fakes.ollama import FakeOllama
from tests.fakes.text_server import Fault
from tests.integration.guarded import models_file
from tests.support import serving
from tracker_service.export_workflow.summary.machine import MachineSummarizer
from tracker_service.export_workflow.summary.model import Language, Method, SummaryTask
from tracker_service.generation_client import GenerationTexts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TASK = SummaryTask({"visitors": 128, "favourite": "Der Wal"}, Language.GERMAN, safety_level="kids")
ROLE = {"model": "ollama/gemma3:4b"}


@contextlib.asynccontextmanager
async def summarizer(folder: Path, **options: object) -> AsyncIterator[MachineSummarizer]:
    """A summarizer beside a generation service."""
    settings = GenerationSettings(
        listen_address="127.0.0.1:0",
        data_dir=folder,
        grace_seconds=1,
        **options,  # type: ignore[arg-type]
    )
    async with serving(registration(settings), settings) as channel:
        yield MachineSummarizer(GenerationTexts(channel, timeout_seconds=60))


async def test_the_model_of_the_role_writes_the_summary(tmp_path: Path) -> None:
    """It is asked with the data, and the summary names it with its tokens."""
    models = models_file(tmp_path, summary=ROLE)
    async with (
        FakeOllama("Es kamen 128 Gäste. Beliebt war „Der Wal“.") as ollama,
        summarizer(tmp_path, models_file=models, ollama_url=ollama.url) as machine,
    ):
        summary = await machine.summarise(TASK)
        (request,) = ollama.requests
    assert summary.text == "Es kamen 128 Gäste. Beliebt war „Der Wal“."
    assert summary.metadata.extraction_method is Method.GENERATIVE
    assert summary.metadata.ai_model == "ollama/gemma3:4b"
    assert summary.metadata.confidence_score == 1.0
    assert (summary.metadata.tokens_used or 0) > 0
    assert "visitors: 128" in request.prompt


async def test_a_model_that_fails_leaves_an_extract(tmp_path: Path) -> None:
    """The summary says which error it was."""
    models = models_file(tmp_path, summary=ROLE)
    async with (
        FakeOllama() as ollama,
        summarizer(tmp_path, models_file=models, ollama_url=ollama.url) as machine,
    ):
        ollama.fault = Fault.ERROR_500
        summary = await machine.summarise(TASK)
    assert summary.metadata.extraction_method is Method.EXTRACTIVE
    assert summary.metadata.fallback_reason == "MODEL_UNAVAILABLE"
    assert "128" in summary.text


async def test_the_embedded_profile_extracts(tmp_path: Path) -> None:
    """As shipped there is no model for summaries, and the summary says so."""
    async with summarizer(tmp_path, embedded_preload=False) as machine:
        summary = await machine.summarise(TASK)
    assert summary.metadata.fallback_reason == "NO_MODEL"
    assert summary.metadata.ai_model == ""


async def test_data_of_children_stay_on_the_site(tmp_path: Path) -> None:
    """A model outside is not asked for a level that the deployment has not named."""
    models = models_file(tmp_path, summary={"model": "openai/somewhere"})
    text = models.read_text().replace('"leaves_site": false', '"leaves_site": true')
    models.write_text(text)
    async with summarizer(tmp_path, models_file=models) as machine:
        summary = await machine.summarise(TASK)
    assert summary.metadata.fallback_reason == "OFFSITE_NOT_ALLOWED"
