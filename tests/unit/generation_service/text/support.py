"""What the tests of the text backends share."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from generation_service.text.http_backend import HttpTextBackend, make_client
from generation_service.text.interface import (
    TextDelta,
    TextMessage,
    TextParameters,
    TextRequest,
    TextResult,
    TextTask,
)
from generation_service.text.limits import ProviderLimits
from generation_service.text.ollama import OllamaDialect
from generation_service.text.openai import OpenAIDialect
from servicekit.errors import ServiceError
from tests.fakes.openai import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from generation_service.text.http_backend import Dialect
    from generation_service.text.models_file import ModelTerms
    from tests.fakes.ollama import FakeOllama

    Events = AsyncGenerator[TextDelta | TextResult, None]

QUICK = ProviderLimits(
    connect_seconds=5,
    first_token_seconds=1.5,
    between_tokens_seconds=1.5,
    total_seconds=30,
    answer_chars=2000,
)
"""Limits for tests that wait for them to be crossed."""


def request(
    *texts: str, role: str = "interception", task: TextTask | None = None, **parameters: object
) -> TextRequest:
    """A request: the last text is the user's, those before the system's."""
    *rules, last = texts or ("Eine Blume",)
    messages = [TextMessage("system", rule) for rule in rules]
    messages.append(TextMessage("user", last))
    settings = TextParameters(**parameters)  # type: ignore[arg-type]
    return TextRequest(role=role, messages=tuple(messages), task=task, parameters=settings)


def backend_for(
    server: FakeOllama | FakeOpenAI,
    limits: ProviderLimits = QUICK,
    key: str = "",
    terms: Mapping[str, ModelTerms] | None = None,
) -> HttpTextBackend:
    """The backend that speaks to a fake server."""
    dialect: Dialect = OpenAIDialect() if isinstance(server, FakeOpenAI) else OllamaDialect()
    url = server.base_url if isinstance(server, FakeOpenAI) else server.url
    client = make_client(url, limits, api_key=key)
    return HttpTextBackend(dialect, client, limits, leaves_site=True, terms=terms)


async def answer_of(events: Events) -> tuple[str, TextResult]:
    """Follow a stream: what is on screen at its end, and the result."""
    shown = ""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, TextResult):
                return shown, event
            shown = event.text if event.restart else shown + event.text
    raise AssertionError("the stream ended without a result")


async def error_of(events: Events) -> ServiceError:
    """Follow a stream to the error that it ends with."""
    with pytest.raises(ServiceError) as failed:
        await answer_of(events)
    return failed.value
