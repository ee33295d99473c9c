"""Loads Ollama's models ahead of the first request, as long as they fit into its memory together.

The first child of the morning would otherwise wait for gigabytes to load. Loading more than fits
is worse than loading nothing: Ollama then unloads one model for the other, over and over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import structlog
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger()

OVERHEAD = 1.2
"""Context and buffers beside the weights; Ollama's own estimates lie at 10 to 25 %."""


class _Model(BaseModel):
    name: str
    size: int


class _Models(BaseModel):
    models: list[_Model] = []


async def preload(
    client: httpx.AsyncClient, models: Iterable[str], memory_bytes: float, limit_seconds: float
) -> tuple[str, ...]:
    """Load models in turn, leaving out what is not there or no longer fits.

    Args:
        client: Pool of the Ollama server.
        models: Names without the backend's, the most wanted first.
        memory_bytes: Memory of its GPUs.
        limit_seconds: Longest time for loading one of them.

    Returns:
        Those that are loaded now. What goes wrong is logged: models load with the first request.
    """
    loaded: list[str] = []
    try:
        sizes = await _sizes(client)
        for model in dict.fromkeys(models):
            size = sizes.get(model if ":" in model else f"{model}:latest")
            if size is None:
                log.warning("model_not_pulled", model=model, hint=f"ollama pull {model}")
            elif size * OVERHEAD > memory_bytes:
                log.info("model_not_preloaded", model=model, size_bytes=size)
            else:
                # A request without a prompt loads a model and answers when that is done.
                answer = await client.post(
                    "/api/generate", json={"model": model}, timeout=limit_seconds
                )
                answer.raise_for_status()
                memory_bytes -= size * OVERHEAD
                loaded.append(model)
    except (httpx.HTTPError, ValidationError) as exc:
        log.warning("preload_failed", error=type(exc).__name__)
    log.info("models_preloaded", models=loaded)
    return tuple(loaded)


async def _sizes(client: httpx.AsyncClient) -> dict[str, int]:
    """Sizes in bytes of the models that were pulled, by name."""
    answer = await client.get("/api/tags", timeout=10)
    answer.raise_for_status()
    return {model.name: model.size for model in _Models.model_validate_json(answer.content).models}
