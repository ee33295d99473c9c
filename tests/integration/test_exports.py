"""Exports through the tracker's front door: every format, resumed, bounded, with its options."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import polars
import pytest

from servicekit.errors import Code, NotFoundError, remote_error
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import export_service_pb2 as pb
from tests.fakes.partial import add_partial_service
from tests.integration.tracker import (
    DATABASES,
    Request,
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
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PICTURE = b"the bytes of a picture " * 100_000
SHA256 = hashlib.sha256(PICTURE).hexdigest()
KEY = "a key that the deployment keeps apart"
BUILT = [
    pb.EXPORT_FORMAT_CSV,
    pb.EXPORT_FORMAT_XLSX,
    pb.EXPORT_FORMAT_PARQUET,
    pb.EXPORT_FORMAT_PDF,
    pb.EXPORT_FORMAT_ZIP,
    pb.EXPORT_FORMAT_RO_CRATE,
    pb.EXPORT_FORMAT_PROV_JSON,
]


class Generation:
    """The neighbour that keeps the media; it has one picture."""

    def __init__(self) -> None:
        """Answer at once."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def read_media(
        self, request: generation_service_pb2.ReadMediaRequest, _: Any
    ) -> AsyncIterator[generation_service_pb2.ReadMediaResponse]:
        """Stream the picture."""
        self.asked.set()
        await self.gate.wait()
        if request.key.sha256 != SHA256:
            raise NotFoundError("MEDIA_NOT_FOUND", "There is no such file.")
        media = types_pb2.MediaRef(sha256=SHA256, size_bytes=len(PICTURE))
        for begin in range(0, len(PICTURE), 500_000):
            piece = PICTURE[begin : begin + 500_000]
            yield generation_service_pb2.ReadMediaResponse(data=piece, media=media)


@asynccontextmanager
async def serving_media(generation: Generation) -> AsyncIterator[str]:
    """Run the neighbour and yield its address."""

    async def register(server: grpc.aio.Server, _: Any) -> list[str]:
        service = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"]
        add_partial_service(server, service, {"ReadMedia": generation.read_media})
        return [service.full_name]

    settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=1)
    async with start_server(settings, register) as server:
        yield server.address


@pytest.fixture
async def generation() -> Generation:
    """The neighbour, to be told how to behave."""
    return Generation()


@pytest.fixture(params=DATABASES)
async def tracker(
    tmp_path: Path, generation: Generation, request: pytest.FixtureRequest
) -> AsyncIterator[Tracker]:
    """A tracker with an empty database and a neighbour."""
    url = empty_database(request.param)
    async with (
        serving_media(generation) as address,
        running_tracker(
            tmp_path, generation_address=address, pseudonym_key=KEY, database_url=url
        ) as tracker,
    ):
        yield tracker


async def record_run(tracker: Tracker, sha256: str = SHA256, length: int = 5) -> str:
    """Record a run with a picture and return its id."""
    execution_id = new_id()
    items = make_run(execution_id, length)
    picture = make_item(execution_id, 3, "output_image", stage=4, loop_iteration=1)
    picture.media.uri = f"media/{sha256[:2]}/{sha256}.png"
    picture.media.sha256 = sha256
    picture.media.size_bytes = len(PICTURE)
    picture.media.mime_type = "application/octet-stream"
    await tracker.record(*items[:2], picture, *items[3:])
    return execution_id


async def export(tracker: Tracker, form: Any, **fields: Any) -> bytes:
    """Return the file of an export."""
    request = pb.ExportExecutionsRequest(format=form, **fields)
    return b"".join(
        [chunk.data for chunk in await read_all(tracker.exports.ExportExecutions(request))]
    )


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", BUILT)
async def test_format_is_handed_out(tracker: Tracker, form: Any) -> None:
    """Each built format arrives whole, with its name, kind and size."""
    await record_run(tracker)
    request = pb.ExportExecutionsRequest(format=form)
    chunks = await read_all(tracker.exports.ExportExecutions(request))
    data = [chunk for chunk in chunks if chunk.data]
    assert sum(len(chunk.data) for chunk in data) == data[0].size_bytes
    assert len({(chunk.mime_type, chunk.filename) for chunk in chunks}) == 1
    assert data[0].filename.startswith("executions.")


async def test_zip_holds_records_and_media(tracker: Tracker) -> None:
    """Records and the bytes of their pictures are in the archive; what is gone is named."""
    execution_id = await record_run(tracker)
    await record_run(tracker, sha256="0" * 64)
    data = await export(tracker, pb.EXPORT_FORMAT_ZIP)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read(f"media/{SHA256[:2]}/{SHA256}.png") == PICTURE
        record = json.loads(archive.read(f"records/dada/{execution_id}.json"))
        assert record["user_input"] == "Eine Blume"
        assert "0" * 64 in archive.read("missing-media.txt").decode()
        assert json.loads(archive.read("export.json"))["record_count"] == 2


