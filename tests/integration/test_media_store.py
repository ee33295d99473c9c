"""The media store through the front door: marked deliveries, thumbnails, erasure, a bucket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
import structlog
from PIL import Image

from generation_service.media.provenance import Verdict, read_provenance
from generation_service.settings import GenerationSettings
from servicekit.errors import Code
from servicekit.principals import Role
from stellwerk.generation.v1 import generation_service_pb2 as pb
from tests.drills.database import running_database
from tests.integration.generation import (
    Echo,
    Stub,
    acting,
    generation,
    item,
    order,
    read,
    refused,
    run,
    upload,
)
from tests.support import eventually
from tests.unit.generation_service.media.pictures import plain_png
from tests.unit.generation_service.media.stores import S3Server, new_bucket, s3_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from stellwerk.common.v1.types_pb2 import MediaRef

    Away: TypeAlias = tuple[Mapping[str, object], Callable[[], None], Callable[[], None]]
    """Settings that name a store, what stops it, and what starts it."""

ADMIN = acting("admin", Role.ADMIN)


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    """A client of a service that marks what it delivers."""
    async with generation(tmp_path, Echo(), mark_media="all") as stub:
        yield stub


async def picture(stub: Stub, execution_id: str = "e1") -> MediaRef:
    """A released picture of session s1."""
    events = await run(stub, order(execution_id=execution_id))
    media = events[-2].output.media
    release = pb.ReleaseMediaRequest(execution_id=execution_id, item_id="i1", sha256=media.sha256)
    await stub.ReleaseMedia(release, metadata=acting("s1"))
    return media


async def first(stub: Stub, **fields: object) -> pb.ReadMediaResponse:
    """The first piece of what session s1 reads of its item."""
    request = pb.ReadMediaRequest(key=item(), **fields)  # type: ignore[arg-type]
    call = stub.ReadMedia(request, metadata=acting("s1"))
    answer = await anext(aiter(call))
    call.cancel()
    return answer


async def test_deliveries_are_marked_and_transfers_can_be_resumed(stub: Stub) -> None:
    """A picture that was drawn by rules says so; a second half fits to the first."""
    media = await picture(stub)
    marked = await read(stub, item(), acting("s1"))
    told = read_provenance(marked)
    assert told.verdict is Verdict.UNKNOWN_SIGNER
    assert (told.source_type, told.signer) == ("algorithmicMedia", "A Stellwerk deployment")
    assert told.making is not None
    assert told.making["execution_id"] == "e1"
    assert told.making["model"] == "embedded/picture-a"
    assert await read(stub, item(), acting("s1"), offset=500) == marked[500:]
    answer = await first(stub)
    assert answer.media == media
    assert answer.delivery == pb.MediaDelivery(
        size_bytes=len(marked), mime_type="image/png", marked=True
    )


async def test_services_read_the_bytes_of_the_hash(stub: Stub) -> None:
    """What is checked is what was made, without a mark."""
    media = await picture(stub)
    plain = await read(stub, pb.MediaKey(sha256=media.sha256), ADMIN)
    assert hashlib.sha256(plain).hexdigest() == media.sha256


async def test_thumbnails_and_what_has_none(stub: Stub) -> None:
    """A picture has a small one, and no mark beside it, since it carries it inside."""
    await picture(stub)
    answer = await first(stub, thumbnail_pixels=64)
    assert answer.delivery.mime_type == "image/webp"
    with Image.open(io.BytesIO(answer.data)) as small:
        assert small.size == (64, 64)
    assert (await refused(first(stub, manifest=True))).reason == "MANIFEST_UNAVAILABLE"


async def test_an_erased_execution_leaves_nothing(stub: Stub, tmp_path: Path) -> None:
    """Picture, marked copy and thumbnail are gone from the disk; erasing again is fine."""
    await picture(stub)
    await read(stub, item(), acting("s1"))
    await first(stub, thumbnail_pixels=64)
    request = pb.DeleteMediaRequest(execution_id="e1")
    refusal = await refused(stub.DeleteMedia(request, metadata=acting("s1")))
    assert (refusal.code, refusal.reason) == (Code.PERMISSION_DENIED, "ERASURE_NOT_ALLOWED")
    answer = await stub.DeleteMedia(request, metadata=ADMIN)
    assert (answer.removed_reference_count, answer.erased_file_count) == (2, 1)
    for folder in ("media", "derived"):
        assert not [name for _, _, names in os.walk(tmp_path / folder) for name in names]
    assert (await refused(read(stub, item(), acting("s1")))).reason == "MEDIA_NOT_FOUND"
    assert await stub.DeleteMedia(request, metadata=ADMIN) == pb.DeleteMediaResponse()


async def test_an_erased_execution_takes_its_uploads_along(stub: Stub, tmp_path: Path) -> None:
    """What its person uploaded for it is gone, too, and the ledger knows nobody any more."""
    media = await upload(stub, plain_png())
    release = pb.ReleaseMediaRequest(execution_id="e1", item_id="i1", sha256=media.sha256)
    await stub.ReleaseMedia(release, metadata=acting("s1"))
    answer = await stub.DeleteMedia(pb.DeleteMediaRequest(execution_id="e1"), metadata=ADMIN)
    assert (answer.removed_reference_count, answer.erased_file_count) == (2, 1)
    assert not any(b"user-s1" in data for data in ledger_files(tmp_path))


async def test_an_erased_person_takes_all_uploads_along(stub: Stub, tmp_path: Path) -> None:
    """What they uploaded is gone, used or not; only services and admins may ask for that."""
    await upload(stub, plain_png())
    await upload(stub, plain_png(), "s2")
    request = pb.DeleteMediaRequest(user_id="user-s1")
    refusal = await refused(stub.DeleteMedia(request, metadata=acting("s1")))
    assert refusal.reason == "ERASURE_NOT_ALLOWED"
    answer = await stub.DeleteMedia(request, metadata=ADMIN)
    assert (answer.removed_reference_count, answer.erased_file_count) == (1, 0)
    assert not any(b"user-s1" in data for data in ledger_files(tmp_path))
    request = pb.DeleteMediaRequest(user_id="user-s2")
    assert (await stub.DeleteMedia(request, metadata=ADMIN)).erased_file_count == 1


def ledger_files(folder: Path) -> list[bytes]:
    """The bytes of the ledger and of its log."""
    return [file.read_bytes() for file in folder.glob("media.sqlite3*")]


async def test_half_a_name_erases_nothing(stub: Stub) -> None:
    """An item without its id is not taken for the whole execution."""
    await picture(stub)
    for request in (
        pb.DeleteMediaRequest(),
        pb.DeleteMediaRequest(item=pb.ItemKey(execution_id="e1")),
        pb.DeleteMediaRequest(item=pb.ItemKey(item_id="i1")),
    ):
        error = await refused(stub.DeleteMedia(request, metadata=ADMIN))
        assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "REFERENCE_MISSING")
    assert await read(stub, item(), acting("s1"))


async def test_an_upload_is_erased_for_its_owner(stub: Stub) -> None:
    """The session that brought it may take it away."""
    media = await upload(stub, plain_png())
    request = pb.DeleteMediaRequest(upload_sha256=media.sha256)
    assert (await stub.DeleteMedia(request, metadata=acting("s2"))).removed_reference_count == 0
    assert (await stub.DeleteMedia(request, metadata=acting("s1"))).erased_file_count == 1


async def test_a_service_may_keep_its_files_in_a_bucket(tmp_path: Path) -> None:
    """Nothing but the ledger and the certificate lies in the folder; addresses open for a while."""
    with s3_server() as server:
        bucket = new_bucket(server)
        options = {
            "media_store": "s3",
            "media_bucket": bucket.name,
            "media_endpoint": server,
            "media_region": "us-east-1",
            "media_access_key_id": "key",
            "media_secret_access_key": "secret",
            "media_url_seconds": 60,
        }
        async with generation(tmp_path, Echo(), mark_media="all", options=options) as stub:
            await picture(stub)
            marked = await read(stub, item(), acting("s1"))
            request = pb.GetMediaInfoRequest(key=item())
            info = await stub.GetMediaInfo(request, metadata=acting("s1"))
            async with httpx.AsyncClient() as anybody:
                assert (await anybody.get(info.signed_url)).content == marked
    assert not (tmp_path / "media").exists()


@contextlib.contextmanager
def away_bucket() -> Iterator[Away]:
    """A bucket, and how it goes away and comes back."""
    server = S3Server()
    options = {
        "media_store": "s3",
        "media_bucket": new_bucket(server.url).name,
        "media_endpoint": server.url,
        "media_access_key_id": "key",
        "media_secret_access_key": "secret",
    }
    try:
        yield options, server.stop, server.start
    finally:
        server.stop()


@contextlib.contextmanager
def away_ledger() -> Iterator[Away]:
    """A ledger in PostgreSQL, and how it goes away and comes back."""
    with running_database() as database:
        yield {"media_database_url": database.url}, database.stop, database.start


@pytest.mark.parametrize("place", [away_bucket, away_ledger])
async def test_a_picture_waits_for_a_store_that_restarts(
    tmp_path: Path, place: Callable[[], contextlib.AbstractContextManager[Away]]
) -> None:
    """What was made while the store was away is stored when it is back, and made only once."""
    with place() as (options, stop, start), structlog.testing.capture_logs() as lines:
        async with generation(tmp_path, Echo(), options=options) as stub:
            await asyncio.to_thread(stop)
            job = asyncio.create_task(run(stub, order()))
            await eventually(lambda: any(line["event"] == "media_store_away" for line in lines))
            assert not job.done()
            await asyncio.to_thread(start)
            events = await job
    assert events[-1].finished.state == pb.JOB_STATE_DONE
    assert events[-2].output.media.sha256
    assert [line["attempt"] for line in lines if line["event"] == "job_finished"] == [1]


async def test_a_job_without_a_bucket_says_so(tmp_path: Path) -> None:
    """A job that cannot store its picture ends FAILED, and says why."""
    with s3_server() as server:
        bucket = new_bucket(server)
        options = {
            "media_store": "s3",
            "media_bucket": f"{bucket.name}-gone",
            "media_endpoint": server,
            "media_access_key_id": "key",
            "media_secret_access_key": "secret",
            "media_store_seconds": 0,
        }
        async with generation(tmp_path, Echo(), options=options) as stub:
            end = (await run(stub, order()))[-1].finished
    assert (end.state, end.error_reason) == (pb.JOB_STATE_FAILED, "MEDIA_STORE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"media_store": "s3"}, "GENERATION_MEDIA_BUCKET"),
        ({"media_access_key_id": "key"}, "belong together"),
        ({"mark_key": "key.pem"}, "belong together"),
    ],
)
def test_settings_hold_together(options: dict[str, object], words: str) -> None:
    """Half a choice is a fault that stops the service, and says what is missing."""
    with pytest.raises(ValueError, match=words):
        GenerationSettings(**options)  # type: ignore[arg-type]


async def test_without_the_extra_everything_works_unmarked(tmp_path: Path) -> None:
    """Where c2pa is not installed, files are delivered as stored, and the log says so once."""
    program = (
        "import sys; sys.modules['c2pa'] = None\n"
        "from generation_service.media.marking import open_marker\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[1])\n"
        "assert open_marker(folder, name='x', certificate=None, key=None) is None\n"
        "assert not list(folder.iterdir())\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("media_marking_unavailable") == 1
    async with generation(tmp_path, Echo(), mark_media="off") as stub:
        media = await picture(stub)
        data = await read(stub, item(), acting("s1"))
    assert hashlib.sha256(data).hexdigest() == media.sha256


async def test_a_cancelled_reader_leaves_the_marked_file_for_the_next(stub: Stub) -> None:
    """Whoever leaves while a file is marked breaks nothing."""
    await picture(stub)
    calls = [
        stub.ReadMedia(pb.ReadMediaRequest(key=item()), metadata=acting("s1")) for _ in range(6)
    ]
    for call in calls[::2]:
        call.cancel()
    for call in calls[::2]:
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
            [piece async for piece in call]
    whole = {b"".join([piece.data async for piece in call]) for call in calls[1::2]}
    assert len(whole) == 1
    assert read_provenance(whole.pop()).making


async def test_what_rules_drew_is_delivered_as_it_is_unless_all_is_to_be_marked(
    tmp_path: Path,
) -> None:
    """The same prompt and seed give the same download from the embedded renderers."""
    async with generation(tmp_path, Echo(), mark_media="models") as stub:
        media = await picture(stub)
        delivered = await read(stub, item(), acting("s1"))
        assert hashlib.sha256(delivered).hexdigest() == media.sha256
