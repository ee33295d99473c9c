"""What a failed call means for the person and for the exit code."""

from __future__ import annotations

import json

import pytest
import typer

from servicekit.errors import Code, RemoteError
from stellwerk_cli.exits import Exit
from stellwerk_cli.remote import reporting

SERVER = "127.0.0.1:50051"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RemoteError(Code.INVALID_ARGUMENT, "EMPTY_TEXT", "Empty."), Exit.USAGE),
        (RemoteError(Code.NOT_FOUND, "CONFIG_NOT_FOUND", "None."), Exit.USAGE),
        (RemoteError(Code.UNAVAILABLE, "", "failed to connect"), Exit.UNREACHABLE),
        (RemoteError(Code.DEADLINE_EXCEEDED, "", "Deadline Exceeded"), Exit.UNREACHABLE),
        (RemoteError(Code.UNAVAILABLE, "DRAINING", "Stopping."), Exit.FAILED),
        (RemoteError(Code.PERMISSION_DENIED, "NOT_ALLOWED", "No."), Exit.FAILED),
        (RemoteError(Code.INTERNAL, "INTERNAL", "Internal error."), Exit.FAILED),
    ],
)
def test_failed_call_has_its_exit_code(error: RemoteError, expected: Exit) -> None:
    """Wrong requests are 2, nobody there is 6, anything else is 4."""
    with pytest.raises(typer.Exit) as ended, reporting(server=SERVER, as_json=False):
        raise error
    assert ended.value.exit_code == expected


def test_sentence_names_fields_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence on stderr says where, what and why."""
    violations = (("texts[0]", "Empty."), ("outputs[1]", "Unknown."))
    error = RemoteError(
        Code.INVALID_ARGUMENT, "EMPTY_TEXT", "Write something.", "texts[0]", violations
    )
    with pytest.raises(typer.Exit), reporting(server=SERVER, as_json=False):
        raise error
    assert capsys.readouterr().err.endswith("texts[0], outputs[1]: Write something. (EMPTY_TEXT)\n")


def test_fault_is_an_object_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` the fault is one JSON object on stderr."""
    with pytest.raises(typer.Exit), reporting(server=SERVER, as_json=True):
        raise RemoteError(Code.UNAVAILABLE, "", "failed to connect to all addresses")
    captured = capsys.readouterr()
    assert captured.out == ""
    fault = json.loads(captured.err)
    assert (fault["event"], fault["code"]) == ("error", "UNAVAILABLE")
    assert SERVER in fault["message"]
