"""The safety service through its front door: a real server, and a generation service beside it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from io import BytesIO
from typing import TYPE_CHECKING

import grpc
import pytest
from PIL import Image
from pydantic import SecretStr

from safety_service.service import registration
from safety_service.settings import SafetySettings
from servicekit.channel import open_channel
from servicekit.errors import Code, NotFoundError, RemoteError, remote_error
from servicekit.principals import Role, current_principal, identity_metadata
from servicekit.server import start_server
from servicekit.settings import ConfigurationError
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc
from stellwerk.safety.v1 import verdict_pb2
from tests.support import eventually, free_port, local_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from servicekit.server import Owned, ServiceNames

KIDS = types_pb2.SAFETY_LEVEL_KIDS
YOUTH = types_pb2.SAFETY_LEVEL_YOUTH
ADULT = types_pb2.SAFETY_LEVEL_ADULT
OFF = types_pb2.SAFETY_LEVEL_OFF
INPUT = safety.DIRECTION_INPUT
OUTPUT = safety.DIRECTION_OUTPUT
KEY = "a-shared-secret-of-services"


class MediaServer(generation_grpc.GenerationServiceServicer):
    """Reads media from memory in small pieces, for services only, as generation does."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.refuses = False
        self.callers: list[Role] = []

    def add(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = content
        return sha256

    async def ReadMedia(
        self,
        request: generation.ReadMediaRequest,
        context: grpc.aio.ServicerContext[
            generation.ReadMediaRequest, generation.ReadMediaResponse
        ],
    ) -> AsyncIterator[generation.ReadMediaResponse]:
        self.callers.append(current_principal().actor)
        if self.refuses:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        content = self.files.get(request.key.sha256)
        if content is None:
            raise NotFoundError("MEDIA_NOT_FOUND", "There is no such file.")
        for start in range(0, len(content), 1000):
            yield generation.ReadMediaResponse(data=content[start : start + 1000])

    async def register(self, server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        generation_grpc.add_GenerationServiceServicer_to_server(self, server)
        return ["stellwerk.generation.v1.GenerationService"]


@contextlib.asynccontextmanager
async def _safety(
    generation_address: str, service_key: str | None = None, **settings: object
) -> AsyncIterator[grpc.aio.Channel]:
    values = SafetySettings(
        listen_address="127.0.0.1:0",
        grace_seconds=1,
        generation_address=generation_address,
        service_key=SecretStr(service_key) if service_key else None,
        **settings,  # type: ignore[arg-type]
    )
    async with (
        start_server(values, registration(values)) as server,
        open_channel(server.address, service_key=service_key) as channel,
    ):
        yield channel


@pytest.fixture
def media() -> MediaServer:
    """The store behind generation."""
    return MediaServer()  # type: ignore[abstract]  # other RPCs are UNIMPLEMENTED


@pytest.fixture
async def stub(media: MediaServer) -> AsyncIterator[safety_grpc.SafetyServiceAsyncStub]:
    """The safety service with a generation service beside it."""
    async with (
        start_server(local_settings(), media.register) as neighbour,
        _safety(neighbour.address) as channel,
    ):
        yield safety_grpc.SafetyServiceStub(channel)


def _text(text: str, level: types_pb2.SafetyLevel.ValueType = KIDS) -> safety.CheckTextRequest:
    return safety.CheckTextRequest(text=text, safety_level=level, direction=INPUT)


def _image(
    sha256: str, level: types_pb2.SafetyLevel.ValueType = KIDS, *, photographic: bool | None = None
) -> safety.CheckImageRequest:
    return safety.CheckImageRequest(
        media=types_pb2.MediaRef(sha256=sha256),
        safety_level=level,
        direction=INPUT,
        photographic=photographic,
    )


def _picture(size: tuple[int, int] = (60, 30)) -> bytes:
    stream = BytesIO()
    Image.effect_noise(size, 80).save(stream, "PNG")
    return stream.getvalue()


async def _fault(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return remote_error(caught.value)


async def test_a_harmless_text_is_allowed(stub: safety_grpc.SafetyServiceAsyncStub) -> None:
    """The verdict says what it rests on, and nothing to the person."""
    verdict = (await stub.CheckText(_text("Eine Blume auf der Wiese"))).verdict
    assert verdict.decision == verdict_pb2.DECISION_ALLOW
    assert not verdict.reasons and not verdict.HasField("message")
    assert not verdict.allowed_with_warning
    assert verdict.safety_level == KIDS
    assert [check.name for check in verdict.checks] == [
        "normalise",
        "terms_law",
        "terms_age",
        "classifier",
        "text_guard",
        "personal_data",
    ]
    guard = verdict.checks[4]
    others = {check.outcome for check in verdict.checks if check is not guard}
    assert others == {verdict_pb2.CHECK_OUTCOME_PASSED}
    assert (guard.outcome, guard.detail) == (verdict_pb2.CHECK_OUTCOME_SKIPPED, "not_configured")
    assert verdict.content_sha256 == hashlib.sha256(b"Eine Blume auf der Wiese").hexdigest()
    assert len(verdict.policy_version) == 64


async def test_a_block_names_category_entry_and_place(
    stub: safety_grpc.SafetyServiceAsyncStub,
) -> None:
    """The place is one of the text as it was sent, in code points."""
    text = "🎨 Äh, male Massenm\u200b0rd bitte"
    verdict = (await stub.CheckText(_text(text))).verdict
    assert verdict.decision == verdict_pb2.DECISION_BLOCK
    reason = verdict.reasons[0]
    assert reason.category == verdict_pb2.CATEGORY_VIOLENCE
    assert (reason.score, reason.layer) == (1.0, 2)
    assert reason.entry_id.startswith("violence.")
    assert text[reason.span.start : reason.span.end] == reason.span.text == "Massenm\u200b0rd"
    assert set(verdict.message.texts) == {"de", "en"}
    assert "massenm0rd" not in verdict.message.texts["de"].lower()


async def test_levels_differ_and_the_law_does_not(
    stub: safety_grpc.SafetyServiceAsyncStub,
) -> None:
    """Nakedness is for grown-ups, a forbidden symbol for nobody."""
    for level, naked in ((KIDS, "BLOCK"), (YOUTH, "BLOCK"), (ADULT, "ALLOW"), (OFF, "ALLOW")):
        verdict = (await stub.CheckText(_text("Eine nackte Frau", level))).verdict
        assert verdict.decision == verdict_pb2.Decision.Value(f"DECISION_{naked}")
        verdict = (await stub.CheckText(_text("Ein Hakenkreuz", level))).verdict
        assert verdict.decision == verdict_pb2.DECISION_BLOCK
        assert verdict.reasons[0].category == verdict_pb2.CATEGORY_EXTREMISM_86A


async def test_repeating_a_check_gives_the_same_verdict(
    stub: safety_grpc.SafetyServiceAsyncStub,
) -> None:
    """Only durations differ."""
    first, second = [(await stub.CheckText(_text("Ein Mörder"))).verdict for _ in range(2)]
    for check in (*first.checks, *second.checks):
        check.ClearField("run_duration")
    assert first == second


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (_text(""), "EMPTY_TEXT", "text"),
        (_text(" \n\t"), "EMPTY_TEXT", "text"),
        (_text("x" * 20_001), "TEXT_TOO_LONG", "text"),
        (
            safety.CheckTextRequest(text="x", direction=INPUT),
            "LEVEL_UNSPECIFIED",
            "safety_level",
        ),
        (
            safety.CheckTextRequest(text="x", safety_level=KIDS),
            "DIRECTION_UNSPECIFIED",
            "direction",
        ),
    ],
)
async def test_faulty_text_requests_name_the_field(
    stub: safety_grpc.SafetyServiceAsyncStub,
    request_: safety.CheckTextRequest,
    reason: str,
    field: str,
) -> None:
    """INVALID_ARGUMENT with the documented reason, alone and in a batch."""
    fault = await _fault(stub.CheckText(request_))
    assert (fault.code, fault.reason, fault.field) == (Code.INVALID_ARGUMENT, reason, field)
    batch = safety.CheckTextsRequest(requests=[_text("Blume"), request_])
    fault = await _fault(stub.CheckTexts(batch))
    assert (fault.reason, fault.field) == (reason, f"requests[1].{field}")


async def test_the_longest_text_is_judged(stub: safety_grpc.SafetyServiceAsyncStub) -> None:
    """20 000 characters, counted as characters and not as bytes, are not too many."""
    verdict = (await stub.CheckText(_text("ä" * 19_980 + " nackte Frau"))).verdict
    assert verdict.decision == verdict_pb2.DECISION_BLOCK
    assert verdict.reasons[0].span.start == 19_981


async def test_a_batch_answers_in_order(stub: safety_grpc.SafetyServiceAsyncStub) -> None:
    """One verdict per text; none and too many are faults."""
    texts = ["Blume", "Eine nackte Frau", "Wiese", "Hakenkreuz"]
    response = await stub.CheckTexts(safety.CheckTextsRequest(requests=map(_text, texts)))
    allow, block = verdict_pb2.DECISION_ALLOW, verdict_pb2.DECISION_BLOCK
    assert [v.decision for v in response.verdicts] == [allow, block, allow, block]
    fault = await _fault(stub.CheckTexts(safety.CheckTextsRequest()))
    assert (fault.reason, fault.field) == ("NO_TEXTS", "requests")
    many = safety.CheckTextsRequest(requests=[_text("Blume")] * 65)
    fault = await _fault(stub.CheckTexts(many))
    assert (fault.reason, fault.field) == ("TOO_MANY_TEXTS", "requests")


async def test_pictures_are_read_and_judged(
    stub: safety_grpc.SafetyServiceAsyncStub, media: MediaServer
) -> None:
    """Without a guard model a photograph is not for minors; a drawn picture is."""
    sha256 = media.add(_picture())
    photo = await stub.CheckImage(_image(sha256))
    assert photo.verdict.decision == verdict_pb2.DECISION_UNAVAILABLE
    assert photo.verdict.content_sha256 == sha256
    assert [check.detail for check in photo.verdict.checks] == ["", "not_configured"]
    drawn = await stub.CheckImage(_image(sha256, photographic=False))
    assert drawn.verdict.decision == verdict_pb2.DECISION_ALLOW
    assert (drawn.width, drawn.height) == (60, 30)
    adult = await stub.CheckImage(_image(sha256, ADULT))
    assert adult.verdict.decision == verdict_pb2.DECISION_ALLOW
    assert adult.verdict.allowed_with_warning and adult.verdict.message.texts["en"]


async def test_faulty_pictures_name_the_field(
    stub: safety_grpc.SafetyServiceAsyncStub, media: MediaServer
) -> None:
    """A broken picture is the caller's fault, whatever the level."""
    for content, reason in (
        (_picture()[:200], "BROKEN_IMAGE"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "UNSUPPORTED_IMAGE_FORMAT"),
        (_picture() + b"\0" * (20 << 20), "IMAGE_TOO_LARGE"),
    ):
        fault = await _fault(stub.CheckImage(_image(media.add(content), OFF)))
        assert (fault.code, fault.reason) == (Code.INVALID_ARGUMENT, reason)
        assert fault.field == "media.sha256"
    for sha256 in ("", "nonsense", "A" * 64):
        fault = await _fault(stub.CheckImage(_image(sha256)))
        assert (fault.reason, fault.field) == ("MEDIA_MISSING", "media.sha256")
    request = safety.CheckImageRequest(media=types_pb2.MediaRef(sha256="0" * 64))
    assert (await _fault(stub.CheckImage(request))).reason == "LEVEL_UNSPECIFIED"
    request.safety_level = KIDS
    assert (await _fault(stub.CheckImage(request))).reason == "DIRECTION_UNSPECIFIED"


async def test_unreachable_pictures_are_no_error_and_never_allowed(
    stub: safety_grpc.SafetyServiceAsyncStub, media: MediaServer
) -> None:
    """An unknown file and a neighbour that refuses give UNAVAILABLE, and a message that says so."""
    for level in (KIDS, YOUTH, ADULT, OFF):
        response = await stub.CheckImage(_image("0" * 64, level, photographic=False))
        assert response.verdict.decision == verdict_pb2.DECISION_UNAVAILABLE
        assert response.verdict.checks[0].detail == "not_found"
        assert (response.width, response.height) == (0, 0)
        assert response.verdict.message.texts["de"]
    media.refuses = True
    response = await stub.CheckImage(_image(media.add(_picture()), OFF))
    assert response.verdict.checks[0].detail == "unreachable"
    assert response.verdict.decision == verdict_pb2.DECISION_UNAVAILABLE


async def test_a_neighbour_that_comes_back_is_asked_again(
    stub: safety_grpc.SafetyServiceAsyncStub, media: MediaServer
) -> None:
    """A picture is judged although generation was away when it was asked for first."""
    media.refuses = True
    check = asyncio.ensure_future(
        stub.CheckImage(_image(media.add(_picture()), photographic=False))
    )
    await eventually(lambda: media.callers)
    media.refuses = False
    assert (await check).verdict.decision == verdict_pb2.DECISION_ALLOW


async def test_a_dead_neighbour_means_unavailable() -> None:
    """With generation down texts are judged as ever, pictures are not."""
    async with _safety(f"127.0.0.1:{free_port()}", media_timeout_seconds=2) as channel:
        stub = safety_grpc.SafetyServiceStub(channel)
        response = await stub.CheckImage(_image("0" * 64, photographic=False))
        assert response.verdict.decision == verdict_pb2.DECISION_UNAVAILABLE
        verdict = (await stub.CheckText(_text("Blume"))).verdict
        assert verdict.decision == verdict_pb2.DECISION_ALLOW


async def test_pictures_are_read_in_the_service_role(media: MediaServer) -> None:
    """On behalf of a learner, and yet as a service, which alone may read unreleased media."""
    neighbours = local_settings().model_copy(update={"service_key": SecretStr(KEY)})
    async with (
        start_server(neighbours, media.register) as neighbour,
        _safety(neighbour.address, KEY) as channel,
    ):
        stub = safety_grpc.SafetyServiceStub(channel)
        learner = identity_metadata(user="lena", session="s1", role=Role.LEARNER)
        request = _image(media.add(_picture()), photographic=False)
        response = await stub.CheckImage(request, metadata=learner)
        assert response.verdict.decision == verdict_pb2.DECISION_ALLOW
    assert media.callers == [Role.SERVICE]


async def test_the_policy_of_each_level_can_be_read(
    stub: safety_grpc.SafetyServiceAsyncStub,
) -> None:
    """Checks, directions, what a failure means, and what this deployment lacks."""
    counts = []
    for level in (KIDS, YOUTH, ADULT, OFF):
        policy = await stub.GetPolicy(safety.GetPolicyRequest(safety_level=level))
        checks = {check.name: check for check in policy.checks}
        assert ("terms_age" in checks) == (level in (KIDS, YOUTH))
        assert ("image_guard" in checks) == (level != OFF)
        assert checks["terms_law"].on_failure == safety.FAILURE_POLICY_BLOCK
        assert list(checks["terms_law"].directions) == [INPUT, OUTPUT]
        assert policy.max_text_length == 20_000
        counts.append(policy.entry_count)
    assert counts[0] > counts[1] > counts[2] == counts[3] > 0
    kids = await stub.GetPolicy(safety.GetPolicyRequest(safety_level=KIDS))
    guard = next(check for check in kids.checks if check.name == "image_guard")
    assert not guard.configured and guard.on_failure == safety.FAILURE_POLICY_BLOCK
    verdict = (await stub.CheckText(_text("Blume"))).verdict
    assert verdict.policy_version == kids.policy_version
    fault = await _fault(stub.GetPolicy(safety.GetPolicyRequest()))
    assert (fault.reason, fault.field) == ("LEVEL_UNSPECIFIED", "safety_level")


async def test_a_faulty_policy_stops_the_start_with_all_faults(tmp_path: Path) -> None:
    """No server comes up with rules that nobody can follow."""
    (tmp_path / "policy.json").write_text("{}")
    with pytest.raises(ConfigurationError) as caught:
        async with _safety("127.0.0.1:1", policy_dir=tmp_path):
            pass
    assert "checks" in str(caught.value) and "messages" in str(caught.value)
