"""Layer 6: judges pictures, without ever decoding one in this process.

A picture is fetched, its format told from its bytes, decoded in a child and then shown to a guard
model where the level asks for one. This build has no guard yet, so the policy's word for a missing
one decides; whatever could not be found out never counts as safe.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from safety_service.decoding import (
    BrokenImageError,
    DecoderFailedError,
    ImageDecoder,
    ImageTooLargeError,
    Size,
    sniff,
)
from safety_service.model import (
    CheckRun,
    Decision,
    Direction,
    Level,
    Message,
    OnFailure,
    Outcome,
    Verdict,
)
from safety_service.policy import IMAGE_FORMAT, IMAGE_GUARD
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety_service.policy import CheckRule, Policy

MAX_IMAGE_BYTES = 20 * 1024 * 1024
_FIELD = "media.sha256"
_NOT_CONFIGURED = "not_configured"
_UNKNOWN_SIZE = Size(0, 0)


class MediaUnreachableError(Exception):
    """The picture could not be fetched.

    Attributes:
        why: A stable lower-case word.
    """

    def __init__(self, why: str) -> None:
        """Say why."""
        super().__init__(why)
        self.why = why


class MediaTooLargeError(Exception):
    """The file has more bytes than were asked for."""


class MediaReader(Protocol):
    """Fetches stored media, also unreleased ones."""

    async def read(self, sha256: str, max_bytes: int) -> bytes:
        """Fetch a file.

        Args:
            sha256: Its hash, 64 lower-case hexadecimal digits.
            max_bytes: Stop and raise when there are more.

        Returns:
            Its bytes, whose hash is `sha256`.

        Raises:
            MediaUnreachableError: It cannot be had.
            MediaTooLargeError: It is larger.
        """


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """A verdict about a picture.

    Attributes:
        verdict: The verdict.
        size: Width and height, 0 when the picture could not be read.
    """

    verdict: Verdict
    size: Size


class ImageChecker:
    """Judges pictures by one policy."""

    def __init__(self, policy: Policy, media: MediaReader, decoder: ImageDecoder) -> None:
        """Use a policy.

        Args:
            policy: The loaded policy.
            media: Where pictures come from.
            decoder: Decodes them; closed by its owner.
        """
        self._policy = policy
        self._media = media
        self._decoder = decoder

    async def check(
        self, sha256: str, level: Level, direction: Direction, *, photographic: bool
    ) -> ImageVerdict:
        """Judge a stored picture.

        Args:
            sha256: The hash of its bytes.
            level: For whom it must be fit.
            direction: Who made it.
            photographic: Whether it may look like a photograph; if not, no guard is needed.

        Returns:
            The verdict; UNAVAILABLE when it could not be fetched or decoded for our own reasons.

        Raises:
            InvalidArgumentError: The bytes are no picture that may be used.
        """
        rules = self._policy.rules(level, "image", direction)
        started = time.perf_counter()
        try:
            size = await self._examine(sha256)
            run = _run(IMAGE_FORMAT, rules, Outcome.PASSED)
        except (MediaUnreachableError, DecoderFailedError) as exc:
            size = _UNKNOWN_SIZE
            run = _run(IMAGE_FORMAT, rules, Outcome.FAILED, exc.why)
        runs = [replace(run, duration_seconds=time.perf_counter() - started)]
        if IMAGE_GUARD in rules:
            runs.append(_guard_run(rules, photographic=photographic, examined=bool(size.width)))
        return ImageVerdict(self._verdict(sha256, level, runs), size)

    async def _examine(self, sha256: str) -> Size:
        """Fetch and decode; the bytes and whatever EXIF they carry are dropped afterwards."""
        try:
            content = await self._media.read(sha256, MAX_IMAGE_BYTES)
        except MediaTooLargeError as exc:
            raise _refused("IMAGE_TOO_LARGE", "The picture may have 20 MB at most.") from exc
        if hashlib.sha256(content).hexdigest() != sha256:
            raise MediaUnreachableError("wrong_content")
        picture_format = sniff(content)
        if picture_format is None:
            raise _refused(
                "UNSUPPORTED_IMAGE_FORMAT", "The picture must be a PNG, JPEG, WebP or GIF file."
            )
        try:
            return await self._decoder.decode(picture_format, content)
        except BrokenImageError as exc:
            raise _refused(
                "BROKEN_IMAGE", "The picture cannot be read; save it again or choose another."
            ) from exc
        except ImageTooLargeError as exc:
            raise _refused(
                "IMAGE_TOO_LARGE", "The picture may have 40 million pixels at most."
            ) from exc

    def _verdict(self, sha256: str, level: Level, runs: Sequence[CheckRun]) -> Verdict:
        failed = [run for run in runs if run.outcome is Outcome.FAILED]
        blocking = [run for run in failed if self._consequence(run, level) is OnFailure.BLOCK]
        decision = Decision.UNAVAILABLE if blocking else Decision.ALLOW
        message = Message()
        if failed:
            tell = self._policy.outage if blocking else self._policy.warning
            message = tell(level)
        return Verdict(
            decision=decision,
            level=level,
            reasons=(),
            checks=tuple(runs),
            policy_version=self._policy.version,
            content_sha256=sha256,
            message=message,
            warning=bool(failed) and not blocking,
        )

    def _consequence(self, run: CheckRun, level: Level) -> OnFailure:
        rule = self._policy.checks[run.name]
        if run.detail == _NOT_CONFIGURED and rule.on_missing is not None:
            return rule.on_missing[level]
        return rule.on_failure[level]


def _guard_run(rules: dict[str, CheckRule], *, photographic: bool, examined: bool) -> CheckRun:
    if not photographic:
        return _run(IMAGE_GUARD, rules, Outcome.SKIPPED, "not_photographic")
    if not examined:
        return _run(IMAGE_GUARD, rules, Outcome.SKIPPED, "not_reached")
    return _run(IMAGE_GUARD, rules, Outcome.FAILED, _NOT_CONFIGURED)


def _run(name: str, rules: dict[str, CheckRule], outcome: Outcome, detail: str = "") -> CheckRun:
    return CheckRun(name=name, layer=rules[name].layer, outcome=outcome, detail=detail)


def _refused(reason: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, message, field=_FIELD)
