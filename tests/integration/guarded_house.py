"""A house behind a school's login, its people, and what one of them has made in it.

They come with tokens, which cost a tenth of what a key costs to check; tests/e2e has a house with
keys.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import httpx
from PIL import Image

from gateway.server import running
from gateway.settings import GatewaySettings
from servicekit.channel import ending, open_channel
from servicekit.errors import remote_error
from servicekit.principals import Role
from stellwerk.common.v1 import types_pb2
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2
from stellwerk.tracker.v1.tracker_service_pb2_grpc import TrackerServiceStub
from tests.fakes.identity_provider import AUDIENCE, IdentityProvider
from tests.integration.house import open_house
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

SECRET = "a-secret-of-the-services"
IDEA = "Eine Geheimblume auf der Wiese"
ANSWER = "Geheimgemälde: eine Blume tanzt."
MARKS = ("Geheimblume", "Geheimgem")
"""What nobody may find who may not see Lea's execution."""

PEOPLE: dict[str, tuple[Role, str]] = {
    "lea": (Role.LEARNER, "4b"),
    "leo": (Role.LEARNER, "4b"),
    "tom": (Role.TEACHER, "4b"),
    "tess": (Role.TEACHER, "5a"),
    "rosa": (Role.RESEARCHER, ""),
    "ada": (Role.ADMIN, ""),
    "neighbour": (Role.SERVICE, ""),
}
"""Name to role and class: Lea is the owner, Leo sits beside her."""
SEE = frozenset({"lea", "tom", "rosa", "ada", "neighbour"})
"""Who may see what Lea made: herself, her teacher, and all who see everything."""


@dataclass(frozen=True)
class Made:
    """What Lea made.

    Attributes:
        execution_id: Her execution.
        session_id: Her session.
        item_id: The item of its picture.
        sha256: The picture.
        upload_sha256: A picture that she uploaded.
        job_id: The job that made the picture.
    """

    execution_id: str
    session_id: str
    item_id: str
    sha256: str
    upload_sha256: str
    job_id: str


@dataclass(frozen=True)
class GuardedHouse:
    """The services, what everybody shows to get in, and what Lea made.

    Attributes:
        channels: By service: `orchestrator`, `safety`, `generation`, `tracker`.
        url: Of the gateway.
    """

    channels: Mapping[str, grpc.aio.Channel]
    url: str
    keys: Mapping[str, str]
    made: Made

    def browser(self, name: str) -> httpx.AsyncClient:
        """Return an HTTP client with somebody's key; an empty name has none."""
        headers = {"authorization": f"Bearer {self.keys[name]}"} if name else {}
        return httpx.AsyncClient(base_url=self.url, timeout=60, headers=headers)


FIRST = 3
"""Messages of a stream that are read."""


