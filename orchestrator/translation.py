"""Translations that were made already, kept for a while in this process.

Two outputs of one run often need the same translation, and a class often writes the same idea. The
cache is bounded, and whoever asks while a translation is being made waits for that one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.ports import TextAnswer

Key = tuple[str, str, str, str]


def translation_key(text: str, source: str, target: str, model: str) -> Key:
    """Return the key of a translation: the text's digest, both languages, and who translates."""
    return hashlib.sha256(text.encode()).hexdigest(), source, target, model


class TranslationCache:
    """The newest translations, each made once."""

    def __init__(self, size: int = 1_000) -> None:
        self._size = size
        self._made: OrderedDict[Key, TextAnswer] = OrderedDict()
        self._locks: dict[Key, asyncio.Lock] = {}

    async def get_or_make(self, key: Key, make: Callable[[], Awaitable[TextAnswer]]) -> TextAnswer:
        """Return the translation of a key, making it if nobody has.

        Args:
            key: From `translation_key`.
            make: Makes it; what it raises goes to this caller alone, the next one tries again.
        """
        if (made := self._made.get(key)) is not None:
            self._made.move_to_end(key)
            return made
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if (made := self._made.get(key)) is not None:
                    return made
                made = await make()
                self._made[key] = made
                while len(self._made) > self._size:
                    self._made.popitem(last=False)
                return made
        finally:
            if not lock.locked():
                self._locks.pop(key, None)
