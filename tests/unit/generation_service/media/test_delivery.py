"""What people are handed: marked once, small when asked, erased with the last reference."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sqlite3
import struct
import zlib
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from generation_service.media.certificate import self_made_credentials
from generation_service.media.delivery import Delivery
from generation_service.media.folder import FolderMediaStore
from generation_service.media.interface import (
    BrokenMediaError,
    ManifestUnavailableError,
    MediaNotFoundError,
    MediaTooLargeError,
    MediaTypeNotAllowedError,
    ThumbnailUnavailableError,
)
from generation_service.media.ledger import MediaLedger
from generation_service.media.ledger_base import SqliteLedgerBase
from generation_service.media.library import LibraryRules, MediaLibrary, MediaName
from generation_service.media.marking import Marker
from generation_service.media.origin import Origin
from generation_service.media.provenance import Verdict, read_provenance
from servicekit.errors import InvalidArgumentError, PermissionDeniedError
from servicekit.principals import SERVICE, Principal, Role
from tests.unit.generation_service.media.pictures import plain_png
from tests.unit.generation_service.media.recordings import SECRET
from tests.unit.generation_service.media.stores import s3_server, s3_store
from tests.unit.generation_service.media.test_stripping import glb, jpeg, png, webp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from generation_service.media.interface import MediaStore, StoredMedia

ANNA = Principal("anna", Role.LEARNER, "s1", "class", Role.SERVICE)
MADE = Origin("comfyui", "comfyui/sd15", "sd15")
ITEM = MediaName("e1", "i1")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3-API server."""
    with s3_server() as address:
        yield address


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Marker:
    """Marks under a self-made certificate."""
    return Marker(self_made_credentials(tmp_path_factory.mktemp("data") / "marking", "School"))


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    """Each kind of store: what is derived from files lies in it, too."""
    if request.param == "folder":
        return FolderMediaStore(tmp_path)
    return s3_store(request.getfixturevalue("server"))


@asynccontextmanager
async def opened(folder: Path, store: MediaStore, marker: Marker) -> AsyncIterator[MediaLibrary]:
    """A library that marks."""
    ledger = MediaLedger(SqliteLedgerBase(folder / "media.sqlite3"))
    rules = LibraryRules(url_seconds=60)
    yield MediaLibrary(store, ledger, Delivery(store, marker, marks_rules=True), rules)
    await ledger.close()


@pytest.fixture
async def library(tmp_path: Path, store: MediaStore, marker: Marker) -> AsyncIterator[MediaLibrary]:
    """An empty library."""
    async with opened(tmp_path, store, marker) as library:
        yield library


async def released(
    library: MediaLibrary, data: bytes, execution_id: str = "e1", item_id: str = "i1"
) -> StoredMedia:
    """A file that was made and may be read."""
    media = await library.keep_made(
        data,
        filename="file",
        execution_id=execution_id,
        item_id=item_id,
        owner=ANNA,
        origin=MADE,
    )
    await library.release(execution_id, item_id, media.sha256, ANNA)
    return media


async def read(library: MediaLibrary, name: MediaName = ITEM, **wish: int) -> bytes:
    """What Anna, or for a hash a service, is handed."""
    found = await library.find_for_reading(name, ANNA)
    delivered = await library.deliver(
        name, found, thumbnail_pixels=wish.get("pixels", 0), manifest=bool(wish.get("manifest"))
    )
    async with aclosing(library.read(delivered, wish.get("offset", 0))) as pieces:
        data = b"".join([piece async for piece in pieces])
    assert len(data) == delivered.size_bytes - wish.get("offset", 0)
    return data


async def test_people_get_the_marked_file_and_services_the_stored_one(
    library: MediaLibrary,
) -> None:
    """The hash is of the bytes without prompt and mark; the delivered picture says who made it."""
    media = await released(library, png())
    marked = await read(library)
    plain = await read(library, MediaName(sha256=media.sha256))
    assert hashlib.sha256(plain).hexdigest() == media.sha256
    assert SECRET.encode() not in marked + plain
    told = read_provenance(marked)
    assert told.verdict is Verdict.UNKNOWN_SIGNER
    assert told.making is not None
    assert told.making["sha256"] == media.sha256
    assert read_provenance(plain).verdict is Verdict.UNMARKED


async def test_a_marked_file_is_always_the_same(
    library: MediaLibrary, tmp_path: Path, store: MediaStore, marker: Marker
) -> None:
    """Readers at once, after a broken transfer and after a restart get the same bytes."""
    await released(library, jpeg())
    first, *others = await asyncio.gather(*(read(library) for _ in range(5)))
    assert set(others) == {first}
    assert await read(library, offset=1000) == first[1000:]
    async with opened(tmp_path, store, marker) as again:
        assert await read(again) == first