def shown(key: str) -> list[tuple[str, str]]:
    """Return the metadata that shows a key."""
    return [("authorization", f"Bearer {key}")]


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        code: The status; OK, too, when the stream goes on.
        reason: Of the status.
        data: The first messages as they came, one after the other.
    """

    code: str
    reason: str
    data: bytes


async def ask(channel: grpc.aio.Channel, method: str, request: Any, key: str) -> Answer:
    """Call any RPC with one request message; of a stream, the first messages are enough."""
    call: Any = channel.unary_stream(method)
    messages: list[bytes] = []
    try:
        sent = request.SerializeToString()
        with ending(call(sent, metadata=shown(key), timeout=60)) as responses:
            async for response in responses:
                messages.append(response)
                if len(messages) == FIRST:
                    break
    except grpc.aio.AioRpcError as exc:
        error = remote_error(exc)
        return Answer(error.code, error.reason, b"".join(messages))
    return Answer("OK", "", b"".join(messages))


def _token(login: IdentityProvider, name: str) -> str:
    role, group = PEOPLE[name]
    until = int(time.time()) + 24 * 3600
    return login.token(sub=name, stellwerk_role=role.value, school_class=group, exp=until)


def _oidc_file(folder: Path, login: IdentityProvider) -> Path:
    file = folder / "oidc.json"
    rules = {"issuer": login.issuer, "audience": AUDIENCE, "group_claim": "school_class"}
    file.write_text(json.dumps(rules))
    return file


@contextlib.asynccontextmanager
async def open_guarded_house(folder: Path, ollama_url: str) -> AsyncIterator[GuardedHouse]:
    """Start everything, and let Lea make a picture."""
    async with contextlib.AsyncExitStack() as running_ones:
        login = await running_ones.enter_async_context(IdentityProvider())
        keys = {name: _token(login, name) for name in PEOPLE} | {"neighbour": SECRET}
        guarded: dict[str, Any] = {
            "oidc_file": _oidc_file(folder, login),
            "service_key": SECRET,
        }
        house = await running_ones.enter_async_context(
            open_house(
                folder,
                ollama_url,
                generation_settings=guarded,
                safety_settings=guarded,
                tracker_settings=guarded,
                **guarded,
            )
        )
        addresses = {
            "orchestrator": house.address,
            "safety": house.settings.safety_address,
            "generation": house.settings.generation_address,
            "tracker": house.settings.tracker_address,
        }
        channels = {
            name: await running_ones.enter_async_context(open_channel(address))
            for name, address in addresses.items()
        }
        gateway = GatewaySettings.model_validate(
            {
                "listen_address": "127.0.0.1:0",
                "cookie_secret_file": folder / "gateway.secret",
                "grace_seconds": 1,
                **{f"{name}_address": address for name, address in addresses.items()},
                **guarded,
            }
        )
        page = await running_ones.enter_async_context(running(gateway))
        made = await _make(channels, keys["lea"], keys["ada"])
        yield GuardedHouse(channels, f"http://{page}", keys, made)


async def _make(channels: Mapping[str, grpc.aio.Channel], lea: str, ada: str) -> Made:
    wish = orchestrator_pb2.RunExecutionRequest(
        config="dada",
        texts=[IDEA],
        safety_level=types_pb2.SAFETY_LEVEL_KIDS,
        language="de",
        parameters={"width": "256", "height": "256"},
    )
    stub = OrchestratorServiceStub(channels["orchestrator"])
    call = stub.RunExecution(wish, metadata=shown(lea), timeout=60)
    events = [response.event async for response in call]
    execution_id = events[-1].execution_id
    generation = GenerationServiceStub(channels["generation"])
    jobs = await generation.ListJobs(
        generation_pb2.ListJobsRequest(execution_id=execution_id), metadata=shown(ada)
    )
    tracker = TrackerServiceStub(channels["tracker"])

    request = tracker_pb2.GetExecutionRequest(execution_id=execution_id)

    async def recorded() -> Any:
        with contextlib.suppress(grpc.aio.AioRpcError):  # its first items are still on their way
            record = (await tracker.GetExecution(request, metadata=shown(lea))).record
            return record if record.summary.complete else None
        return None

    record = await eventually(recorded, within_seconds=30)
    [picture] = [item for item in record.items if item.item_type == "output_image"]
    uploaded = await generation.UploadMedia(iter(_upload()), metadata=shown(lea), timeout=30)
    return Made(
        execution_id=execution_id,
        session_id=record.summary.session_id,
        item_id=picture.item_id,
        sha256=picture.media.sha256,
        upload_sha256=uploaded.media.sha256,
        job_id=jobs.jobs[0].job_id,
    )


def _upload() -> list[generation_pb2.UploadMediaRequest]:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(buffer, "PNG")
    header = generation_pb2.UploadMediaHeader(filename="a.png")
    return [
        generation_pb2.UploadMediaRequest(header=header),
        generation_pb2.UploadMediaRequest(data=buffer.getvalue()),
    ]
