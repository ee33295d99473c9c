"""Who may read which file: made, released, uploaded; also after a restart."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from generation_service.media.delivery import Delivery
from generation_service.media.description import plain_name
from generation_service.media.folder import FolderMediaStore
from generation_service.media.interface import ItemTakenError, MediaNotFoundError
from generation_service.media.ledger import MediaLedger
from generation_service.media.ledger_base import SqliteLedgerBase
from generation_service.media.ledger_postgres import PostgresLedgerBase
from generation_service.media.library import LibraryRules, MediaLibrary, MediaName
from generation_service.media.origin import Origin
from generation_service.media.upload import UploadLimits
from servicekit.errors import InvalidArgumentError
from servicekit.principals import SERVICE, Principal, Role
from tests.postgres import shared_server
from tests.unit.generation_service.media.pictures import plain_png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from generation_service.media.interface import StoredMedia
    from generation_service.media.ledger_base import LedgerBase

ITEM = MediaName("e1", "i1")
DRAWN = Origin("embedded", "embedded/picture-a", "embedded_image")


def person(session: str, role: Role = Role.LEARNER, group: str = "", **changes: Role) -> Principal:
    """Somebody who calls themselves."""
    return Principal(f"user {session}", role, session, group, changes.get("actor", role))


ANNA, BEN = person("anna", group="class"), person("ben", group="class")
TEACHER = person("teacher", Role.TEACHER, "class")
FOR_ANNA = person("anna", group="class", actor=Role.SERVICE)


@asynccontextmanager
async def opened(
    folder: Path,
    machines: frozenset[Role] = frozenset({Role.SERVICE}),
    base: LedgerBase | None = None,
) -> AsyncIterator[MediaLibrary]:
    """A library in a folder, which marks nothing."""
    ledger, store = (
        MediaLedger(base or SqliteLedgerBase(folder / "media.sqlite3")),
        FolderMediaStore(folder),
    )
    limits = LibraryRules(uploads=UploadLimits(max_bytes=5000), machines=machines)
    yield MediaLibrary(store, ledger, Delivery(store, None), limits)
    await ledger.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def library(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[MediaLibrary]:
    """An empty library, whatever keeps its ledger."""
    base = None
    if request.param == "postgres":
        database = shared_server().create(f"ledger_{uuid.uuid4().hex}")
        base = PostgresLedgerBase(SecretStr(database))
    async with opened(tmp_path, base=base) as library:
        yield library


async def made(library: MediaLibrary, shade: int = 0, item_id: str = "i1") -> StoredMedia:
    """A picture that execution e1 made for Anna."""
    return await library.keep_made(
        plain_png(shade),
        filename="p.png",
        execution_id="e1",
        item_id=item_id,
        owner=FOR_ANNA,
        origin=DRAWN,
    )


async def uploaded(library: MediaLibrary, owner: Principal, shade: int = 9) -> StoredMedia:
    """A picture that somebody uploaded."""

    async def chunks() -> AsyncIterator[bytes]:
        yield plain_png(shade)

    return await library.keep_upload(chunks(), filename="../x\\y/my.png", owner=owner)


async def cannot(library: MediaLibrary, name: MediaName, *callers: Principal) -> None:
    """Assert that to none of `callers` there is such a file."""
    for caller in callers:
        with pytest.raises(MediaNotFoundError):
            await library.find_for_reading(name, caller)


async def test_a_made_file_is_withheld_until_it_is_released(library: MediaLibrary) -> None:
    """Only services see a picture before it was checked."""
    media = await made(library)
    await cannot(library, ITEM, ANNA, BEN, TEACHER, person("x", Role.ADMIN))
    await cannot(library, MediaName(sha256=media.sha256), ANNA, person("x", Role.ADMIN))
    by_hash = MediaName(sha256=media.sha256)
    assert (await library.find_for_reading(by_hash, FOR_ANNA)).media.sha256 == media.sha256
    assert not (await library.find_for_reading(ITEM, SERVICE)).released
    assert await library.release("e1", "i1", media.sha256, FOR_ANNA) == media
    assert (await library.find_for_reading(ITEM, ANNA)).media == media


async def test_a_released_file_is_its_owners_alone(library: MediaLibrary) -> None:
    """A neighbour sees nothing; the class's teacher and researchers do."""
    media = await made(library)
    await library.release("e1", "i1", media.sha256, FOR_ANNA)
    await cannot(library, ITEM, BEN)
    await cannot(library, MediaName(sha256=media.sha256), BEN, ANNA)
    for reader in (ANNA, TEACHER, person("r", Role.RESEARCHER)):
        assert await library.find_for_reading(ITEM, reader)


async def test_a_release_is_per_item_not_per_file(library: MediaLibrary) -> None:
    """Equal bytes in another execution stay withheld there."""
    media = await made(library)
    await library.keep_made(
        plain_png(), filename="q.png", execution_id="e2", item_id="i9", owner=BEN, origin=DRAWN
    )
    await library.release("e1", "i1", media.sha256, FOR_ANNA)
    assert (await library.find_for_reading(ITEM, ANNA)).media.sha256 == media.sha256
    await cannot(library, MediaName("e2", "i9"), BEN)


