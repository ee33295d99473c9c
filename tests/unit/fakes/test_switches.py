"""Each switch of the stand-in does what its line in the README says."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest
from PIL import Image

from tests.fakes.comfyui import ComfyUIServer, HttpFault, RunFault
from tests.support import eventually
from tests.unit.fakes.bare_client import BareClient, end_of, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Json = dict[str, Any]


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    """A stand-in without faults."""
    async with ComfyUIServer() as server:
        yield server


@pytest.fixture
async def client(comfy: ComfyUIServer) -> AsyncIterator[BareClient]:
    """A client with a socket."""
    async with BareClient(comfy.url, listens=True) as each:
        yield each


async def test_history_comes_after_the_terminal_message(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """With a delay, `execution_success` is there before the history entry is."""
    comfy.switches.history_delay_ms = 100
    prompt_id = (await client.post(picture()))["prompt_id"]

    await client.hear_until("execution_success")
    assert await client.get(f"/history/{prompt_id}") == {}
    assert (await client.get("/queue"))["queue_running"]
    assert await client.hear_until("executing", node=None) == ["status", "executing"]
    assert prompt_id in await client.get(f"/history/{prompt_id}")


async def test_freeze_holds_up_calls_and_messages(comfy: ComfyUIServer, client: BareClient) -> None:
    """While the server collects garbage nobody is answered."""
    comfy.switches.freeze_ms = 150
    await client.post(picture())
    await eventually(lambda: comfy.is_frozen)

    await client.get("/prompt")
    assert not comfy.is_frozen


async def test_stalled_sockets_get_their_messages_later(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """Runs and HTTP go on while the send loop stands; then all messages come in order."""
    comfy.switches.stall_sockets = True
    entry = await client.run(picture())
    assert end_of(entry) == "execution_success"

    comfy.switches.stall_sockets = False
    kinds = await client.hear_until("executing", node=None)
    assert kinds[:3] == ["status", "status", "execution_start"]


HANDSHAKE = (
    b"GET /ws?clientId=stalled HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_client_that_does_not_read_stalls_the_others(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """One large frame to a socket that is not read holds up all; as in 22_stalled_reader."""
    noise = np.random.default_rng(1).integers(0, 256, (1600, 1600, 3), np.uint8)
    Image.fromarray(noise).save(comfy.folders.base / "input" / "noise.png", compress_level=0)
    graph = {
        "5": {"class_type": "LoadImage", "inputs": {"image": "noise.png"}},
        "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["5", 0]}},
    }
    _, writer = await asyncio.open_connection("127.0.0.1", comfy.port, limit=1024)
    writer.write(HANDSHAKE)
    await eventually(lambda: "stalled" in comfy.connected_clients)
    await client.run(graph, client_id="stalled")

    prompt_id = (await client.post(picture()))["prompt_id"]
    assert end_of(await client.ended(prompt_id)) == "execution_success"
    await client.hear_until("status")
    with pytest.raises(TimeoutError):  # only what came before the frame
        while True:
            message = await client.socket.receive_json(timeout=0.1)
            assert message["type"] == "status"
    writer.close()


async def test_dropped_messages_never_come(comfy: ComfyUIServer, client: BareClient) -> None:
    """A dropped type is missing, the others come."""
    comfy.switches.drop_messages = frozenset({"execution_success", "executed"})
    await client.post(picture())

    kinds = await client.hear_until("executing", node=None)
    assert "progress_state" in kinds
    assert not {"execution_success", "executed"} & set(kinds)


async def test_duplicated_and_unknown_messages_come_in_between(
    comfy: ComfyUIServer, client: BareClient
) -> None:
    """Each message comes twice, and others that no version documents."""
    comfy.switches.duplicate_messages = comfy.switches.unknown_messages = True
    await client.post(picture())

    kinds = await client.hear_until("executing", node=None)
    assert kinds.count("execution_success") == 2
    assert "crystools.monitor" in kinds


async def test_deaf_socket_hears_nothing(comfy: ComfyUIServer, client: BareClient) -> None:
    """A client whose id the server forgot gets not even a status, though its socket is open."""
    comfy.forget_client(client.client_id)
    await client.run(picture())

    assert not client.socket.closed
    with pytest.raises(TimeoutError):
        await client.socket.receive(timeout=0.05)


@pytest.mark.parametrize(
    ("fault", "is_done"),
    [
        (HttpFault.ERROR, False),
        (HttpFault.ERROR_AFTER, True),
        (HttpFault.HANG, False),
        (HttpFault.HANG_AFTER, True),
        (HttpFault.CUT, False),
        (HttpFault.CUT_AFTER, True),
        (HttpFault.NONSENSE, False),
    ],
)
async def test_call_fails_once(comfy: ComfyUIServer, fault: HttpFault, is_done: bool) -> None:
    """A faulty call happens once, and leaves its work done or not done."""
    comfy.next_answers["POST prompt"].append(fault)
    timeout = aiohttp.ClientTimeout(total=0.2)
    async with aiohttp.ClientSession(comfy.url, timeout=timeout) as session:
        try:
            body = {"prompt": picture(), "prompt_id": "lost"}
            async with session.post("/prompt", json=body) as response:
                assert response.status == (200 if fault is HttpFault.NONSENSE else 500)
        except (aiohttp.ClientError, TimeoutError):
            assert fault.value.startswith(("hang", "cut"))
    async with BareClient(comfy.url) as client:
        assert end_of(await client.run(picture())) == "execution_success"

    assert comfy.run_count("lost") == int(is_done)


async def test_paused_worker_goes_on(comfy: ComfyUIServer, client: BareClient) -> None:
    """While it is paused prompts wait; their order is by number, then id."""
    comfy.switches.pause = True
    await client.post(picture(), "b", number=5)
    await client.post(picture(), "a", number=5)
    await client.post(picture(), "c", front=True)
    comfy.switches.pause = False
    await eventually(lambda: len(comfy.runs) == 3)
    assert [run.prompt_id for run in comfy.runs] == ["c", "a", "b"]


async def test_process_exit_cuts_everything(comfy: ComfyUIServer, client: BareClient) -> None:
    """A run can end the whole process; after a restart only output files are left."""
    entry = await client.run(picture())
    comfy.next_runs.append(RunFault.EXIT)
    await client.post(picture(), "gone")
    await eventually(lambda: not comfy.is_running)
    with pytest.raises(aiohttp.ClientError):
        await client.get("/queue")

    await comfy.restart()
    assert await client.get("/history") == {}
    assert (await client.post(picture()))["number"] == 0
    assert len(await client.files(entry)) == 1
    assert comfy.exits == 1


async def test_temp_files_are_wiped_at_start(comfy: ComfyUIServer, client: BareClient) -> None:
    """What PreviewImage wrote is gone after a restart."""
    graph = picture()
    graph["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    entry = await client.run(graph)
    assert len(await client.files(entry)) == 1
    await comfy.restart()
    (file,) = entry["outputs"]["2"]["images"]
    async with client.session.get("/view", params=file) as response:
        assert response.status == 404


async def test_oldest_history_is_dropped(comfy: ComfyUIServer, client: BareClient) -> None:
    """Beyond the cap (and one more, as in the real server) the first entries vanish."""
    comfy.switches.history_cap = 3
    for number in range(6):
        await client.run(picture(), prompt_id=f"p{number}")
    assert list(await client.get("/history")) == ["p2", "p3", "p4", "p5"]


async def test_queue_may_be_deep(comfy: ComfyUIServer, client: BareClient) -> None:
    """A thousand prompts are accepted, and cleared at once."""
    comfy.switches.pause = True
    for number in range(1000):
        await client.post(picture(), f"p{number}")
    assert await client.get("/prompt") == {"exec_info": {"queue_remaining": 1000}}
    await client.status_of("POST", "/queue", json={"clear": True})
    assert await client.get("/prompt") == {"exec_info": {"queue_remaining": 0}}


async def test_chunked_and_deflated_bodies_are_read(client: BareClient) -> None:
    """Both ways to send a body work."""
    body = json.dumps({"prompt": picture()}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:10]
        yield body[10:]

    assert await client.status_of("POST", "/prompt", data=pieces()) == 200
    headers = {"Content-Encoding": "deflate"}
    assert (
        await client.status_of("POST", "/prompt", data=zlib.compress(body), headers=headers) == 200
    )


@pytest.mark.parametrize("compress", [True, False])
async def test_deflate_is_negotiated(comfy: ComfyUIServer, compress: bool) -> None:
    """An offer of permessage-deflate is taken, if the switch is on."""
    comfy.switches.compress = compress
    async with (
        aiohttp.ClientSession(comfy.url) as session,
        session.ws_connect("/ws", compress=15) as socket,
    ):
        assert bool(socket.compress) is compress
        assert (await socket.receive_json())["type"] == "status"


async def test_cors_header_replaces_the_origin_check(comfy: ComfyUIServer) -> None:
    """With --enable-cors-header any Origin passes and is answered with the four headers."""
    headers = {"Origin": "http://elsewhere.example"}
    async with aiohttp.ClientSession(comfy.url, headers=headers) as session:
        async with session.get("/prompt") as response:
            assert response.status == 403
        comfy.switches.cors_origin = "*"
        async with session.get("/prompt") as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_unloaded_model_is_cold_again(comfy: ComfyUIServer, client: BareClient) -> None:
    """A model is loaded cold once, then warm, and cold after /free."""
    for number in range(3):
        inputs = {"ckpt_name": "sd15_tiny.safetensors"}
        graph = {
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": inputs},
            "2": {
                "class_type": "CLIPTextEncode",
                "inputs": {"text": str(number), "clip": ["1", 1]},
            },
            "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
        }
        await client.run(graph)
        if number == 1:
            await client.status_of("POST", "/free", json={"unload_models": True})
        await client.run(picture())  # evicts the loader's result, not the model

    loads = [load.split()[0] for run in comfy.runs for load in run.loads]
    assert loads == ["cold", "warm", "cold"]


@pytest.mark.parametrize("cache", ["classic", "lru", "none"])
async def test_cache_kinds_differ_in_what_they_keep(
    comfy: ComfyUIServer, client: BareClient, cache: str
) -> None:
    """Classic keeps the latest prompt, LRU also earlier ones, none nothing."""
    comfy.switches.cache = cache
    first, other = picture(1), picture(2)
    for graph in (first, first, other, first):
        await client.run(graph)

    kept = [len(run.cached) for run in comfy.runs]
    assert kept == {"classic": [0, 2, 0, 0], "lru": [0, 2, 0, 2], "none": [0, 0, 0, 0]}[cache]


async def test_unknown_switch_is_an_error() -> None:
    """A misspelt switch does not pass silently."""
    with pytest.raises(KeyError):
        ComfyUIServer(step_second=1)


async def test_calls_are_recorded(comfy: ComfyUIServer, client: BareClient) -> None:
    """A test can see what a client asked, and with what."""
    await client.post(picture(), "mine")
    call = next(each for each in comfy.requests if each.method == "POST")
    assert (call.path, call.status, call.json["prompt_id"]) == ("/prompt", 200, "mine")
