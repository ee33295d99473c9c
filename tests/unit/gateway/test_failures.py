"""What nobody foresaw, as the one who asked sees it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.app import create_app
from gateway.security import HEADERS
from gateway.settings import GatewaySettings
from servicekit.metrics import Meter
from servicekit.spans import NoTracer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", ["/api/fault", "/fault"])
async def test_unforeseen_faults_keep_the_headers_and_tell_nothing(
    tmp_path: Path, path: str
) -> None:
    """A 500 is as guarded as any other answer, has its id, and says nothing of what happened."""
    app = create_app(
        GatewaySettings(cookie_secret_file=tmp_path / "gateway.secret"), Meter(), NoTracer()
    )

    @app.get(path)
    async def fault() -> None:
        raise RuntimeError("secret")

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as browser:
        answer = await browser.get(path)
    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert answer.headers["x-request-id"]
    for name, value in HEADERS:
        assert answer.headers[name] == value
    assert "secret" not in answer.text
