"""Showing a machine's text to minors while it is written: sentence by sentence, each checked first.

What is checked is always the whole text up to the end of the sentence, so that what nobody may see
cannot hide in two sentences. Checks run beside the model and one at a time: a slow check means
longer pieces, never a queue.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SENTENCE_END = re.compile(r"""[.!?…]["'”“»«)\]]*(?=\s)|[。！？]|\n""")


def finished_sentences(text: str) -> str:
    """Return the text up to the end of its last sentence that is surely over."""
    end = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
    return text[:end]


class SentenceRelease:
    """Takes the pieces of one answer and shows what has passed. Use it as an async context.

    Attributes:
        shown: What was shown so far.
    """

    def __init__(
        self, passes: Callable[[str], Awaitable[bool]], show: Callable[[str, bool], None]
    ) -> None:
        """Begin with nothing shown.

        Args:
            passes: Checks a text; False stops showing for good.
            show: Shows a piece; with True, what came before is to be forgotten.
        """
        self.shown = ""
        self._passes = passes
        self._show = show
        self._text = ""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to check beside whoever writes."""
        self._task = asyncio.create_task(self._release())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop; what has not passed by now is for the check of the whole text."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    def write(self, piece: str, restart: bool) -> None:
        """Take the next piece; with `restart` the model began anew."""
        if restart:
            self._text = ""
            if self.shown:
                self.shown = ""
                self._show("", True)
        self._text += piece
        if _SENTENCE_END.search(self._text, max(0, len(self._text) - len(piece) - 3)):
            self._wake.set()

    async def _release(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            ready = finished_sentences(self._text)
            if len(ready) <= len(self.shown):
                continue
            if not await self._passes(ready):
                return
            if self._text.startswith(ready):  # it may have begun anew meanwhile
                self._show(ready[len(self.shown) :], False)
                self.shown = ready
