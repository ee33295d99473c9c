"""Pictures: formats, limits, and a decoder that may die."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import psutil
import pytest
from PIL import Image

from safety_service.decoding import (
    BrokenImageError,
    DecoderFailedError,
    ImageDecoder,
    ImageTooLargeError,
    sniff,
)
from safety_service.images import (
    MAX_IMAGE_BYTES,
    ImageChecker,
    MediaTooLargeError,
    MediaUnreachableError,
)
from safety_service.model import IMAGE_FORMAT, Decision, Direction, Level, OnFailure, Outcome
from servicekit.errors import InvalidArgumentError
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from safety_service.images import ImageVerdict
    from safety_service.policy import Policy


class MemoryMedia:
    """Media in memory, under their real or another hash."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reachable = True

    def add(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = content
        return sha256

    async def read(self, sha256: str, max_bytes: int) -> bytes:
        if not self.reachable or sha256 not in self.files:
            raise MediaUnreachableError("unreachable")
        if len(self.files[sha256]) > max_bytes:
            raise MediaTooLargeError
        return self.files[sha256]


def picture(picture_format: str = "PNG", size: tuple[int, int] = (8, 4)) -> bytes:
    """A small picture."""
    stream = BytesIO()
    Image.new("RGB", size, "orange").save(stream, picture_format)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises more pixels than it has."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.fixture
async def decoder() -> AsyncIterator[ImageDecoder]:
    """A decoder, closed afterwards."""
    decoder = ImageDecoder()
    yield decoder
    await decoder.close()


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_image_worker(child)]


def _is_image_worker(process: psutil.Process) -> bool:
    try:
        return any("image_worker" in part for part in process.cmdline())
    except psutil.Error:  # it ended while we looked
        return False


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_the_four_formats_are_decoded(decoder: ImageDecoder, picture_format: str) -> None:
    """Each allowed format is told from its bytes and decoded."""
    content = picture(picture_format)
    assert sniff(content) == picture_format
    size = await decoder.decode(picture_format, content)
    assert (size.width, size.height) == (8, 4)


@pytest.mark.parametrize(
    "content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"BM", b"RIFF1234"]
)
def test_anything_else_is_no_picture(content: bytes) -> None:
    """SVG and whatever else is not one of the four formats is not recognised."""
    assert sniff(content) is None


async def test_broken_and_huge_pictures_are_told_apart(decoder: ImageDecoder) -> None:
    """A cut file is broken, too many pixels are too many before they are decoded."""
    with pytest.raises(BrokenImageError):
        await decoder.decode("PNG", picture()[:40])
    with pytest.raises(BrokenImageError):
        await decoder.decode("JPEG", picture("PNG"))
    with pytest.raises(ImageTooLargeError):
        await decoder.decode("PNG", bomb(50_000, 50_000))
    assert await decoder.decode("PNG", picture())


async def test_a_dead_child_is_replaced(decoder: ImageDecoder) -> None:
    """A child that was killed costs nothing but the next start."""
    await decoder.decode("PNG", picture())
    (child,) = _children()
    child.kill()
    await eventually(lambda: not _children() or child.status() == psutil.STATUS_ZOMBIE)

    async def works_again() -> bool:
        try:
            return bool(await decoder.decode("PNG", picture()))
        except DecoderFailedError:
            return False

    await eventually(works_again)


async def test_a_hanging_child_is_ended() -> None:
    """A picture that takes too long is given up, and so is the child that had it."""
    decoder = ImageDecoder(timeout_seconds=3)  # a busy machine starts a child within
    try:
        stuck = None
        await eventually(lambda: _decodes(decoder))
        (stuck,) = _children()
        stuck.suspend()
        with pytest.raises(DecoderFailedError) as caught:
            await decoder.decode("PNG", picture())
        assert caught.value.why == "timeout"
        await eventually(lambda: not stuck.is_running() or stuck not in _children())
    finally:
        await decoder.close()


async def _decodes(decoder: ImageDecoder) -> bool:
    try:
        return bool(await decoder.decode("PNG", picture()))
    except DecoderFailedError:
        return False


async def test_too_many_waiting_are_refused(decoder: ImageDecoder) -> None:
    """The queue has a bound; who finds it full hears so at once."""
    small = ImageDecoder(max_waiting=1)
    try:
        answers = await asyncio.gather(
            *(small.decode("PNG", picture()) for _ in range(3)), return_exceptions=True
        )
    finally:
        await small.close()
    assert sum(isinstance(answer, DecoderFailedError) for answer in answers) == 2