async def test_a_mark_names_the_execution_of_the_reader(library: MediaLibrary) -> None:
    """Equal bytes made in two executions are marked for each."""
    await released(library, plain_png())
    await released(library, plain_png(), "e2", "i2")
    marks = [read_provenance(await read(library, name)) for name in (ITEM, MediaName("e2", "i2"))]
    assert [mark.making and mark.making["execution_id"] for mark in marks] == ["e1", "e2"]


async def test_models_have_their_mark_beside_them(library: MediaLibrary) -> None:
    """A GLB is handed out as stored, its manifest on request; a picture has none beside it."""
    media = await released(library, glb())
    data = await read(library)
    assert hashlib.sha256(data).hexdigest() == media.sha256
    manifest = await read(library, manifest=1)
    assert read_provenance(data, manifest=manifest).verdict is Verdict.UNKNOWN_SIGNER
    await released(library, plain_png(), item_id="i2")
    with pytest.raises(ManifestUnavailableError):
        await read(library, MediaName("e1", "i2"), manifest=1)


async def test_what_a_person_brought_is_not_marked(library: MediaLibrary) -> None:
    """An upload is nobody's machine's work, and its owner reads what was stored."""

    async def chunks() -> AsyncIterator[bytes]:
        yield plain_png()

    media = await library.keep_upload(chunks(), filename="me.png", owner=ANNA)
    await library.release("e1", "input", media.sha256, ANNA)
    data = await read(library, MediaName("e1", "input"))
    assert hashlib.sha256(data).hexdigest() == media.sha256


@pytest.mark.parametrize("pixels", [1, 64, 100, 5000])
async def test_thumbnails_are_small_pictures(library: MediaLibrary, pixels: int) -> None:
    """Their longer side is what was asked for, in few steps, never larger than the picture."""
    buffer = io.BytesIO()
    Image.new("RGBA", (300, 150), (9, 9, 9, 99)).save(buffer, "PNG")
    await released(library, buffer.getvalue())
    with Image.open(io.BytesIO(await read(library, pixels=pixels))) as small:
        assert small.format == "WEBP"
        assert small.size == {1: (64, 32), 64: (64, 32), 100: (128, 64)}.get(pixels, (300, 150))
        assert small.has_transparency_data


async def test_animated_pictures_have_thumbnails_and_sounds_have_none(
    library: MediaLibrary,
) -> None:
    """The first frame stands for all."""
    await released(library, webp(animated=True))
    with Image.open(io.BytesIO(await read(library, pixels=64))) as small:
        assert small.size == (24, 16)
    await released(library, glb(), item_id="i2")
    with pytest.raises(ThumbnailUnavailableError):
        await read(library, MediaName("e1", "i2"), pixels=64)


async def test_nothing_small_of_what_is_withheld(library: MediaLibrary) -> None:
    """Not even a service gets a thumbnail of an unreleased picture; an uploader does of theirs."""
    media = await library.keep_made(
        plain_png(), filename="", execution_id="e1", item_id="i1", owner=ANNA, origin=MADE
    )
    with pytest.raises(MediaNotFoundError):
        await read(library, MediaName(sha256=media.sha256), pixels=64)

    async def chunks() -> AsyncIterator[bytes]:
        yield plain_png(7)

    upload = await library.keep_upload(chunks(), filename="", owner=ANNA)
    assert await read(library, MediaName(sha256=upload.sha256), pixels=64)


async def test_signed_addresses_are_for_released_files_of_buckets(
    library: MediaLibrary, store: MediaStore
) -> None:
    """A folder has none, a bucket only for what may be read."""
    await library.keep_made(
        plain_png(), filename="", execution_id="e1", item_id="i1", owner=ANNA, origin=MADE
    )
    withheld = await library.find_for_reading(ITEM, SERVICE)
    assert await library.signed_url(ITEM, withheld) == ""
    await released(library, plain_png())
    url = await library.signed_url(ITEM, await library.find_for_reading(ITEM, ANNA))
    assert bool(url) is not isinstance(store, FolderMediaStore)


async def test_files_go_with_their_last_reference(library: MediaLibrary, store: MediaStore) -> None:
    """Two executions share bytes: the first erasure takes its mark, the second everything."""
    media = await released(library, plain_png())
    await released(library, plain_png(), "e2", "i2")
    for name in (ITEM, MediaName("e2", "i2")):
        await read(library, name)
        await read(library, name, pixels=64)
    first = await library.erase(MediaName("e1"), SERVICE)
    assert (first.references, first.files) == (2, 0)
    with pytest.raises(MediaNotFoundError):
        await read(library)
    assert await read(library, MediaName("e2", "i2"))
    second = await library.erase(MediaName("e2"), SERVICE)
    assert (second.references, second.files) == (2, 1)
    assert await store.size(media.uri) is None
    assert (await library.erase(MediaName("e2"), SERVICE)).references == 0
    await released(library, plain_png())
    assert await read(library, pixels=64)


