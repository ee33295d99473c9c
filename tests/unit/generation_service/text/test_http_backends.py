"""Ollama and OpenAI-compatible servers, against real servers that can misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from generation_service.text.costs import Cost, Price
from generation_service.text.http_backend import HttpTextBackend, make_client
from generation_service.text.limits import ProviderLimits
from generation_service.text.models_file import ModelTerms
from generation_service.text.ollama import OllamaDialect
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.fakes.text_server import Fault, echo_digest
from tests.support import eventually, free_port
from tests.unit.generation_service.text.support import (
    QUICK,
    answer_of,
    backend_for,
    error_of,
    request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=[FakeOllama, FakeOpenAI], ids=["ollama", "openai"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[FakeOllama | FakeOpenAI]:
    """Each of the servers in turn."""
    async with request.param() as server:
        yield server


@pytest.fixture
async def backend(server: FakeOllama | FakeOpenAI) -> AsyncIterator[HttpTextBackend]:
    """The backend for `server`."""
    backend = backend_for(server)
    yield backend
    await backend.close()


async def test_the_answer_is_streamed_and_counted(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend
) -> None:
    """Deltas add up to the result, which names the model, the usage and the times."""
    server.answer = "Ein Hut\naus Käse. "
    shown, result = await answer_of(backend.generate("small", request("Regel", "Text hier")))
    assert shown.strip() == result.text == "Ein Hut\naus Käse."
    assert result.model == f"{backend.name}/small"
    assert (result.prompt_token_count, result.completion_token_count) == (3, 4)
    assert 0 < result.first_token_seconds <= result.run_seconds
    assert result.finish_reason == "stop"


async def test_ollama_gets_exactly_what_the_caller_says() -> None:
    """Messages and parameters reach Ollama byte for byte, and nothing else does."""
    async with FakeOllama() as server:
        backend = backend_for(server)
        asked = request(
            "Du bist {{DADA}}.\n\n",
            "Grüße „Ä“ \\n\t{}",
            temperature=0.7,
            top_p=0.95,
            max_tokens=123,
            stop=("\n\n", "ENDE"),
            seed=2**40,
            keep_alive_seconds=600,
        )
        _, result = await answer_of(backend.generate("gemma3:4b", asked))
        await backend.close()
    assert server.requests[0].body.decode() == (
        '{"model": "gemma3:4b", "messages": ['
        '{"role": "system", "content": "Du bist {{DADA}}.\\n\\n"}, '
        '{"role": "user", "content": "Grüße „Ä“ \\\\n\\t{}"}], "stream": true, '
        '"options": {"temperature": 0.7, "top_p": 0.95, "num_predict": 123, '
        '"stop": ["\\n\\n", "ENDE"], "seed": 1099511627776}, "keep_alive": "600s"}'
    )
    assert result.messages == asked.messages
    assert result.parameters["num_predict"] == 123


async def test_an_openai_server_gets_exactly_what_the_caller_says() -> None:
    """Messages, parameters and the key reach the server, and nothing else does."""
    async with FakeOpenAI() as server:
        backend = backend_for(server, key="sk-test")
        asked = request("Sei kurz.", "Hallo", temperature=0.0, top_p=1.0, max_tokens=9, seed=7)
        await answer_of(backend.generate("mistralai/small", asked))
        await backend.close()
    assert server.requests[0].json == {
        "model": "mistralai/small",
        "messages": [
            {"role": "system", "content": "Sei kurz."},
            {"role": "user", "content": "Hallo"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 9,
        "seed": 7,
    }
    assert server.requests[0].headers["authorization"] == "Bearer sk-test"


async def test_unset_parameters_are_left_to_the_server(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend
) -> None:
    """A request without parameters names none."""
    await answer_of(backend.generate("m", request("Hallo")))
    assert set(server.requests[0].json) <= {"model", "messages", "stream", "stream_options"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.HANG_BEFORE, "MODEL_TIMEOUT"),
        (Fault.HANG_BETWEEN, "MODEL_TIMEOUT"),
        (Fault.ERROR_500, "MODEL_UNAVAILABLE"),
        (Fault.NO_KEY_401, "MODEL_UNAVAILABLE"),
        (Fault.BUSY_429, "MODEL_BUSY"),
        (Fault.CUT, "MODEL_UNAVAILABLE"),
        (Fault.NONSENSE, "MODEL_ANSWER_INVALID"),
        (Fault.EMPTY, "MODEL_ANSWER_INVALID"),
        (Fault.ERROR_INSIDE, "MODEL_UNAVAILABLE"),
        (Fault.ENDLESS, "MODEL_ANSWER_INVALID"),
        (Fault.ENDLESS_LINE, "MODEL_ANSWER_INVALID"),
    ],
)
async def test_every_way_to_fail_has_its_reason(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend, fault: Fault, reason: str
) -> None:
    """A server's misbehaviour becomes one documented reason, and the next call works."""
    server.next_faults.append(fault)
    error = await error_of(backend.generate("m", request()))
    assert error.reason == reason
    assert "Blume" not in error.message
    _, result = await answer_of(backend.generate("m", request()))
    assert result.text == server.answer


