"""Decodes pictures in a child process that may die.

Image parsers are where hostile files strike. The child has a memory limit, every picture a time
limit; a child that dies or hangs is replaced, and the picture counts as not checked.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safety_service import image_worker

_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"))
_STOP_SECONDS = 2.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024  # a preview has 300 KiB


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is known of a picture.

    Attributes:
        width: In pixels.
        height: In pixels.
        preview: A small JPEG that shows all of it, without metadata; empty: not asked for, or it
            has too many frames to be shown.
    """

    width: int
    height: int
    preview: bytes = b""


class BrokenImageError(Exception):
    """The bytes are no picture that can be shown."""


class ImageTooLargeError(Exception):
    """The picture has more pixels or frames than are decoded."""


class DecoderFailedError(Exception):
    """The picture could not be judged: the child died, hung or has too many waiting.

    Attributes:
        why: A stable lower-case word.
    """

    def __init__(self, why: str) -> None:
        """Say why."""
        super().__init__(why)
        self.why = why


def sniff(content: bytes) -> str | None:
    """Name the format of a picture by its first bytes.

    Args:
        content: The file or its first 16 bytes.

    Returns:
        `PNG`, `JPEG`, `GIF`, `WEBP`, or None for anything else.
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return next((name for start, name in _SIGNATURES if content.startswith(start)), None)


class ImageDecoder:
    """Decodes one picture at a time in a child process; the others wait, within a bound."""

    def __init__(self, *, timeout_seconds: float = 10.0, max_waiting: int = 32) -> None:
        """Start nothing yet; the first picture starts the child.

        Args:
            timeout_seconds: For waiting and decoding together.
            max_waiting: How many pictures may wait; more are refused.
        """
        self._timeout_seconds = timeout_seconds
        self._max_waiting = max_waiting
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None

    async def decode(
        self, picture_format: str, content: bytes, *, preview: bool = False
    ) -> Decoded:
        """Decode a picture.

        Args:
            picture_format: What `sniff` said.
            content: The file.
            preview: Whether a preview is wanted.

        Returns:
            What is known of it.

        Raises:
            BrokenImageError: It cannot be decoded.
            ImageTooLargeError: It has too many pixels or frames.
            DecoderFailedError: It could not be found out.
        """
        if self._waiting >= self._max_waiting:
            raise DecoderFailedError("busy")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout_seconds), self._turn:
                answer = await self._ask(picture_format, content, preview)
        except TimeoutError as exc:
            raise DecoderFailedError("timeout") from exc
        finally:
            self._waiting -= 1
        if answer.get("fault") == "too_large":
            raise ImageTooLargeError
        if "fault" in answer:
            raise BrokenImageError
        shown = base64.b64decode(answer.get("preview", ""))
        return Decoded(int(answer["width"]), int(answer["height"]), shown)

    async def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        async with asyncio.timeout(_STOP_SECONDS):
            await child.wait()

    async def _ask(self, picture_format: str, content: bytes, preview: bool) -> dict[str, Any]:
        """One frame to the child and its answer; whatever goes wrong ends this child."""
        answered = False
        try:
            child = await self._running_child()
            assert child.stdin is not None and child.stdout is not None
            head = f"{picture_format} preview" if preview else picture_format
            child.stdin.write(f"{head}\n{len(content)}\n".encode() + content)
            await child.stdin.drain()
            line = await child.stdout.readline()
            answer: dict[str, Any] = json.loads(line)
            answered = True
        except (OSError, ValueError) as exc:
            raise DecoderFailedError("decoder_died") from exc
        finally:
            if not answered:  # half a frame may be under way: this child is of no more use
                await self.close()
        return answer

    async def _running_child(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(Path(image_worker.__file__)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_MAX_ANSWER_BYTES,
            )
        return self._child
