"""How often one person may call: each for themselves, with an honest time to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from servicekit.access import load_access_table
from servicekit.api_keys import create_key
from servicekit.errors import Code, RemoteError, ResourceExhaustedError, remote_error
from servicekit.principals import Role
from servicekit.rates import Rate, works
from servicekit.settings import ServiceSettings
from tests.support import local_settings, serving
from tests.unit.servicekit.probe import probe, unary_stream, unary_unary

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a-secret-of-the-services"


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def wait_of(rate: Rate, caller: str) -> float:
    """Return how long a caller must wait; 0: may call."""
    try:
        rate.take(caller)
    except ResourceExhaustedError as exc:
        assert exc.retry_seconds is not None
        return exc.retry_seconds
    return 0.0


def test_a_minute_at_once_then_one_after_the_other() -> None:
    """Sixty a minute may come at once; then each has to wait a second, exactly as told."""
    clock = Clock()
    rate = Rate(60, clock=clock)
    assert [wait_of(rate, "lea") for _ in range(60)] == [0.0] * 60
    assert wait_of(rate, "lea") == pytest.approx(1.0)
    clock.now += 0.4
    assert wait_of(rate, "lea") == pytest.approx(0.6)
    clock.now += 0.6
    assert wait_of(rate, "lea") == 0.0
    assert wait_of(rate, "lea") == pytest.approx(1.0)
    clock.now += 60
    assert [wait_of(rate, "lea") for _ in range(60)] == [0.0] * 60


def test_nobody_pays_for_another() -> None:
    """Who has used up everything keeps nobody else from calling."""
    rate = Rate(1, clock=Clock())
    assert wait_of(rate, "lea") == 0.0
    assert wait_of(rate, "lea") > 0
    assert wait_of(rate, "leo") == 0.0


def test_no_limit_remembers_nobody() -> None:
    """Zero means any number, and costs no memory."""
    rate = Rate(0)
    for _ in range(1000):
        rate.take("lea")
    assert len(rate) == 0


def test_the_memory_is_bounded() -> None:
    """Of more callers than fit, the one who was quiet for longest is forgotten first."""
    rate = Rate(1, max_callers=3, clock=Clock())
    for name in ("lea", "leo", "tom", "ada"):
        rate.take(name)
    assert len(rate) == 3
    assert wait_of(rate, "ada") > 0
    assert wait_of(rate, "lea") == 0.0


def test_every_work_is_an_rpc() -> None:
    """The list of what costs much names RPCs that exist."""
    assert works() <= set(load_access_table().rights)


async def test_a_server_refuses_who_calls_too_often(tmp_path: Path) -> None:
    """A key's holder is told when to come back; others, and neighbours, are not touched."""
    keys = tmp_path / "keys.json"
    lea, leo = [create_key(keys, role=Role.LEARNER, user=name) for name in ("lea", "leo")]
    settings = ServiceSettings.model_validate(
        {
            "listen_address": "127.0.0.1:0",
            "grace_seconds": 1,
            "api_keys_file": keys,
            "service_key": SECRET,
            "calls_per_minute": 2,
        }
    )
    async with serving(probe(), settings) as channel:

        async def refusals(key: str) -> list[RemoteError]:
            found = []
            for call in (unary_unary, unary_stream, unary_unary):
                try:
                    await call(channel, metadata=[("authorization", f"Bearer {key}")])
                except grpc.aio.AioRpcError as exc:
                    found.append(remote_error(exc))
            return found

        [refused] = await refusals(lea)
        assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert refused.retry_seconds is not None
        assert 0 < refused.retry_seconds <= 60
        assert len(await refusals(leo)) == 1
        for _ in range(3):
            assert await refusals(SECRET) == []


async def test_who_is_alone_needs_no_turn() -> None:
    """Without any credentials there is one person, at this machine, and no limit."""
    settings = local_settings().model_copy(update={"calls_per_minute": 1})
    async with serving(probe(), settings) as channel:
        answers = [await unary_unary(channel) for _ in range(5)]
    assert len(answers) == 5
