"""Wrong requests: one status, its reason, the field; and what the command makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc
import pytest

from servicekit.channel import open_channel
from servicekit.errors import Code, RemoteError, remote_error
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.e2e.deployment import Deployment

GOOD: dict[str, Any] = {
    "config": "dada",
    "texts": ["Eine Blume"],
    "safety_level": types_pb2.SAFETY_LEVEL_KIDS,
}


@pytest.mark.parametrize(
    ("change", "code", "reason", "field"),
    [
        ({"texts": [""]}, Code.INVALID_ARGUMENT, "EMPTY_TEXT", "texts[0]"),
        ({"texts": ["   \n"]}, Code.INVALID_ARGUMENT, "EMPTY_TEXT", "texts[0]"),
        ({"texts": ["ä" * 20_001]}, Code.INVALID_ARGUMENT, "TEXT_TOO_LONG", "texts[0]"),
        ({"texts": []}, Code.INVALID_ARGUMENT, "WRONG_INPUT_COUNT", "texts"),
        ({"texts": ["a", "b"]}, Code.INVALID_ARGUMENT, "WRONG_INPUT_COUNT", "texts"),
        (
            {"images": [types_pb2.MediaRef(sha256="0" * 64)]},
            Code.INVALID_ARGUMENT,
            "WRONG_INPUT_COUNT",
            "images",
        ),
        ({"config": "no_such"}, Code.NOT_FOUND, "CONFIG_NOT_FOUND", "config"),
        ({"outputs": ["no_such"]}, Code.NOT_FOUND, "OUTPUT_NOT_FOUND", "outputs[0]"),
        (
            {"outputs": ["embedded_image"] * 100},
            Code.INVALID_ARGUMENT,
            "TOO_MANY_OUTPUTS",
            "outputs",
        ),
        (
            {"safety_level": types_pb2.SAFETY_LEVEL_UNSPECIFIED},
            Code.INVALID_ARGUMENT,
            "LEVEL_UNSPECIFIED",
            "safety_level",
        ),
        (
            {"on_disconnect": orchestrator_pb2.ON_DISCONNECT_UNSPECIFIED},
            Code.INVALID_ARGUMENT,
            "ON_DISCONNECT_UNSPECIFIED",
            "on_disconnect",
        ),
        (
            {"parameters": {"no_such": "1"}},
            Code.INVALID_ARGUMENT,
            "PARAMETER_UNKNOWN",
            "parameters",
        ),
        (
            {"parameters": {"width": "1000000"}},
            Code.INVALID_ARGUMENT,
            "PARAMETER_OUT_OF_RANGE",
            "parameters",
        ),
        ({"language": "Klingon"}, Code.INVALID_ARGUMENT, "LANGUAGE_INVALID", "language"),
        (
            {"idempotency_key": "ü"},
            Code.INVALID_ARGUMENT,
            "IDEMPOTENCY_KEY_INVALID",
            "idempotency_key",
        ),
    ],
)
async def test_faulty_request_is_refused_with_reason_and_field(
    served: Deployment, change: dict[str, Any], code: Code, reason: str, field: str
) -> None:
    """A faulty request never becomes an execution; its status says what is wrong and where."""
    error = await refusal(served, orchestrator_pb2.RunExecutionRequest(**{**GOOD, **change}))
    assert (error.code, error.reason) == (code, reason)
    assert error.field is not None
    assert error.field.startswith(field)


async def refusal(
    deployment: Deployment, request: orchestrator_pb2.RunExecutionRequest
) -> RemoteError:
    """Return the error by which a run is refused."""
    async with open_channel(deployment.server) as channel:
        call = OrchestratorServiceStub(channel).RunExecution(request, timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(call))
    return remote_error(refused.value)


@pytest.mark.parametrize(
    ("arguments", "reason", "field"),
    [
        (["", "--config", "dada"], "EMPTY_TEXT", "texts[0]"),
        (["x" * 20_001], "TEXT_TOO_LONG", "texts[0]"),
        (["x", "--config", "no_such"], "CONFIG_NOT_FOUND", "config"),
    ],
)
def test_refused_run_is_one_sentence_and_code_2(
    served: Deployment, arguments: list[str], reason: str, field: str
) -> None:
    """The command says in one sentence what is wrong and where."""
    result = served.command("run", *arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert reason in result.err
    assert field in result.err


def test_refused_run_is_an_object_with_json(served: Deployment) -> None:
    """With `--json` the fault is a JSON object on stderr and stdout stays empty."""
    result = served.run("")
    assert (result.code, result.out) == (2, "")
    fault = json.loads(result.err)
    assert (fault["reason"], fault["field"]) == ("EMPTY_TEXT", "texts[0]")


def test_broken_picture_is_refused(served: Deployment, tmp_path: Path) -> None:
    """A file that only calls itself a picture is a wrong request."""
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nthis is no picture")
    result = served.run("A kite", "--image", str(path))
    assert result.code == 2
    assert json.loads(result.err)["reason"] in ("BROKEN_IMAGE", "MEDIA_TYPE_NOT_ALLOWED")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--param", "width"],
        ["--level", "toddlers"],
        ["--seed", "-1"],
        ["--image", "/no/such/file.png"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage_is_code_2(served: Deployment, arguments: list[str]) -> None:
    """What the command itself can see never reaches the server."""
    assert served.run("A kite", *arguments).code == 2


def test_nobody_there_is_code_6(served: Deployment) -> None:
    """A server that does not answer is code 6 and a sentence that says what to do."""
    result = served.command("run", "A kite", "--server", "127.0.0.1:1")
    assert result.code == 6
    assert "stellwerk up" in result.err
    assert "Traceback" not in result.err


def test_faulty_config_folder_shows_every_fault(served: Deployment, tmp_path: Path) -> None:
    """`configs check` names file, line and hint of each fault and exits with code 1."""
    folder = tmp_path / "configs"
    (folder / "interception").mkdir(parents=True)
    (folder / "interception" / "broken.json").write_text('{\n  "name": "x",\n')
    (folder / "interception" / "wrong.json").write_text('{\n  "pipeline": "no_such_pipeline"\n}\n')
    result = served.command("configs", "check", str(folder))
    assert result.code == 1
    assert "interception/broken.json:" in result.out
    assert "interception/wrong.json:" in result.out
    assert "(" in result.out
    assert served.command("configs", "check").code == 0