async def test_only_what_was_made_or_uploaded_can_be_released(library: MediaLibrary) -> None:
    """A release cannot hand out a stranger's file."""
    mine = await made(library)
    foreign = await uploaded(library, BEN)
    for execution, sha256, caller in (
        ("e1", foreign.sha256, FOR_ANNA),
        ("e2", mine.sha256, FOR_ANNA),
        ("e1", mine.sha256, BEN),
        ("e1", "0" * 64, FOR_ANNA),
    ):
        with pytest.raises(MediaNotFoundError):
            await library.release(execution, "i1", sha256, caller)


async def test_an_upload_can_become_an_item(library: MediaLibrary) -> None:
    """A learner's own picture is read back as the input of their execution."""
    media = await uploaded(library, ANNA)
    await library.release("e1", "input", media.sha256, FOR_ANNA)
    assert (await library.find_for_reading(MediaName("e1", "input"), ANNA)).media == media


async def test_an_item_keeps_its_file(library: MediaLibrary) -> None:
    """Releasing again changes nothing; another file for the same item is refused."""
    first, second = await made(library), await made(library, shade=1, item_id="")
    await library.release("e1", "i1", first.sha256, FOR_ANNA)
    await library.release("e1", "i1", first.sha256, FOR_ANNA)
    with pytest.raises(ItemTakenError):
        await library.release("e1", "i1", second.sha256, FOR_ANNA)


async def test_a_second_attempt_replaces_what_nobody_has_seen(library: MediaLibrary) -> None:
    """The first one was given up after it had stored its file: that one goes, unless released."""
    first = await made(library)
    second = await made(library, shade=1)
    with pytest.raises(MediaNotFoundError):
        await library.find_for_reading(MediaName(sha256=first.sha256), SERVICE)
    await library.release("e1", "i1", second.sha256, FOR_ANNA)
    with pytest.raises(ItemTakenError):
        await made(library, shade=2)


async def test_a_file_taken_over_is_the_successors_item(library: MediaLibrary) -> None:
    """Who asked for it died; with the item that was recorded instead, the file is erased."""
    media = await made(library, item_id="never recorded")
    await library.release("e1", "i1", media.sha256, FOR_ANNA)
    await cannot(library, MediaName("e1", "never recorded"), SERVICE)
    assert (await library.erase(ITEM, SERVICE)).files == 1


async def test_an_upload_is_seen_by_its_uploader_only(library: MediaLibrary) -> None:
    """Also who acts on behalf of somebody else is told that there is no such file."""
    media = await uploaded(library, ANNA)
    name = MediaName(sha256=media.sha256)
    assert media.filename == "my.png"
    assert (await library.describe(name, FOR_ANNA)).media == media
    assert (await library.describe(name, SERVICE)).media.sha256 == media.sha256
    for other in (BEN, TEACHER, person("ben", actor=Role.SERVICE)):
        with pytest.raises(MediaNotFoundError):
            await library.describe(name, other)


async def test_two_people_may_upload_the_same(library: MediaLibrary) -> None:
    """Each has it under their own name."""
    await uploaded(library, ANNA)
    media = await uploaded(library, BEN)
    for owner in (ANNA, BEN):
        assert (await library.describe(MediaName(sha256=media.sha256), owner)).media == media


async def test_without_credentials_neighbours_look_like_the_admin(tmp_path: Path) -> None:
    """On a laptop without keys the safety service reads as the local admin."""
    async with opened(tmp_path, machines=frozenset({Role.SERVICE, Role.ADMIN})) as library:
        media = await made(library)
        admin = person("anna", actor=Role.ADMIN)
        assert await library.find_for_reading(MediaName(sha256=media.sha256), admin)


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Releases and uploads are on the disk."""
    async with opened(tmp_path) as library:
        media = await made(library)
        await library.release("e1", "i1", media.sha256, FOR_ANNA)
        upload = await uploaded(library, ANNA)
    async with opened(tmp_path) as library:
        found = await library.find_for_reading(ITEM, ANNA)
        delivered = await library.deliver(ITEM, found)
        assert b"".join([p async for p in library.read(delivered, 0)]) == plain_png()
        assert await library.describe(MediaName(sha256=upload.sha256), ANNA)


async def test_uploads_are_bounded_while_they_arrive(library: MediaLibrary) -> None:
    """The bytes over the limit are not even waited for."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"x" * 1000

    with pytest.raises(InvalidArgumentError) as refused:
        await library.keep_upload(chunks(), filename="", owner=ANNA)
    assert refused.value.reason == "MEDIA_TOO_LARGE"
    assert sent == 6


@pytest.mark.parametrize("name", [MediaName(), MediaName("e1", ""), MediaName("", "i1")])
async def test_a_file_must_be_named(library: MediaLibrary, name: MediaName) -> None:
    """Half a name is a fault of the request."""
    with pytest.raises(InvalidArgumentError) as refused:
        await library.find_for_reading(name, ANNA)
    assert refused.value.reason == "REFERENCE_MISSING"


def test_names_lose_folders_and_control_characters() -> None:
    """A name cannot lead anywhere or break a line."""
    assert plain_name("../../etc/pass\nwd") == "passwd"
    assert plain_name("C:\\photos\\cat.png") == "cat.png"
    assert len(plain_name("x" * 500)) == 120
