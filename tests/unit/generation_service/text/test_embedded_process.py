"""The child process: crashes, hangs and stops, with a child that loads no model."""

from __future__ import annotations

import asyncio
import functools
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from generation_service.text.embedded.backend import EmbeddedBackend
from generation_service.text.embedded.library import Library
from generation_service.text.embedded.process import ModelProcess, ProcessOptions
from generation_service.text.embedded.prompts import PromptWriter
from generation_service.text.embedded.weights import own_weights
from generation_service.text.interface import TextTask
from generation_service.text.limits import ProviderLimits
from tests.support import eventually
from tests.unit.generation_service.text.support import answer_of, error_of, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generation_service.text.interface import TextRequest

LIMITS = ProviderLimits(first_token_seconds=2, between_tokens_seconds=2, total_seconds=20)
CHILD = ProcessOptions(
    program=Path(__file__).with_name("small_child.py"), longest_pause_seconds=0.05
)


def saying(text: str) -> TextRequest:
    """A request to rewrite a text."""
    return request(text, task=TextTask(text, "", "de", config_id="own_rule"))


def make_process(weights: Path, limits: ProviderLimits = LIMITS) -> ModelProcess:
    """A process with the small child."""
    return ModelProcess(functools.partial(own_weights, weights), limits, CHILD)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[ModelProcess]:
    """A process that is looked after and starts when it is wanted."""
    weights = tmp_path / "small.gguf"
    weights.write_bytes(b"GGUF")
    process = make_process(weights)
    process.open(start=False)
    yield process
    await process.close()


@pytest.fixture
async def backend(process: ModelProcess) -> EmbeddedBackend:
    """The backend with the small child, up and running."""
    await process.connection()
    return EmbeddedBackend(process, PromptWriter(Library.load()), "small", LIMITS)


async def test_the_child_starts_when_it_is_wanted(process: ModelProcess) -> None:
    """Lazy: no process until somebody asks."""
    assert process.pid is None
    await process.connection()
    assert process.pid is not None


async def test_an_answer_is_streamed_and_told_with_what_was_sent(backend: EmbeddedBackend) -> None:
    """The text goes on; the result holds the prompt, the parameters and the usage."""
    shown, result = await answer_of(backend.generate("small", saying("Eine Blume!")))
    assert shown == result.text == "Eine Blume ein Hut mit Feder."
    assert "".join(m.content for m in result.messages).endswith("Ergebnis: Eine Blume")
    assert result.parameters["max_tokens"] == 56
    assert (result.prompt_token_count, result.completion_token_count) == (9, 2)


async def test_a_crash_costs_one_request_and_nothing_else(
    process: ModelProcess, backend: EmbeddedBackend
) -> None:
    """A native crash is MODEL_UNAVAILABLE for its request; the next one finds a new child."""
    before = process.pid
    error = await error_of(backend.generate("small", saying("Ein crash")))
    assert error.reason == "MODEL_UNAVAILABLE"
    _, result = await answer_of(backend.generate("small", saying("Eine Blume")))
    assert result.text
    assert process.pid != before


async def test_a_hung_child_is_replaced(process: ModelProcess, backend: EmbeddedBackend) -> None:
    """Time-outs in a row end in a new child, and each is told as MODEL_TIMEOUT."""
    before = process.pid
    errors = await asyncio.gather(
        *(error_of(backend.generate("small", saying("Ein hang"))) for _ in range(3))
    )
    assert {error.reason for error in errors} == {"MODEL_TIMEOUT"}
    await eventually(lambda: process.pid not in (None, before))


async def test_weights_that_cannot_be_loaded_are_told_at_once(tmp_path: Path) -> None:
    """Neither a missing nor a broken file keeps a request waiting."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    for weights in (tmp_path / "none.gguf", broken):
        process = make_process(weights)
        process.open(start=True)
        backend = EmbeddedBackend(process, PromptWriter(Library.load()), "small", LIMITS)
        error = await error_of(backend.generate("small", saying("Eine Blume")))
        assert error.reason == "MODEL_UNAVAILABLE"
        assert str(tmp_path) not in error.message
        await backend.close()


async def test_closing_leaves_no_process_and_no_file(process: ModelProcess) -> None:
    """After `close` the child is gone, and asking says that it is."""
    await process.connection()
    pid = process.pid
    assert pid is not None
    await process.close()
    assert not psutil.pid_exists(pid)


async def test_only_the_one_model_is_there(backend: EmbeddedBackend) -> None:
    """Another name is not answered by the model that happens to be loaded."""
    error = await error_of(backend.generate("big", saying("Eine Blume")))
    assert error.reason == "MODEL_NOT_FOUND"


async def test_a_caller_that_leaves_frees_its_place(backend: EmbeddedBackend) -> None:
    """Leaving in the middle lets the next one in."""
    for _ in range(5):
        async with aclosing(backend.generate("small", saying("Eine Blume"))) as events:
            await anext(events)
    _, result = await answer_of(backend.generate("small", saying("Eine Blume")))
    assert result.finish_reason == "stop"


async def test_what_a_rule_writes_is_marked(backend: EmbeddedBackend) -> None:
    """A secret language is written without the model, and the result says so."""
    task = TextTask("Ein Hund", "", "de", config_id="pig_latin")
    shown, result = await answer_of(backend.generate("small", request("Ein Hund", task=task)))
    assert shown == result.text == "Eibein Hubund"
    assert (result.finish_reason, result.messages) == ("composed", ())
