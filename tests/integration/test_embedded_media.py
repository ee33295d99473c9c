"""Every medium of the embedded renderers through the front door: a real server, real children."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from generation_service.backends.embedded.works import make_work
from servicekit.errors import Code
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as pb
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
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MEDIA: dict[str, tuple[int, str, dict[str, object]]] = {
    "sound": (types_pb2.MEDIA_TYPE_AUDIO, "audio/wav", {"duration_seconds": 2}),
    "music": (types_pb2.MEDIA_TYPE_MUSIC, "audio/wav", {"duration_seconds": 4, "key": "A minor"}),
    "video": (
        types_pb2.MEDIA_TYPE_VIDEO,
        "image/webp",
        {"width": 64, "height": 64, "duration_seconds": 1, "fps": 4},
    ),
    "model": (types_pb2.MEDIA_TYPE_THREE_D, "model/gltf-binary", {"detail": 1}),
}
_TYPED = {field.name for field in pb.MediaParameters.DESCRIPTOR.fields}


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    """A client of a service that starts with an empty folder."""
    async with generation(tmp_path, Echo()) as stub:
        yield stub


def asked(values: dict[str, object], seed: int = 7) -> pb.MediaParameters:
    """Parameters as the orchestrator sends them: typed where the contract names them."""
    typed = {name: value for name, value in values.items() if name in _TYPED}
    extra = {name: value for name, value in values.items() if name not in _TYPED}
    return pb.MediaParameters(
        **typed,  # type: ignore[arg-type]
        seed=seed,
        extra_json=json.dumps(extra).encode(),
    )


@pytest.mark.parametrize("model", list(MEDIA))
async def test_a_work_is_made_released_and_read(stub: Stub, model: str) -> None:
    """The whole way of an output of each medium, with what was applied and how honest it is."""
    media_type, mime_type, values = MEDIA[model]
    request = order("a cat in the rain", model=model, media_type=media_type)
    request.parameters.CopyFrom(asked(values))
    events = await run(stub, request)
    end, output = events[-1].finished, events[-2].output
    assert (end.state, end.model) == (pb.JOB_STATE_DONE, f"embedded/{model}")
    assert not end.warnings
    assert not output.photographic
    assert output.media.mime_type == mime_type
    applied = json.loads(end.parameters_json)
    assert applied.items() >= {**values, "seed": 7}.items()
    release = pb.ReleaseMediaRequest(execution_id="e1", item_id="i1", sha256=output.media.sha256)
    await stub.ReleaseMedia(release, metadata=acting("s1"))
    data = await read(stub, item(), acting("s1"))
    assert hashlib.sha256(data).hexdigest() == output.media.sha256
    assert data == make_work({**applied, "model": model, "prompt": "a cat in the rain"})


@pytest.mark.parametrize("model", list(MEDIA))
async def test_a_work_can_be_repeated_from_its_record(stub: Stub, model: str) -> None:
    """What was returned as applied gives the same file again."""
    media_type, _, values = MEDIA[model]
    first = order("a sad bird", model=model, media_type=media_type)
    first.parameters.CopyFrom(asked(values))
    events = await run(stub, first)
    applied = json.loads(events[-1].finished.parameters_json)
    again = order("a sad bird", model=model, media_type=media_type, item_id="i2")
    again.parameters.CopyFrom(asked({k: v for k, v in applied.items() if k != "seed"}))
    repeated = await run(stub, again)
    assert repeated[-2].output.media.sha256 == events[-2].output.media.sha256


async def test_a_renderer_makes_its_own_medium_only(stub: Stub) -> None:
    """Nobody gets a sound where a film was asked for."""
    error = await refused(run(stub, order(model="sound", media_type=types_pb2.MEDIA_TYPE_VIDEO)))
    assert (error.code, error.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_limits_are_told_before_anything_is_queued(stub: Stub) -> None:
    """A film too large for its length is refused with the field that is to blame."""
    request = order(model="video", media_type=types_pb2.MEDIA_TYPE_VIDEO)
    request.parameters.CopyFrom(asked({"width": 768, "height": 768, "duration_seconds": 8}))
    error = await refused(run(stub, request))
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE")
    assert error.field == "parameters.width"
