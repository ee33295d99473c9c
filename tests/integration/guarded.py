"""The safety service with guards: real safety and generation services, fake model servers."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

from generation_service.service import registration as generation
from generation_service.settings import GenerationSettings
from safety_service.service import registration as safety_registration
from safety_service.settings import SafetySettings
from servicekit.channel import open_channel
from servicekit.server import start_server
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb
from stellwerk.generation.v1 import generation_service_pb2_grpc as generation_grpc
from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import safety_service_pb2_grpc as safety_grpc
from stellwerk.safety.v1 import verdict_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub
    from stellwerk.safety.v1.safety_service_pb2_grpc import SafetyServiceAsyncStub

KIDS = types_pb2.SAFETY_LEVEL_KIDS
YOUTH = types_pb2.SAFETY_LEVEL_YOUTH
ADULT = types_pb2.SAFETY_LEVEL_ADULT
OFF = types_pb2.SAFETY_LEVEL_OFF
LEVELS = (KIDS, YOUTH, ADULT, OFF)
ALLOW = verdict_pb2.DECISION_ALLOW
BLOCK = verdict_pb2.DECISION_BLOCK
UNAVAILABLE = verdict_pb2.DECISION_UNAVAILABLE

PATIENT_SECONDS = 60.0
"""The guard's limit where its answer matters: nothing that works ever takes so long."""

HASTY_SECONDS = 1.0
"""The guard's limit where it hangs for good."""


@dataclass
class GuardedSafety:
    """A safety service with guards, and the generation service behind it."""

    judge: SafetyServiceAsyncStub
    generation: GenerationServiceAsyncStub

    async def text(
        self,
        text: str,
        level: types_pb2.SafetyLevel.ValueType = KIDS,
        direction: safety.Direction.ValueType = safety.DIRECTION_OUTPUT,
        language: str = "",
    ) -> verdict_pb2.Verdict:
        """Judge a text; a model's unless said otherwise."""
        request = safety.CheckTextRequest(
            text=text, safety_level=level, direction=direction, language=language
        )
        return (await self.judge.CheckText(request)).verdict

    async def picture(
        self, content: bytes, level: types_pb2.SafetyLevel.ValueType = KIDS
    ) -> verdict_pb2.Verdict:
        """Upload a picture and judge it as one that may be a photograph."""
        media = await self.upload(content)
        request = safety.CheckImageRequest(
            media=media, safety_level=level, direction=safety.DIRECTION_INPUT
        )
        return (await self.judge.CheckImage(request)).verdict

    async def upload(self, content: bytes) -> types_pb2.MediaRef:
        """Bring a picture as a person does."""

        async def parts() -> AsyncIterator[generation_pb.UploadMediaRequest]:
            yield generation_pb.UploadMediaRequest(header=generation_pb.UploadMediaHeader())
            for start in range(0, len(content), 1024 * 1024):
                yield generation_pb.UploadMediaRequest(data=content[start : start + 1024 * 1024])

        return (await self.generation.UploadMedia(parts())).media


def models_file(folder: Path, **guards: dict[str, Any]) -> Path:
    """Write a models file whose profile has these roles, each with its model and guard."""
    limits = {"concurrent": 8, "connect_seconds": 5, "first_token_seconds": 120}
    provider = {"leaves_site": False, "base_url": "http://127.0.0.1:9", "limits": limits}
    chat = {"model": "ollama/chat"}
    content = {
        "default_profile": "test",
        "providers": {"ollama": provider, "openai": provider},
        "profiles": {
            "test": {"translation": chat, "interception": chat, "optimization": chat, **guards}
        },
    }
    path = folder / "models.json"
    path.write_text(json.dumps(content))
    return path


@contextlib.asynccontextmanager
async def guarded_safety(
    folder: Path,
    roles: dict[str, dict[str, Any]],
    *,
    ollama_url: str = "",
    openai_base_url: str = "",
    **settings: Any,
) -> AsyncIterator[GuardedSafety]:
    """Start generation with these roles, and safety asking the guards among them."""
    local: dict[str, Any] = {"listen_address": "127.0.0.1:0", "grace_seconds": 2.0}
    generating = GenerationSettings(
        data_dir=folder,
        models_file=models_file(folder, **roles),
        ollama_url=ollama_url,
        openai_base_url=openai_base_url,
        embedded_preload=False,
        **local,
    )
    async with contextlib.AsyncExitStack() as running:
        models = await running.enter_async_context(start_server(generating, generation(generating)))
        asked = dict.fromkeys({"text_guard", "image_guard"} & set(roles), True)
        values: dict[str, Any] = {"guard_timeout_seconds": PATIENT_SECONDS, **asked, **settings}
        judge = await running.enter_async_context(
            open_safety(generation_address=models.address, **values)
        )
        to_models = await running.enter_async_context(open_channel(models.address))
        yield GuardedSafety(judge, generation_grpc.GenerationServiceStub(to_models))


@contextlib.asynccontextmanager
async def open_safety(**settings: Any) -> AsyncIterator[SafetyServiceAsyncStub]:
    """Start the safety service with these settings."""
    values = SafetySettings(listen_address="127.0.0.1:0", grace_seconds=2.0, **settings)
    async with (
        start_server(values, safety_registration(values)) as server,
        open_channel(server.address) as channel,
    ):
        yield safety_grpc.SafetyServiceStub(channel)


def guard(model: str, kind: str, **more: Any) -> dict[str, Any]:
    """The entry of a guard's role."""
    return {"model": model, "guard": {"kind": kind, **more}}


def check_of(verdict: verdict_pb2.Verdict, name: str) -> verdict_pb2.Check:
    """What became of one check."""
    return next(check for check in verdict.checks if check.name == name)


def photograph(seed: int = 1, **saving: Any) -> bytes:
    """A small noisy picture, another one for each seed."""
    picture = Image.effect_noise((64, 48), 80).convert("RGB")
    picture.putpixel((0, 0), (seed % 256, seed // 256 % 256, 7))
    stream = BytesIO()
    picture.save(stream, **{"format": "PNG", **saving})
    return stream.getvalue()


def judged(request: dict[str, Any], **said: Any) -> str:
    """A judge's answer to a request: the mark is repeated from its instructions."""
    system = request["messages"][0]["content"]
    mark = system.split('"mark": "', 1)[1].split('"', 1)[0]
    return json.dumps({"mark": mark, **said})
