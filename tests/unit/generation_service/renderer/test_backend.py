"""The embedded backend: what it accepts, and what happens when its child fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil
import pytest

from generation_service.backends.embedded.backend import EmbeddedBackend
from generation_service.backends.embedded.picture import render_picture
from generation_service.backends.embedded.process import CHILD_MODULE, RenderPool
from generation_service.backends.embedded.variants import Variant
from generation_service.backends.interface import (
    AttemptFailedError,
    MediaModelNotFoundError,
    MediaParameters,
    MediaRequest,
)
from servicekit.errors import InvalidArgumentError
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORDER = {"model": "picture-b", "prompt": "a cat", "width": 64, "height": 64, "seed": 3}
LONG_ORDER = {**ORDER, "width": 2048, "height": 2048}


@pytest.fixture
async def pool() -> AsyncIterator[RenderPool]:
    """One child process."""
    pool = RenderPool(1, limit_seconds=60)
    yield pool
    await pool.close()


def children() -> list[psutil.Process]:
    """The renderer's processes that this process started."""
    mine = psutil.Process().children()  # not those of a deployment that another test started
    return [p for p in mine if p.is_running() and CHILD_MODULE in p.cmdline()]


def request(model: str = "picture-a", media_type: str = "image", **asked: object) -> MediaRequest:
    """A request for a picture."""
    return MediaRequest(model, media_type, "a cat", MediaParameters(**asked))  # type: ignore[arg-type]


async def test_a_child_renders_what_the_renderer_renders(pool: RenderPool) -> None:
    """The way through the child process changes no byte."""
    direct = render_picture(Variant.PRINTED, "a cat", width=64, height=64, seed=3)
    assert await pool.render(ORDER) == direct


async def test_a_killed_child_fails_its_order_and_is_replaced(pool: RenderPool) -> None:
    """A crash costs one attempt, not the service."""
    await pool.render(ORDER)
    (child,) = children()
    idle_seconds = child.cpu_times().user
    render = asyncio.create_task(pool.render(LONG_ORDER))
    # A child that dies before it has its order is replaced without a word.
    await eventually(lambda: child.cpu_times().user > idle_seconds + 0.05)
    child.kill()
    with pytest.raises(AttemptFailedError) as failed:
        await render
    assert failed.value.reason == "RENDERER_FAILED"
    assert failed.value.worth_retrying
    assert await pool.render(ORDER)


async def test_an_order_that_takes_too_long_is_killed() -> None:
    """A hanging renderer is stopped at its limit."""
    pool = RenderPool(1, limit_seconds=0.05)
    with pytest.raises(AttemptFailedError) as failed:
        await pool.render(LONG_ORDER)
    assert failed.value.reason == "RENDERER_TIMEOUT"
    assert not children()
    await pool.close()


async def test_a_cancelled_order_stops_its_child(pool: RenderPool) -> None:
    """Who leaves does not leave a render behind."""
    render = asyncio.create_task(pool.render(LONG_ORDER))
    await eventually(children)
    render.cancel()
    with pytest.raises(asyncio.CancelledError):
        await render
    await eventually(lambda: not children())
    assert await pool.render(ORDER)


async def test_a_nonsensical_order_is_not_tried_again(pool: RenderPool) -> None:
    """What fails for the job's sake fails everywhere."""
    with pytest.raises(AttemptFailedError) as failed:
        await pool.render({**ORDER, "model": "picture-z"})
    assert not failed.value.worth_retrying


async def test_a_plan_settles_every_parameter(pool: RenderPool) -> None:
    """What is not asked for gets a default, a random seed among them, and is returned."""
    backend = EmbeddedBackend(pool, make_seed=lambda: 2**63 - 1)
    assert backend.plan(request()).applied == {"width": 768, "height": 768, "seed": 2**63 - 1}
    explicit = backend.plan(request(width=64, height=2048, seed=0))
    assert explicit.applied == {"width": 64, "height": 2048, "seed": 0}
    assert explicit.model == "embedded/picture-a"


async def test_what_is_not_applied_is_warned_about(pool: RenderPool) -> None:
    """A parameter that the renderer does not know is never silently dropped."""
    backend = EmbeddedBackend(pool, make_seed=lambda: 1)
    plan = backend.plan(request(others={"steps": 20}, extra={"sparkle": True}))
    assert len(plan.warnings) == 2
    assert "steps" in plan.warnings[0]
    assert "sparkle" in plan.warnings[1]


async def test_all_faults_of_a_request_are_named_at_once(pool: RenderPool) -> None:
    """A caller mends everything in one go."""
    backend = EmbeddedBackend(pool, make_seed=lambda: 1)
    with pytest.raises(InvalidArgumentError) as refused:
        backend.plan(request(width=63, height=2049, seed=2**64, extra=None))
    assert refused.value.reason == "PARAMETER_OUT_OF_RANGE"
    assert {field for field, _ in refused.value.violations} == {
        "parameters.width",
        "parameters.height",
        "parameters.seed",
        "parameters.extra_json",
    }


@pytest.mark.parametrize(("model", "media_type"), [("picture-z", "image"), ("picture-a", "video")])
async def test_unknown_renderers_are_not_found(
    pool: RenderPool, model: str, media_type: str
) -> None:
    """A renderer makes its own medium only."""
    with pytest.raises(MediaModelNotFoundError):
        EmbeddedBackend(pool, make_seed=lambda: 1).plan(request(model, media_type))
