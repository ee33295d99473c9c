"""The keys with which an identity provider signs, fetched when they are needed.

Providers renew their keys without telling. So a token with an unknown key makes us look again, but
not more often than every half minute: anybody can invent key ids, and must be able neither to make
us a nuisance to the provider nor to let other callers wait.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import structlog

from servicekit.errors import UnavailableError
from servicekit.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

FETCH_SECONDS = 5.0
WAIT_SECONDS = 15.0
"""Longest wait of a caller for a fetch, which asks twice at most."""
MAX_ANSWER_BYTES = 1024 * 1024
KEEP_SECONDS = 3600.0
"""Keys are fetched again after this, so that a withdrawn one does not count for ever."""
STALE_SECONDS = 24 * 3600.0
"""How long keys still count while the provider cannot be reached."""
PAUSE_SECONDS = 30.0
"""Shortest time between two fetches, whether they worked or not."""


class SigningKeys:
    """The keys by their ids. Belongs to one event loop."""

    def __init__(self, issuer: str, url: str = "", *, pause_seconds: float = PAUSE_SECONDS) -> None:
        """Remember where they are; nothing is fetched yet.

        Args:
            issuer: Says where its keys are, at `/.well-known/openid-configuration`.
            url: Where they are; empty: as the issuer says.
            pause_seconds: Shortest time between two fetches.
        """
        self._issuer = issuer.rstrip("/")
        self._url = url
        self._pause_seconds = pause_seconds
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return a key; None: the provider has no such key.

        Args:
            key_id: The `kid` of a token; None where it has none, which is enough if there is but
                one key.

        Raises:
            UnavailableError: IDENTITY_PROVIDER_UNAVAILABLE: there are no keys to go by.
        """
        looking = self._look(self._age() if key_id in self._keys else float("inf"))
        if looking is not None and key_id not in self._keys:
            # Not awaited itself: a caller who leaves takes nobody along.
            await asyncio.wait({looking}, timeout=WAIT_SECONDS)
        if self._age() > STALE_SECONDS:
            raise UnavailableError(
                "IDENTITY_PROVIDER_UNAVAILABLE",
                "The login service cannot be reached; try again.",
                retry_seconds=self._pause_seconds,
            )
        return self._keys.get(key_id)

    def _age(self) -> float:
        return time.monotonic() - self._fetched

    def _look(self, age: float) -> asyncio.Task[None] | None:
        """Return the fetch that runs; begin one if what there is has this age and may be old."""
        rested = time.monotonic() - self._tried >= self._pause_seconds
        if self._fetching is None and rested and age > KEEP_SECONDS:
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            keys = await asyncio.to_thread(self._read)
        except (OSError, ValueError, HTTPException, jwt.PyJWTError) as exc:
            log.warning("signing_keys_not_fetched", error_type=type(exc).__name__)
        else:
            self._keys = keys
            self._fetched = time.monotonic()
            log.info("signing_keys_fetched", key_count=len(keys))
        finally:
            self._tried = time.monotonic()
            self._fetching = None

    def _read(self) -> dict[str | None, jwt.PyJWK]:
        url = self._url
        if not url:
            url = str(_answer(f"{self._issuer}/.well-known/openid-configuration")["jwks_uri"])
        usable = [key for key in jwt.PyJWKSet.from_dict(_answer(url)).keys if _signs(key)]
        keys: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in usable}
        if len(usable) == 1:
            keys[None] = usable[0]
        return keys


def _signs(key: jwt.PyJWK) -> bool:
    """Tell whether a key may sign tokens: one for encrypting, or a shared secret, may not."""
    return key.public_key_use in (None, "sig") and key.key_type != "oct"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The provider answers where it is, or not at all."""

    def redirect_request(self, *args: Any) -> None:
        return None


def check_url(url: str) -> str:
    """Return `url` if keys may come from there.

    Raises:
        ValueError: Somebody between could put other keys in their place, or it is none of HTTP.
    """
    parts = urlsplit(url)
    here = bool(parts.hostname) and is_loopback(f"{parts.hostname}:0")
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise ValueError("use https: whoever is between could hand us other keys")
    return url


def _answer(url: str) -> dict[str, Any]:
    """Fetch a JSON object. Blocks.

    Raises:
        OSError: It cannot be fetched (`urllib.error.URLError` is one).
        ValueError: It is no JSON object, too large, or not to be fetched from there.
    """
    check_url(url)
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(url, timeout=FETCH_SECONDS) as response:
        data = response.read(MAX_ANSWER_BYTES + 1)
    if len(data) > MAX_ANSWER_BYTES:
        raise ValueError("the answer is too large")
    answer = json.loads(data)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no object")
    return answer