async def test_a_busy_server_says_when_to_come_back(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend
) -> None:
    """`Retry-After` is handed on."""
    server.fault = Fault.BUSY_429
    assert (await error_of(backend.generate("m", request()))).retry_seconds == 7


async def test_a_model_that_is_not_there_is_not_found(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend
) -> None:
    """A 404 names the model."""
    server.models = {"other"}
    error = await error_of(backend.generate("m", request()))
    assert (error.reason, error.resource) == ("MODEL_NOT_FOUND", ("model", f"{backend.name}/m"))


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Nobody listens: MODEL_UNAVAILABLE at once."""
    client = make_client(f"http://127.0.0.1:{free_port()}", QUICK)
    backend = HttpTextBackend(OllamaDialect(), client, QUICK, leaves_site=False)
    assert (await error_of(backend.generate("m", request()))).reason == "MODEL_UNAVAILABLE"
    await backend.close()


async def test_leaving_closes_the_stream_to_the_model(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend
) -> None:
    """A caller that leaves after a token leaves no model writing."""
    server.fault = Fault.HANG_BETWEEN
    async with aclosing(backend.generate("m", request())) as events:
        await anext(events)
    await eventually(lambda: server.left_count == 1)


async def test_a_full_line_is_refused_at_once() -> None:
    """With every place and every seat taken the next request is told to come back."""
    limits = ProviderLimits(concurrent=1, waiting=1, first_token_seconds=30)
    async with FakeOllama() as server:
        server.fault = Fault.HANG_BEFORE
        backend = backend_for(server, limits)
        tasks = [asyncio.create_task(answer_of(backend.generate("m", request()))) for _ in range(2)]
        await eventually(lambda: len(server.requests) == 1)
        error = await error_of(backend.generate("m", request()))
        assert error.reason == "MODEL_BUSY"
        assert error.retry_seconds
        server.fault = None
        _, result = await answer_of(backend.generate("another", request()))
        assert result.text == server.answer
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await backend.close()


async def test_many_at_once_get_their_own_answers(
    server: FakeOllama | FakeOpenAI, backend: HttpTextBackend
) -> None:
    """Forty requests at once through two places: every answer belongs to its question."""
    server.answer = echo_digest
    texts = [f"Text Nummer {number}" for number in range(40)]
    answers = await asyncio.gather(
        *(answer_of(backend.generate("m", request(text))) for text in texts)
    )
    for text, (_, result) in zip(texts, answers, strict=True):
        assert result.text == echo_digest({"messages": [{"content": text}]})


async def test_neither_addresses_nor_texts_are_logged(
    server: FakeOllama | FakeOpenAI,
    backend: HttpTextBackend,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """httpx stays silent at INFO, and no log line holds a learner's text."""
    with caplog.at_level(logging.INFO):
        server.next_faults.append(Fault.ERROR_500)
        await error_of(backend.generate("m", request("geheime Idee")))
        await answer_of(backend.generate("m", request("geheime Idee")))
    captured = capsys.readouterr()
    everything = caplog.text + captured.out + captured.err
    assert server.url not in everything
    assert "geheime Idee" not in everything
    assert json.dumps("geheime Idee") not in everything


async def test_an_answer_tells_what_it_cost() -> None:
    """By the price in the models file, unless the server says what it charged."""
    price = Price(per_million_prompt_tokens=2, per_million_completion_tokens=10, currency="EUR")
    terms = {"paid": ModelTerms(price=price)}
    async with FakeOpenAI("one two three four") as server:
        backend = backend_for(server, terms=terms)
        _, free = await answer_of(backend.generate("free", request("a b c")))
        _, counted = await answer_of(backend.generate("paid", request("a b c")))
        server.cost = 0.25
        _, told = await answer_of(backend.generate("paid", request("a b c")))
        await backend.close()
    assert free.cost is None
    assert counted.cost is not None
    assert counted.cost.amount == pytest.approx(46e-6)
    assert counted.cost.currency == "EUR"
    assert told.cost == Cost(0.25, "USD")


async def test_a_model_may_have_fewer_places_than_its_provider() -> None:
    """With one place the second request waits for the end of the first."""
    limits = ProviderLimits(concurrent=8)
    async with FakeOllama("one two three") as server:
        server.token_delay_seconds = 0.02
        backend = backend_for(server, limits, terms={"narrow": ModelTerms(concurrent=1)})
        seen: list[str] = []

        async def ask(name: str) -> None:
            async with aclosing(backend.generate("narrow", request(name))) as events:
                async for _ in events:
                    seen.append(name)

        await asyncio.gather(ask("first"), ask("second"))
        await backend.close()
    assert seen == sorted(seen)
    assert len(set(seen)) == 2


async def test_a_model_that_ollama_lacks_is_named_with_the_command_that_fetches_it() -> None:
    """The message says what to type."""
    async with FakeOllama(models=["other"]) as server:
        backend = backend_for(server)
        error = await error_of(backend.generate("gemma3:4b", request()))
        await backend.close()
    assert "ollama pull gemma3:4b" in error.message
