"""Layer 6: judges pictures, without ever decoding one in this process.

A picture is fetched, its format told from its bytes, decoded in a child and then, as the small copy
that the child made, shown to a guard model where the level asks for one. Without a guard the
policy's word for a missing one decides; whatever could not be found out never counts as safe.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from safety_service.decoding import (
    BrokenImageError,
    Decoded,
    DecoderFailedError,
    ImageDecoder,
    ImageTooLargeError,
    sniff,
)
from safety_service.guards.interface import GuardFailedError, Rating
from safety_service.guards.outcome import guard_blocks, guard_reasons
from safety_service.model import (
    IMAGE_FORMAT,
    IMAGE_GUARD,
    CheckRun,
    Decision,
    Direction,
    Level,
    Message,
    OnFailure,
    Outcome,
    Verdict,
)
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safety_service.guards.desk import GuardDesk
    from safety_service.guards.interface import GuardAnswer
    from safety_service.model import Reason
    from safety_service.policy import CheckRule, Policy

MAX_IMAGE_BYTES = 20 * 1024 * 1024
_FIELD = "media.sha256"
_NOT_CONFIGURED = "not_configured"
_UNKNOWN = Decoded(0, 0)


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
    size: Decoded


class ImageChecker:
    """Judges pictures by the policy in force."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        media: MediaReader,
        decoder: ImageDecoder,
        guard: GuardDesk | None,
    ) -> None:
        """Use a policy and a guard.

        Args:
            policy: Returns the one in force.
            media: Where pictures come from.
            decoder: Decodes them; closed by its owner.
            guard: Asks the guard; None: this deployment has none.
        """
        self._policy = policy
        self._media = media
        self._decoder = decoder
        self._guard = guard

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
        policy = self._policy()  # the same for all checks, also when it changes meanwhile
        rules = policy.rules(level, "image", direction)
        rule = rules.get(IMAGE_GUARD)
        started = time.perf_counter()
        try:
            wanted = photographic and rule is not None and self._guard is not None
            picture = await self._examine(sha256, preview=wanted)
            run = _run(IMAGE_FORMAT, rules, Outcome.PASSED)
        except (MediaUnreachableError, DecoderFailedError) as exc:
            picture = _UNKNOWN
            run = _run(IMAGE_FORMAT, rules, Outcome.FAILED, exc.why)
        runs = [replace(run, duration_seconds=time.perf_counter() - started)]
        reasons: tuple[Reason, ...] = ()
        if rule is not None:
            said = await self._ask(sha256, picture, level, policy.version, photographic)
            reasons, run = _guard_run(said, rule, level)
            runs.append(run)
        return ImageVerdict(_verdict(policy, sha256, level, runs, reasons), picture)

    async def _ask(
        self, sha256: str, picture: Decoded, level: Level, policy_version: str, photographic: bool
    ) -> _Asked:
        """Ask the guard, or say why not."""
        if not photographic:
            return _Asked(Outcome.SKIPPED, "not_photographic")
        if not picture.width:
            return _Asked(Outcome.SKIPPED, "not_reached")
        if self._guard is None:
            return _Asked(Outcome.FAILED, _NOT_CONFIGURED)
        if not picture.preview:
            return _Asked(Outcome.FAILED, "too_many_frames")
        started = time.perf_counter()
        try:
            answer = await self._guard.judge_picture(sha256, picture.preview, level, policy_version)
        except GuardFailedError as exc:
            return _Asked(Outcome.FAILED, exc.why, seconds=time.perf_counter() - started)
        return _Asked(Outcome.PASSED, answer=answer, seconds=time.perf_counter() - started)

    async def _examine(self, sha256: str, *, preview: bool) -> Decoded:
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
            return await self._decoder.decode(picture_format, content, preview=preview)
        except BrokenImageError as exc:
            raise _refused(
                "BROKEN_IMAGE", "The picture cannot be read; save it again or choose another."
            ) from exc
        except ImageTooLargeError as exc:
            raise _refused(
                "IMAGE_TOO_LARGE", "The picture may have 40 million pixels at most."
            ) from exc


@dataclass(frozen=True, slots=True)
class _Asked:
    """What became of asking the guard; `answer` is set only when it gave one."""

    outcome: Outcome
    detail: str = ""
    answer: GuardAnswer | None = None
    seconds: float = 0.0


def _guard_run(asked: _Asked, rule: CheckRule, level: Level) -> tuple[tuple[Reason, ...], CheckRun]:
    """What the guard has against the picture, and the check as it is told."""
    run = CheckRun(IMAGE_GUARD, rule.layer, asked.outcome, asked.detail, asked.seconds)
    answer = asked.answer
    if answer is None:
        return (), run
    run = replace(run, model=answer.model)
    if guard_blocks(answer, rule, level):
        return guard_reasons(answer, rule), replace(run, outcome=Outcome.HIT)
    return (), replace(run, detail="" if answer.rating is Rating.SAFE else answer.rating.value)


def _verdict(
    policy: Policy, sha256: str, level: Level, runs: Sequence[CheckRun], reasons: tuple[Reason, ...]
) -> Verdict:
    """Put the verdict together; a refusal is said before an outage."""
    failed = [run for run in runs if run.outcome is Outcome.FAILED]
    blocking = [run for run in failed if _consequence(policy, run, level) is OnFailure.BLOCK]
    decision, message = Decision.ALLOW, Message()
    if reasons:
        decision, message = Decision.BLOCK, policy.refusal(reasons[0].category, level)
    elif blocking:
        decision, message = Decision.UNAVAILABLE, policy.outage(level)
    elif failed:
        message = policy.warning(level)
    return Verdict(
        decision=decision,
        level=level,
        reasons=reasons,
        checks=tuple(runs),
        policy_version=policy.version,
        content_sha256=sha256,
        message=message,
        warning=bool(failed) and decision is Decision.ALLOW,
    )


def _consequence(policy: Policy, run: CheckRun, level: Level) -> OnFailure:
    rule = policy.checks[run.name]
    if run.detail == _NOT_CONFIGURED and rule.on_missing is not None:
        return rule.on_missing[level]
    return rule.on_failure[level]


def _run(name: str, rules: dict[str, CheckRule], outcome: Outcome, detail: str = "") -> CheckRun:
    return CheckRun(name=name, layer=rules[name].layer, outcome=outcome, detail=detail)


def _refused(reason: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, message, field=_FIELD)
