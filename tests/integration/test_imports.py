"""Imports through the tracker's front door."""

from __future__ import annotations

import hashlib
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import Code, InvalidArgumentError
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.tracker.v1 import export_service_pb2 as pb
from stellwerk.tracker.v1 import tracker_service_pb2
from tests.fakes.partial import add_partial_service
from tests.integration.tracker import (
    DATABASES,
    Tracker,
    empty_database,
    failure,
    make_item,
    make_run,
    make_start,
    new_id,
    read_all,
    running_tracker,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import grpc

    from stellwerk.tracker.v1 import execution_pb2

ONE_ZERO: dict[str, Any] = {
    "execution_id": "old",
    "start_time": "2025-11-03T22:55:22",
    "items": [
        {"stage": 1, "item_type": "user_input_text", "content": "x", "metadata": {"a": 1}},
        {"stage": 4, "item_type": "output_image", "media": {"uri": "x"}, "execution_time": 1.5},
    ],
    "end_time": "2025-11-03T22:55:31",
}
PICTURE = b"the bytes of a picture " * 1_000
SHA256 = hashlib.sha256(PICTURE).hexdigest()


class MediaStore:
    """The neighbour that keeps media: gives the picture, takes files."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self.uploaded: dict[str, bytes] = {}
        self.released: list[tuple[str, str, str, str]] = []
        self.refuses = False

    async def read_media(
        self, request: generation_pb2.ReadMediaRequest, _: Any
    ) -> AsyncIterator[generation_pb2.ReadMediaResponse]:
        """Give the picture."""
        yield generation_pb2.ReadMediaResponse(data=PICTURE)

    async def upload_media(
        self, requests: AsyncIterator[generation_pb2.UploadMediaRequest], _: Any
    ) -> generation_pb2.UploadMediaResponse:
        """Take a file."""
        data = b"".join([request.data async for request in requests])
        if self.refuses:
            raise InvalidArgumentError("MEDIA_TYPE_NOT_ALLOWED", "No such files.")
        sha256 = hashlib.sha256(data).hexdigest()
        self.uploaded[sha256] = data
        uri = f"media/{sha256[:2]}/{sha256}.png"
        return generation_pb2.UploadMediaResponse(
            media=types_pb2.MediaRef(
                uri=uri, sha256=sha256, size_bytes=len(data), mime_type="image/png"
            )
        )

    async def release_media(
        self, request: generation_pb2.ReleaseMediaRequest, context: Any
    ) -> generation_pb2.ReleaseMediaResponse:
        """Note for whom a file was released."""
        told = dict(context.invocation_metadata())
        session = str(told.get("stellwerk-session", ""))
        self.released.append((request.execution_id, request.item_id, request.sha256, session))
        return generation_pb2.ReleaseMediaResponse()


@asynccontextmanager
async def serving(store: MediaStore) -> AsyncIterator[str]:
    """Run the neighbour and yield its address."""

    async def register(server: grpc.aio.Server, _: Any) -> list[str]:
        service = generation_pb2.DESCRIPTOR.services_by_name["GenerationService"]
        rpcs: dict[str, Any] = {
            "ReadMedia": store.read_media,
            "UploadMedia": store.upload_media,
            "ReleaseMedia": store.release_media,
        }
        return [add_partial_service(server, service, rpcs)]

    settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=1)
    async with start_server(settings, register) as server:
        yield server.address


@pytest.fixture
def media() -> MediaStore:
    """The neighbour, to be looked at."""
    return MediaStore()


@pytest.fixture
async def old(tmp_path: Path, media: MediaStore) -> AsyncIterator[Tracker]:
    """The tracker that records come from."""
    async with (
        serving(media) as address,
        running_tracker(tmp_path / "old", generation_address=address) as tracker,
    ):
        yield tracker


@pytest.fixture(params=DATABASES)
async def new(
    tmp_path: Path, media: MediaStore, request: pytest.FixtureRequest
) -> AsyncIterator[Tracker]:
    """An empty tracker that they go to."""
    url = empty_database(request.param)
    async with (
        serving(media) as address,
        running_tracker(tmp_path / "new", generation_address=address, database_url=url) as tracker,
    ):
        yield tracker


async def bring(
    tracker: Tracker, data: bytes, *, dry_run: bool = False
) -> pb.ImportExecutionsResponse:
    """Import a file."""

    async def parts() -> AsyncIterator[pb.ImportExecutionsRequest]:
        header = pb.ImportExecutionsHeader(filename="file", dry_run=dry_run)
        yield pb.ImportExecutionsRequest(header=header)
        for begin in range(0, len(data), 100_000):
            yield pb.ImportExecutionsRequest(data=data[begin : begin + 100_000])

    return await tracker.exports.ImportExecutions(parts())


async def take(tracker: Tracker, form: Any = pb.EXPORT_FORMAT_JSON_LINES) -> bytes:
    """Export everything."""
    request = pb.ExportExecutionsRequest(format=form)
    chunks = await read_all(tracker.exports.ExportExecutions(request))
    return b"".join(chunk.data for chunk in chunks)


def values(exported: bytes) -> Any:
    """Return what an export says; how it spaces metadata may differ after an import."""
    if exported.startswith(b"["):
        return json.loads(exported)
    return [json.loads(line) for line in exported.splitlines()]


async def record_several(tracker: Tracker) -> None:
    """Record a whole run, a resumed one with a late item, one with a gap, one that was cut off."""
    await tracker.record(*make_run(new_id(), 600, note="ü"))
    await record_resumed(tracker)
    gap = new_id()
    items = make_run(gap, 6)
    await tracker.record(*items[:3], *items[4:])
    cut = new_id()
    beat = tracker_service_pb2.ExecutionHeartbeat(
        execution_id=cut, epoch=1, last_sequence_number=4, released=True
    )
    await tracker.record(*make_run(cut, 5)[:3], heartbeats=[beat])


async def record_resumed(tracker: Tracker) -> None:
    """Record a run that a second owner took over; the first one's last item came too late."""
    execution_id = new_id()
    beat = tracker_service_pb2.ExecutionHeartbeat(
        execution_id=execution_id, epoch=1, last_sequence_number=2, released=True
    )
    await tracker.record(*make_run(execution_id, 4)[:2], heartbeats=[beat])
    claim = tracker_service_pb2.ClaimExecutionRequest(
        execution_id=execution_id, owner_address="two:1", after_epoch=1
    )
    await tracker.stub.ClaimExecution(claim)
    await tracker.record(
        make_item(execution_id, 3, "warning", epoch=2),
        make_item(execution_id, 4, "pipeline_complete", epoch=2, stage=5),
    )
    await tracker.record(make_item(execution_id, 3, "warning"))


# --- our own files -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [pb.EXPORT_FORMAT_JSON, pb.EXPORT_FORMAT_JSON_LINES])
async def test_round_trip_is_equal(old: Tracker, new: Tracker, form: Any) -> None:
    """What one tracker exports and another imports is exported by that one with equal values."""
    await record_several(old)
    data = await take(old, form)
    report = await bring(new, data)
    assert (report.read_count, report.imported_count, report.skipped_count) == (4, 4, 0)
    assert values(await take(new, form)) == values(data)


async def test_import_is_idempotent(old: Tracker, new: Tracker) -> None:
    """Repeating an import stores nothing twice, and going on after a part stores the rest."""
    await record_several(old)
    data = await take(old)
    first, *_ = data.splitlines()
    await bring(new, first)
    report = await bring(new, data)
    assert (report.imported_count, report.present_count) == (3, 1)
    report = await bring(new, data)
    assert (report.imported_count, report.present_count, report.item_count) == (0, 4, 0)
    assert values(await take(new)) == values(data)


async def test_import_goes_on_inside_of_a_record(old: Tracker, new: Tracker) -> None:
    """A record of which only some items are here is completed."""
    execution_id = new_id()
    items = make_run(execution_id, 30)
    await old.record(*items)
    await new.record(*items[:10])
    report = await bring(new, await take(old))
    assert (report.imported_count, report.item_count) == (1, 20)
    assert values(await take(new)) == values(await take(old))


async def test_dry_run_stores_nothing(old: Tracker, new: Tracker) -> None:
    """A dry run says what would be done and does nothing."""
    await record_several(old)
    report = await bring(new, await take(old), dry_run=True)
    assert report.dry_run
    assert (report.imported_count, report.item_count) == (4, 600 + 5 + 5 + 3)
    assert await take(new) == b""


async def test_stored_record_is_never_changed(old: Tracker, new: Tracker) -> None:
    """A record that says something else under a known id is skipped, with the reason."""
    execution_id = new_id()
    await old.record(*make_run(execution_id))
    await new.record(*make_run(execution_id))
    before = await take(new)
    report = await bring(new, await take(old))
    assert [(one.execution_id, one.reason) for one in report.skipped] == [
        (execution_id, "CONFLICT")
    ]
    assert await take(new) == before


async def with_a_picture(old: Tracker) -> execution_pb2.ExecutionItem:
    """Record a run with a picture, and return the picture's item."""
    execution_id = new_id()
    picture = make_item(execution_id, 3, "output_image", stage=4, loop_iteration=1)
    picture.media.uri = f"media/{SHA256[:2]}/{SHA256}.png"
    picture.media.sha256 = SHA256
    picture.media.size_bytes = len(PICTURE)
    picture.media.mime_type = "image/png"
    items = make_run(execution_id, 4)
    await old.record(*items[:2], picture, items[3])
    return picture


async def test_zip_brings_its_media(old: Tracker, new: Tracker, media: MediaStore) -> None:
    """Pictures of a ZIP are uploaded and released for the person whose execution it is."""
    picture = await with_a_picture(old)
    report = await bring(new, await take(old, pb.EXPORT_FORMAT_ZIP))
    assert (report.imported_count, report.media_count, report.skipped_count) == (1, 1, 0)
    assert media.uploaded == {SHA256: PICTURE}
    assert media.released == [(picture.execution_id, picture.item_id, SHA256, "s-anna")]
    assert values(await take(new)) == values(await take(old))


# --- files from elsewhere ------------------------------------------------------------------------


async def test_odd_things_are_reported_once(new: Tracker, media: MediaStore) -> None:
    """Unknown types are kept with one warning each; refused files and bad lines have reasons."""
    form = {
        "execution_id": "old-1",
        "safety_level": "martian",
        "items": [
            {"stage": 1, "item_type": "user_input_text", "content": "x"},
            *[{"stage": 2, "item_type": "dream_sequence", "content": "y"}] * 3,
        ],
    }
    report = await bring(new, json.dumps(form).encode() + b"\n{broken\n")
    warnings = {(one.reason, one.subject): one.count for one in report.warnings}
    assert warnings == {
        ("ITEM_TYPE_UNKNOWN", "dream_sequence"): 3,
        ("SAFETY_LEVEL_UNKNOWN", "martian"): 1,
    }
    assert [(one.source, one.reason) for one in report.skipped] == [("file:2", "NO_JSON")]
    assert len((await new.read("old-1")).items) == 5


async def test_refused_items_are_named(new: Tracker) -> None:
    """An item that no tracker would take is left out with its reason; the others are stored."""
    form = {
        "execution_id": "old-2",
        "items": [
            {"stage": 1, "item_type": "user_input_text", "content": "x"},
            {"stage": 2, "item_type": "interception_final", "content": "y" * 1_100_000},
        ],
    }
    report = await bring(new, json.dumps(form).encode())
    assert [one.reason for one in report.skipped] == ["CONTENT_TOO_LARGE"]
    assert report.item_count == 2


async def test_refused_media_are_a_warning(old: Tracker, new: Tracker, media: MediaStore) -> None:
    """A file that the media store does not take does not keep its record out."""
    await with_a_picture(old)
    archive = await take(old, pb.EXPORT_FORMAT_ZIP)
    media.refuses = True
    report = await bring(new, archive)
    assert [one.reason for one in report.warnings] == ["MEDIA_REFUSED"]
    assert report.imported_count == 1


async def test_damaged_records_harm_nobody(old: Tracker, new: Tracker) -> None:
    """Records with any value in any place are read, skipped or refused item by item; never more."""
    await record_resumed(old)
    good = json.loads(await take(old))
    chance = random.Random(4)
    values = [None, "", "x", -1, 0, 2**70, 1e308, True, [], {}, [1], "\ud800", {"a": 1}]
    lines: list[str] = []
    for form in (good, ONE_ZERO):
        for number in range(400):
            bad = json.loads(json.dumps(form)) | {"execution_id": f"bad-{len(lines)}"}
            place = chance.choice([bad, bad, chance.choice(bad["items"])])
            place[chance.choice(list(place))] = chance.choice(values)
            if number % 3:
                for item in bad["items"] if isinstance(bad["items"], list) else []:
                    if isinstance(item, dict):
                        item["execution_id"] = bad["execution_id"]
            lines.append(json.dumps(bad))
    report = await bring(new, "\n".join(lines).encode())
    assert report.read_count + report.skipped_count >= len(lines)
    reasons = {one.reason for one in report.skipped}
    assert {"RECORD_INVALID", "ITEM_INVALID", "NO_RECORD"} <= reasons


# --- refusals ------------------------------------------------------------------------------------


async def test_file_needs_header_and_bytes(new: Tracker) -> None:
    """A stream without a header, or without bytes, is refused with the reason."""

    async def parts(*requests: pb.ImportExecutionsRequest) -> AsyncIterator[Any]:
        for request in requests:
            yield request

    error = await failure(
        new.exports.ImportExecutions(parts(pb.ImportExecutionsRequest(data=b"x")))
    )
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "HEADER_MISSING")
    header = pb.ImportExecutionsRequest(header=pb.ImportExecutionsHeader(filename="x"))
    error = await failure(new.exports.ImportExecutions(parts(header)))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FILE_EMPTY")


async def test_foreign_start_binds_the_record(old: Tracker, new: Tracker) -> None:
    """An imported record belongs to the session that it names, as if it had been recorded here."""
    execution_id = new_id()
    await old.record(make_start(execution_id, "berta"), *make_run(execution_id)[1:])
    await bring(new, await take(old))
    assert (await new.read(execution_id)).summary.session_id == "s-berta"
