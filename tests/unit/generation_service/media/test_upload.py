"""Uploaded pictures: cleaned, bounded, refused when they are not what they say."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from generation_service.media.interface import (
    BrokenImageError,
    MediaTooLargeError,
    MediaTypeNotAllowedError,
)
from generation_service.media.upload import UploadLimits, clean_picture
from servicekit.errors import InvalidArgumentError
from tests.unit.generation_service.media.pictures import SECRET, picture

LIMITS = UploadLimits()


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP"])
def test_no_place_and_no_device_remains(encoding: str) -> None:
    """What a camera wrote about its owner is gone, the picture is not."""
    dirty = picture(encoding)
    assert SECRET.encode() in dirty
    clean = clean_picture(dirty, LIMITS)
    assert SECRET.encode() not in clean
    with Image.open(io.BytesIO(clean)) as image:
        assert image.format == encoding
        assert image.size == (40, 20)
        assert not image.getexif()
        assert not image.info.keys() & {"exif", "xmp", "icc_profile", "comment"}


def test_a_turned_picture_stands_upright() -> None:
    """The turn that the metadata told is applied before the metadata goes."""
    with Image.open(io.BytesIO(clean_picture(picture("JPEG", turned=True), LIMITS))) as image:
        assert image.size == (20, 40)


def test_transparency_stays() -> None:
    """A cut-out stays a cut-out."""
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(buffer, "PNG")
    with Image.open(io.BytesIO(clean_picture(buffer.getvalue(), LIMITS))) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((0, 0)) == (10, 20, 30, 0)


def test_a_colour_profile_is_applied() -> None:
    """A picture in a profile of its own keeps its looks without it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 80, 40)).save(buffer, "PNG", icc_profile=profile)
    with Image.open(io.BytesIO(clean_picture(buffer.getvalue(), LIMITS))) as image:
        pixel = image.getpixel((0, 0))
        assert isinstance(pixel, tuple)
        assert all(abs(a - b) <= 1 for a, b in zip(pixel, (200, 80, 40), strict=True))


def test_an_unreadable_profile_is_dropped() -> None:
    """A broken profile is no reason to refuse a picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG", icc_profile=b"nonsense")
    assert clean_picture(buffer.getvalue(), LIMITS)


@pytest.mark.parametrize("data", [b"hello", b"GIF89a....", b"%PDF-1.7", b"RIFF1234WAVEfmt "])
def test_other_files_are_refused(data: bytes) -> None:
    """Only pictures are taken, whatever the name says."""
    with pytest.raises(MediaTypeNotAllowedError):
        clean_picture(data, LIMITS)


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP"])
def test_half_a_picture_is_broken(encoding: str) -> None:
    """A transfer that broke off is noticed here, not by a model."""
    whole = picture(encoding, size=(300, 300))
    with pytest.raises(BrokenImageError):
        clean_picture(whole[: len(whole) * 2 // 3], LIMITS)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    """A small file may hold a huge picture."""
    with pytest.raises(MediaTooLargeError):
        clean_picture(picture("PNG", size=(101, 100)), UploadLimits(max_pixels=10_000))


def test_a_decompression_bomb_is_refused() -> None:
    """A picture of two hundred million pixels is not even opened."""
    header = bytearray(picture("PNG"))
    header[16:24] = (20_000).to_bytes(4, "big") * 2
    with pytest.raises(InvalidArgumentError):
        clean_picture(bytes(header), LIMITS)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF0000WEBP"]),
)
def test_garbage_is_refused_kindly(tail: bytes, magic: bytes) -> None:
    """Whatever follows a right beginning, the answer is one of the documented ones."""
    with pytest.raises(InvalidArgumentError):
        clean_picture(magic + tail, LIMITS)
