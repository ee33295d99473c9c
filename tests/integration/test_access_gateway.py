"""Who gets in at the gateway, and how often; no service behind it is needed to find out."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.server import running
from gateway.settings import GatewaySettings
from servicekit.api_keys import create_key
from servicekit.principals import Role
from tests.fakes.identity_provider import AUDIENCE, IdentityProvider
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "a-secret-of-the-services"


@contextlib.asynccontextmanager
async def gateway(folder: Path, **settings: Any) -> AsyncIterator[str]:
    """Run a gateway whose neighbours are away; yields its URL."""
    nobody = f"127.0.0.1:{free_port()}"
    addresses = dict.fromkeys(
        ("orchestrator_address", "generation_address", "tracker_address"), nobody
    )
    configured = GatewaySettings.model_validate(
        {
            "listen_address": "127.0.0.1:0",
            "cookie_secret_file": folder / "gateway.secret",
            "grace_seconds": 1,
            **addresses,
            **settings,
        }
    )
    async with running(configured) as address:
        yield f"http://127.0.0.1:{address.rpartition(':')[2]}"


async def statuses(browser: httpx.AsyncClient, method: str, path: str, times: int) -> list[int]:
    """Return the statuses of the same request, sent again and again."""
    return [(await browser.request(method, path, json={})).status_code for _ in range(times)]


async def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    """A key's holder gets a 429 with Retry-After; somebody else with another key does not."""
    keys = tmp_path / "keys.json"
    lea, leo = [create_key(keys, role=Role.LEARNER, user=name) for name in ("lea", "leo")]
    async with (
        gateway(tmp_path, api_keys_file=keys, calls_per_minute=2) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as browser,
    ):
        browser.headers["authorization"] = f"Bearer {lea}"
        assert await statuses(browser, "GET", "/api/configs", 2) == [503, 503]
        refused = await browser.get("/api/configs")
        assert (refused.status_code, refused.json()["reason"]) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        browser.headers["authorization"] = f"Bearer {leo}"
        assert await statuses(browser, "GET", "/api/configs", 1) == [503]


async def test_browsers_without_a_cookie_share_their_address(tmp_path: Path) -> None:
    """Throwing cookies away does not make anybody new; a browser that keeps its own is counted."""
    async with gateway(tmp_path, service_key=SECRET, works_per_minute=2) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as browser:
            assert await statuses(browser, "GET", "/api/configs", 4) == [503] * 4
        found = []
        for _ in range(2):
            async with httpx.AsyncClient(base_url=url, timeout=60) as browser:
                found += await statuses(browser, "POST", "/api/executions/x/cancel", 1)
        assert found == [503, 429]
        async with httpx.AsyncClient(base_url=url, timeout=60) as browser:
            assert await statuses(browser, "GET", "/api/configs", 1) == [429]


async def test_on_ones_own_machine_there_is_no_limit(tmp_path: Path) -> None:
    """Without any credentials nobody is counted."""
    async with (
        gateway(tmp_path, calls_per_minute=1) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as browser,
    ):
        assert await statuses(browser, "GET", "/api/configs", 3) == [503, 503, 503]


@pytest.mark.parametrize(("listen_address", "status"), [("127.0.0.1:0", 503), ("0.0.0.0:0", 401)])
async def test_only_ones_own_machine_is_open(
    tmp_path: Path, listen_address: str, status: int
) -> None:
    """Where others can reach the page, nobody is staff without a key."""
    async with (
        gateway(tmp_path, listen_address=listen_address, service_key=SECRET) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as browser,
    ):
        assert await statuses(browser, "GET", "/api/workshop/queue", 1) == [status]


async def test_tokens_get_in_by_the_header_and_not_by_the_form(tmp_path: Path) -> None:
    """A login outlasts a token, and a service's key is nobody's: the form takes neither."""
    file = tmp_path / "oidc.json"
    async with IdentityProvider() as login:
        file.write_text(json.dumps({"issuer": login.issuer, "audience": AUDIENCE}))
        token = login.token(stellwerk_role="teacher")
        async with (
            gateway(tmp_path, oidc_file=file, service_key=SECRET) as url,
            httpx.AsyncClient(base_url=url, timeout=60) as browser,
        ):
            shown = {"authorization": f"Bearer {token}"}
            assert (await browser.get("/api/workshop/queue", headers=shown)).status_code == 503
            forged = {"authorization": f"Bearer {token[:-8]}AAAAAAAA"}
            refused = await browser.get("/api/workshop/queue", headers=forged)
            assert (refused.status_code, refused.json()["reason"]) == (401, "TOKEN_INVALID")
            for word in (token[:500], SECRET):
                answer = await browser.post("/login", data={"api_key": word})
                assert answer.status_code == 403
            assert (await browser.get("/api/workshop/queue")).status_code == 401
