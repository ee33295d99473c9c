"""The fake Ollama in a thread of its own, so that it outlives the event loop of a single test."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from tests.fakes.ollama import FakeOllama

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def running_ollama() -> Iterator[FakeOllama]:
    """Serve a fake Ollama; its switches may be turned from the test's thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    ollama = FakeOllama()
    asyncio.run_coroutine_threadsafe(ollama.__aenter__(), loop).result(timeout=10)
    try:
        yield ollama
    finally:
        asyncio.run_coroutine_threadsafe(ollama.__aexit__(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
