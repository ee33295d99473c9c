"""Somebody who follows a run on the page: server-sent events, taken up where they broke off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from servicekit.plain import enum_word
from stellwerk.tracker.v1 import execution_pb2
from tests.drills.children import ENDS, PAUSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.drills.children import Child

END_WORDS = {enum_word(execution_pb2.ExecutionState.DESCRIPTOR, end) for end in ENDS}


class PageWatcher:
    """Follows the run of a child through whichever gateway answers.

    Attributes:
        shown: The items that were shown, in order.
        refusals: Statuses other than of the stream or "not now"; they end the watching.
    """

    def __init__(self, child: Child, gateways: Sequence[str], key: str) -> None:
        """Take the addresses of the gateways, and a key of somebody who may see all."""
        self.child = child
        self.shown: list[str] = []
        self.refusals: list[int] = []
        self._gateways = gateways
        self._choice = random.Random(child.number)
        self._headers = {"Authorization": f"Bearer {key}"}
        self._ended = False

    async def watch(self) -> None:
        """Follow it to the end."""
        async with httpx.AsyncClient(timeout=60) as browser:
            while not self._ended:
                if self.child.execution_id:
                    with contextlib.suppress(httpx.TransportError):  # browsers come again
                        await self._follow(browser)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self, browser: httpx.AsyncClient) -> None:
        gateway = self._choice.choice(self._gateways)
        url = f"http://{gateway}/api/executions/{self.child.execution_id}/events"
        async with browser.stream("GET", url, headers=self._headers) as response:
            if response.status_code == HTTPStatus.OK:
                await self._read(response.aiter_lines())
            elif response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                self.refusals.append(response.status_code)
                self._ended = True

    async def _read(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            name, _, value = line.partition(":")
            if name == "id":
                self._headers["Last-Event-ID"] = value.strip()
            if name != "data":
                continue
            event = json.loads(value)
            if event.get("event") == "item_recorded":
                self.shown.append(event["item_recorded"]["item"]["item_id"])
            if event.get("event") == "state_changed":
                self._ended = event["state_changed"]["state"] in END_WORDS