async def test_media_are_not_fetched_when_left_out(
    tracker: Tracker, generation: Generation
) -> None:
    """Without media the neighbour is not even asked."""
    await record_run(tracker)
    data = await export(tracker, pb.EXPORT_FORMAT_ZIP, drop_media=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert not [name for name in archive.namelist() if name.startswith("media/")]
    assert not generation.asked.is_set()


async def test_filters_and_options_hold_for_built_files(tracker: Tracker) -> None:
    """States, configs and pseudonyms shape a table as they shape JSON."""
    execution_id = await record_run(tracker)
    await tracker.record(make_start(new_id()))
    data = await export(
        tracker,
        pb.EXPORT_FORMAT_PARQUET,
        states=[execution_pb2.EXECUTION_STATE_COMPLETED],
        pseudonymise=True,
    )
    frame = polars.read_parquet(io.BytesIO(data))
    assert set(frame["execution_id"]) == {execution_id}
    assert b"s-anna" not in data
    plain = await export(tracker, pb.EXPORT_FORMAT_JSON_LINES, pseudonymise=True)
    assert set(frame["user_id"]) == {json.loads(plain.splitlines()[0])["user_id"]}


async def test_export_of_one_person(tracker: Tracker) -> None:
    """Only the executions of a pseudonym are in the file, whatever the format."""
    for user in ("anna", "berta"):
        await tracker.record(*make_run(new_id(), user=user))
    data = await export(tracker, pb.EXPORT_FORMAT_PARQUET, user_id="berta")
    assert set(polars.read_parquet(io.BytesIO(data))["user_id"]) == {"berta"}
    lines = await export(tracker, pb.EXPORT_FORMAT_JSON_LINES, user_id="berta")
    assert [json.loads(line)["user_id"] for line in lines.splitlines()] == ["berta"]


# --- resuming ------------------------------------------------------------------------------------


async def test_built_file_goes_on_from_every_cursor(tracker: Tracker) -> None:
    """After a break the same bytes follow, without building again."""
    await record_run(tracker)
    request = pb.ExportExecutionsRequest(format=pb.EXPORT_FORMAT_ZIP)
    chunks = [
        chunk for chunk in await read_all(tracker.exports.ExportExecutions(request)) if chunk.data
    ]
    whole = b"".join(chunk.data for chunk in chunks)
    assert len(chunks) > 2
    done = 0
    for chunk in chunks:
        done += len(chunk.data)
        request.cursor = chunk.cursor
        rest = await read_all(tracker.exports.ExportExecutions(request))
        assert b"".join(one.data for one in rest) == whole[done:]


async def test_cursor_of_a_file_that_is_gone(tmp_path: Path) -> None:
    """When the file was removed, the caller is told to begin again; with other filters, too."""
    async with running_tracker(tmp_path, export_keep_seconds=0.01) as tracker:
        await tracker.record(*make_run(new_id()))
        request = pb.ExportExecutionsRequest(format=pb.EXPORT_FORMAT_CSV)
        *_, last = await read_all(tracker.exports.ExportExecutions(request))
        request.cursor = last.cursor
        await eventually(lambda: not list((tmp_path / "exports").iterdir()))
        error = await failure(read_all(tracker.exports.ExportExecutions(request)))
        assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "CURSOR_INVALID")


async def test_nothing_is_left_of_a_cancelled_export(
    tracker: Tracker, generation: Generation, tmp_path: Path
) -> None:
    """A caller who leaves while a file is being built leaves no file behind."""
    await record_run(tracker)
    generation.gate.clear()
    call = tracker.exports.ExportExecutions(pb.ExportExecutionsRequest(format=pb.EXPORT_FORMAT_ZIP))
    progress = await call.read()
    assert isinstance(progress, pb.ExportExecutionsResponse)
    assert (progress.data, progress.cursor) == (b"", "")
    call.cancel()
    await eventually(lambda: not list((tmp_path / "exports").iterdir()))


# --- refusals ------------------------------------------------------------------------------------


async def test_builds_are_bounded(tracker: Tracker, generation: Generation) -> None:
    """A third export at once is asked to come back; afterwards there is room again."""
    await record_run(tracker)
    generation.gate.clear()
    request = pb.ExportExecutionsRequest(format=pb.EXPORT_FORMAT_ZIP)
    calls = [tracker.exports.ExportExecutions(request) for _ in range(2)]
    for call in calls:
        await anext(aiter(call))
    error = await failure(read_all(tracker.exports.ExportExecutions(request)))
    assert (error.code, error.reason) == (Code.RESOURCE_EXHAUSTED, "EXPORTS_BUSY")
    assert error.retry_seconds
    generation.gate.set()
    for call in calls:
        await read_all(call)
    assert await export(tracker, pb.EXPORT_FORMAT_ZIP)


async def test_pdf_of_too_many_is_refused(tracker: Tracker) -> None:
    """A format that is kept in memory names its limit."""
    await tracker.record_all(
        [Request(items=[make_start(new_id()) for _ in range(101)], batch_number=1)]
    )
    request = pb.ExportExecutionsRequest(format=pb.EXPORT_FORMAT_PDF)
    error = await failure(read_all(tracker.exports.ExportExecutions(request)))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "TOO_MANY_RECORDS")


async def test_neighbour_that_is_away_is_named(tmp_path: Path) -> None:
    """Media that nobody answers for end the export with a way out."""
    async with running_tracker(tmp_path, generation_address="127.0.0.1:1") as tracker:
        await record_run(tracker)
        with pytest.raises(grpc.RpcError) as raised:
            await export(tracker, pb.EXPORT_FORMAT_ZIP)
        error = remote_error(raised.value)
        assert (error.code, error.reason) == (Code.UNAVAILABLE, "MEDIA_UNAVAILABLE")