async def _check(
    policy: Policy,
    media: MemoryMedia,
    decoder: ImageDecoder,
    sha256: str,
    level: Level,
    *,
    photographic: bool = True,
) -> ImageVerdict:
    checker = ImageChecker(lambda: policy, media, decoder, guard=None)
    return await checker.check(sha256, level, Direction.INPUT, photographic=photographic)


async def test_without_a_guard_the_policy_decides(policy: Policy, decoder: ImageDecoder) -> None:
    """Photographs stop minors, pass adults with a warning; drawn pictures need no guard."""
    media = MemoryMedia()
    sha256 = media.add(picture())
    for level in Level:
        minor = level in (Level.KIDS, Level.YOUTH)
        photo = (await _check(policy, media, decoder, sha256, level)).verdict
        assert photo.decision is (Decision.UNAVAILABLE if minor else Decision.ALLOW)
        assert photo.warning is (level is Level.ADULT)
        assert bool(photo.message.en) is (level is not Level.OFF)
        drawn = await _check(policy, media, decoder, sha256, level, photographic=False)
        assert drawn.verdict.decision is Decision.ALLOW and not drawn.verdict.warning
        assert (drawn.size.width, drawn.size.height) == (8, 4)


async def test_unreachable_media_are_never_allowed(policy: Policy, decoder: ImageDecoder) -> None:
    """What cannot be fetched, or is not what was asked for, is UNAVAILABLE at every level."""
    media = MemoryMedia()
    sha256 = media.add(picture())
    media.files["0" * 64] = picture()
    for level in Level:
        for name in ("f" * 64, "0" * 64):
            result = await _check(policy, media, decoder, name, level, photographic=False)
            assert result.verdict.decision is Decision.UNAVAILABLE
            assert result.verdict.checks[0].outcome is Outcome.FAILED
    media.reachable = False
    result = await _check(policy, media, decoder, sha256, Level.OFF)
    assert result.verdict.decision is Decision.UNAVAILABLE


@pytest.mark.parametrize("fault", ["busy", "timeout", "decoder_died"])
async def test_a_failing_decoder_follows_the_fault_table(policy: Policy, fault: str) -> None:
    """What the decoder could not look at is UNAVAILABLE wherever the policy says so: everywhere."""
    media = MemoryMedia()
    sha256 = media.add(picture())
    decoder = ImageDecoder(
        timeout_seconds=0.0 if fault == "timeout" else 10.0,
        max_waiting=0 if fault == "busy" else 32,
    )
    try:
        for level in Level:
            if fault == "decoder_died":
                result = await _check_with_a_dying_child(policy, media, decoder, sha256, level)
            else:
                result = await _check(policy, media, decoder, sha256, level, photographic=False)
            assert policy.checks[IMAGE_FORMAT].on_failure[level] is OnFailure.BLOCK
            assert result.verdict.decision is Decision.UNAVAILABLE
            assert result.verdict.checks[0].outcome is Outcome.FAILED
            assert result.verdict.checks[0].detail == fault
            assert result.verdict.message.en and not result.verdict.reasons
    finally:
        await decoder.close()


async def _check_with_a_dying_child(
    policy: Policy, media: MemoryMedia, decoder: ImageDecoder, sha256: str, level: Level
) -> ImageVerdict:
    await eventually(lambda: _decodes(decoder))
    (child,) = _children()
    child.suspend()
    checking = asyncio.create_task(
        _check(policy, media, decoder, sha256, level, photographic=False)
    )
    await asyncio.sleep(0)  # the picture is with the child now
    child.kill()
    return await checking


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (picture()[:40], "BROKEN_IMAGE"),
        (b"<svg/>", "UNSUPPORTED_IMAGE_FORMAT"),
        (bomb(50_000, 50_000), "IMAGE_TOO_LARGE"),
        (picture() + b"\0" * MAX_IMAGE_BYTES, "IMAGE_TOO_LARGE"),
    ],
    ids=["cut", "svg", "pixels", "bytes"],
)
async def test_faulty_pictures_are_faults_of_the_caller(
    policy: Policy, decoder: ImageDecoder, content: bytes, reason: str
) -> None:
    """Each kind of faulty picture has its own reason, and the field is named."""
    media = MemoryMedia()
    with pytest.raises(InvalidArgumentError) as caught:
        await _check(policy, media, decoder, media.add(content), Level.OFF)
    assert caught.value.reason == reason
    assert caught.value.violations[0][0] == "media.sha256"
