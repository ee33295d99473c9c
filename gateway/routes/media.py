"""Files: pictures of learners in, what was made out; always as streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, File, Header, Path, Query, Request, Response, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse

from gateway.identity import Person
from gateway.neighbours import Neighbours
from gateway.problems import Answers, documented, problem
from gateway.ranges import ByteRange, UnsatisfiableRangeError, read_range
from gateway.routes.answers import Id, Services, answers_with, plain
from servicekit.channel import ending
from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.generation.v1 import generation_service_pb2 as pb

router = APIRouter(prefix="/api", tags=["media"])

TRANSFER_SECONDS = 600.0
CHUNK_BYTES = 256 * 1024
CACHE = "private, max-age=3600"
"""An hour, and by the person's own browser alone: what was erased must not stay for long."""
_SHOWN = ("image/", "audio/", "video/", "model/")
_FILE: Answers = {
    200: {"description": "The file.", "content": {"*/*": {}}},
    206: {"description": "A part of it.", "content": {"*/*": {}}},
    304: {"description": "It is what the browser has."},
}

Thumbnail = Annotated[
    int, Query(ge=0, le=1024, description="Pixels of a small picture of it. 0: the file.")
]
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="As the upload answered.")]
RangeHeader = Annotated[
    str | None,
    Header(alias="Range", max_length=60, description="The wanted part, such as `bytes=0-999`."),
]
Match = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=200, description="The `ETag` of what is known."),
]


@router.post(
    "/media",
    status_code=201,
    responses=answers_with(MediaRef.DESCRIPTOR, 201) | documented(400, 401, 413, 422, 503),
    response_class=JSONResponse,
)
async def upload(
    file: Annotated[UploadFile, File(description="PNG, JPEG or WebP.")],
    person: Person,
    services: Services,
) -> JSONResponse:
    """Store a picture for a later run; where it was taken is removed from it."""
    return plain(await store(file, services), 201)


async def store(file: UploadFile, services: Neighbours) -> MediaRef:
    """Store a picture for a later run.

    Raises:
        grpc.aio.AioRpcError: It is no picture that can be used, or the service does not answer.
    """
    answer = await services.generation.UploadMedia(_parts(file), timeout=TRANSFER_SECONDS)
    return answer.media


@router.head("/executions/{execution_id}/items/{item_id}/media", include_in_schema=False)
@router.get(
    "/executions/{execution_id}/items/{item_id}/media",
    responses=_FILE | documented(400, 401, 404, 416, 422, 503),
    response_class=Response,
)
async def of_item(
    request: Request,
    execution_id: Id,
    item_id: Id,
    person: Person,
    services: Services,
    thumbnail: Thumbnail = 0,
    wanted: RangeHeader = None,
    known: Match = None,
) -> Response:
    """Send the file of an item, marked as machine-made where it is."""
    item = pb.ItemKey(execution_id=execution_id, item_id=item_id)
    return await _send(request, services, pb.MediaKey(item=item), thumbnail, wanted, known)


@router.head("/media/{sha256}", include_in_schema=False)
@router.get(
    "/media/{sha256}",
    responses=_FILE | documented(400, 401, 404, 416, 422, 503),
    response_class=Response,
)
async def of_upload(
    request: Request,
    sha256: Sha256,
    person: Person,
    services: Services,
    thumbnail: Thumbnail = 0,
    wanted: RangeHeader = None,
    known: Match = None,
) -> Response:
    """Send a file that the caller has uploaded."""
    key = pb.MediaKey(sha256=sha256)
    # As a service we could read any file by its hash; this asks for the person's own uploads.
    await services.generation.GetMediaInfo(pb.GetMediaInfoRequest(key=key))
    return await _send(request, services, key, thumbnail, wanted, known)


async def _parts(file: UploadFile) -> AsyncIterator[pb.UploadMediaRequest]:
    yield pb.UploadMediaRequest(header=pb.UploadMediaHeader(filename=(file.filename or "")[:200]))
    while data := await file.read(CHUNK_BYTES):
        yield pb.UploadMediaRequest(data=data)


async def _send(
    request: Request,
    services: Neighbours,
    key: pb.MediaKey,
    thumbnail: int,
    wanted: str | None,
    known: str | None,
) -> Response:
    """Send a file or a part of it; what it is shows with the first piece."""
    asked = pb.ReadMediaRequest(key=key, thumbnail_pixels=thumbnail)
    call, first = await _opened(services, asked)
    size = first.delivery.size_bytes
    etag = f'"{first.media.sha256}-{thumbnail}-{int(first.delivery.marked)}"'
    headers = _headers(first, etag)
    try:
        part = read_range(wanted, size)
    except UnsatisfiableRangeError:
        call.cancel()
        refusal = problem(416, "RANGE_NOT_SATISFIABLE", "The file has no such part.")
        refusal.headers["content-range"] = f"bytes */{size}"
        return refusal
    if known == etag:
        call.cancel()
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    if part is not None:
        headers["content-range"] = f"bytes {part.first}-{part.last}/{size}"
    else:
        part = ByteRange(0, size - 1)
    headers["content-length"] = str(part.size)
    if request.method == "HEAD":
        call.cancel()
        return Response(status_code=status, headers=headers)
    begin = part.first
    if begin >= len(first.data) > 0:
        # Further in: the service begins there, instead of sending what nobody reads.
        call.cancel()
        asked.offset = begin
        call, first = await _opened(services, asked)
        begin = 0
    return StreamingResponse(_pieces(call, first.data[begin:], part.size), status, headers)


async def _opened(
    services: Neighbours, asked: pb.ReadMediaRequest
) -> tuple[Any, pb.ReadMediaResponse]:
    """Begin to read; return the call and its first piece."""
    call = services.generation.ReadMedia(asked, timeout=TRANSFER_SECONDS)
    try:
        return call, await anext(aiter(call))
    except BaseException:
        call.cancel()
        raise


async def _pieces(call: Any, data: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield `size` bytes, beginning with those that are here."""
    with ending(call):
        stream = aiter(call)
        while size > 0:
            yield data[:size]
            size -= len(data)
            if size > 0:
                data = (await anext(stream)).data


def _headers(first: pb.ReadMediaResponse, etag: str) -> dict[str, str]:
    mime_type = first.delivery.mime_type or "application/octet-stream"
    headers = {
        "content-type": mime_type,
        "accept-ranges": "bytes",
        "cache-control": CACHE,
        "etag": etag,
    }
    if not mime_type.startswith(_SHOWN) or mime_type == "image/svg+xml":
        headers["content-disposition"] = "attachment"
    return headers