async def test_one_item_can_be_erased_alone(library: MediaLibrary) -> None:
    """The execution's other file stays; one that two items show goes with the second."""
    await released(library, plain_png(1), item_id="i1")
    await released(library, plain_png(2), item_id="i2")
    await released(library, plain_png(2), item_id="i3")
    assert (await library.erase(ITEM, SERVICE)).files == 1
    assert (await library.erase(MediaName("e1", "i2"), SERVICE)).files == 0
    assert await read(library, MediaName("e1", "i3"))
    assert (await library.erase(MediaName("e1", "i3"), SERVICE)).files == 1


async def test_uploads_are_erased_by_their_owner(library: MediaLibrary) -> None:
    """The copy in an execution stays until that is erased, too."""

    async def chunks() -> AsyncIterator[bytes]:
        yield plain_png()

    media = await library.keep_upload(chunks(), filename="", owner=ANNA)
    await library.release("e1", "input", media.sha256, ANNA)
    upload = MediaName(sha256=media.sha256)
    ben = Principal("ben", Role.LEARNER, "s2", "class", Role.SERVICE)
    assert (await library.erase(upload, ben)).references == 0
    assert (await library.erase(upload, ANNA)).files == 0
    assert await read(library, MediaName("e1", "input"))
    assert (await library.erase(MediaName("e1"), SERVICE)).files == 1


async def test_learners_erase_no_executions(library: MediaLibrary) -> None:
    """And nobody erases something without a name."""
    with pytest.raises(PermissionDeniedError):
        await library.erase(MediaName("e1"), ANNA)
    with pytest.raises(InvalidArgumentError) as missing:
        await library.erase(MediaName(), SERVICE)
    assert missing.value.reason == "REFERENCE_MISSING"


async def test_keeping_and_erasing_the_same_bytes_at_once_loses_nothing(
    library: MediaLibrary, store: MediaStore
) -> None:
    """Whoever keeps a file has it, even while others erase the same bytes."""

    async def make_and_erase(number: int) -> None:
        await released(library, plain_png(), f"e{number}")
        await library.erase(MediaName(f"e{number}"), SERVICE)

    await asyncio.gather(*(make_and_erase(n) for n in range(2, 12)), released(library, plain_png()))
    assert await read(library)


async def test_an_erasure_while_a_file_is_marked_leaves_nothing(
    tmp_path: Path, marker: Marker
) -> None:
    """What was just being made from the file does not outlive it."""

    class SlowStore(FolderMediaStore):
        async def write(self, key: str, data: bytes) -> None:
            if key.startswith("derived/"):
                await shared.erase(MediaName("e1"), SERVICE)
            await super().write(key, data)

    async with opened(tmp_path, SlowStore(tmp_path), marker) as shared:
        await released(shared, plain_png())
        with pytest.raises(MediaNotFoundError):
            await read(shared)
    left = [
        name
        for kind in ("media", "derived")
        for *_, names in os.walk(tmp_path / kind)
        for name in names
    ]
    assert left == []


async def test_an_interrupted_erasure_is_finished_at_the_next_start(
    tmp_path: Path, marker: Marker
) -> None:
    """A crash between the note and the deed leaves no bytes behind."""
    store = FolderMediaStore(tmp_path)
    async with opened(tmp_path, store, marker) as library:
        media = await released(library, plain_png())
        ledger = MediaLedger(SqliteLedgerBase(tmp_path / "media.sqlite3"))
        await ledger.remove_execution("e1")
        assert await ledger.take_unreferenced(media.sha256) == media.uri
        await ledger.close()
    async with opened(tmp_path, store, marker) as library:
        assert await library.finish_erasing() == 1
        assert await store.size(media.uri) is None
        assert await library.finish_erasing() == 0


@pytest.mark.parametrize("side", [7000, 10_000, 60_000])
async def test_made_pictures_have_limits(library: MediaLibrary, side: int) -> None:
    """A worker that sends a picture of too many pixels is told, before anything is decoded."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = plain_png()[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(MediaTooLargeError):
        await released(library, bomb + plain_png()[33:])


async def test_made_files_are_checked(library: MediaLibrary) -> None:
    """A torn picture, a program and a long text are told apart."""
    with pytest.raises(BrokenMediaError):
        await released(library, plain_png()[:20])
    with pytest.raises(MediaTypeNotAllowedError):
        await released(library, b"\x7fELF\x02\x01\x01\x00")
    with pytest.raises(MediaTooLargeError):
        await released(library, b"poem " * 300_000)


async def test_an_older_ledger_is_brought_up_to_date(tmp_path: Path, marker: Marker) -> None:
    """Files of the first version are known to come from the embedded renderers."""
    store = FolderMediaStore(tmp_path)
    async with opened(tmp_path, store, marker) as library:
        await released(library, plain_png())
    base = sqlite3.connect(tmp_path / "media.sqlite3")
    base.executescript(
        "DROP INDEX making_by_file; ALTER TABLE making DROP COLUMN origin; "
        "DROP TABLE erasing; PRAGMA user_version = 1;"
    )
    base.close()
    async with opened(tmp_path, store, marker) as library:
        assert read_provenance(await read(library)).source_type == "algorithmicMedia"
