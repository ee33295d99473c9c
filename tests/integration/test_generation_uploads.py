"""Uploads through the front door: cleaned, bounded, their owner's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from servicekit.errors import Code
from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.unit.generation_service.media.pictures import SECRET, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


from tests.integration.generation import Echo, Stub, acting, generation, read, refused, upload


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    """A client of a service that starts with an empty folder."""
    async with generation(tmp_path, Echo()) as stub:
        yield stub


async def test_an_upload_is_cleaned_and_its_owners(stub: Stub) -> None:
    """A photograph comes back without its place, to its owner and to nobody else."""
    media = await upload(stub, picture("JPEG"))
    key = pb.MediaKey(sha256=media.sha256)
    data = await read(stub, key, acting("s1"))
    assert hashlib.sha256(data).hexdigest() == media.sha256
    assert SECRET.encode() not in data
    assert (media.mime_type, media.filename) == ("image/jpeg", "photo.jpg")
    info = pb.GetMediaInfoRequest(key=key)
    assert (await stub.GetMediaInfo(info, metadata=acting("s1"))).media == media
    error = await refused(stub.GetMediaInfo(info, metadata=acting("s2")))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "MEDIA_EMPTY"),
        (b"hello", "MEDIA_TYPE_NOT_ALLOWED"),
        (picture("PNG", size=(200, 200))[:-60], "BROKEN_IMAGE"),
        (b"x" * 100_001, "MEDIA_TOO_LARGE"),
    ],
)
async def test_faulty_uploads_are_refused(stub: Stub, data: bytes, reason: str) -> None:
    """Each documented fault of a file has its reason."""
    error = await refused(upload(stub, data))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, reason)


async def test_an_upload_without_a_header_is_refused(stub: Stub) -> None:
    """The first message says what comes."""

    async def parts() -> AsyncIterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(data=b"x")

    assert (await refused(stub.UploadMedia(parts()))).reason == "HEADER_MISSING"


async def test_reading_needs_a_name_and_a_sane_offset(stub: Stub) -> None:
    """Faulty reads are told apart from missing files."""
    media = await upload(stub, picture("PNG"))
    mine = acting("s1")
    assert (await refused(read(stub, pb.MediaKey(), mine))).reason == "REFERENCE_MISSING"
    key = pb.MediaKey(sha256=media.sha256)
    for offset in (-1, media.size_bytes + 1):
        assert (await refused(read(stub, key, mine, offset))).reason == "OFFSET_INVALID"
