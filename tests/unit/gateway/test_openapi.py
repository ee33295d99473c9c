"""The description of the HTTP edge is whole: whoever reads it needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from gateway.app import create_app
from gateway.settings import GatewaySettings
from servicekit.metrics import Meter
from servicekit.spans import NoTracer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = dict[str, Any]


@pytest.fixture
def description(tmp_path: Path) -> Json:
    """What `/api/openapi.json` says."""
    settings = GatewaySettings(cookie_secret_file=tmp_path / "secret")
    return create_app(settings, Meter(), NoTracer()).openapi()


def operations(description: Json) -> Iterator[tuple[str, Json]]:
    """Yield each operation with its name."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_everything_is_described(description: Json) -> None:
    """Operations, parameters, and each field of every message say what they are."""
    bare = [name for name, operation in operations(description) if not operation["description"]]
    bare += [
        f"{name}: {parameter['name']}"
        for name, operation in operations(description)
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    ]
    bare += [
        f"{name}.{field}"
        for name, schema in description["components"]["schemas"].items()
        if not name.startswith(("Body_", "HTTPValidationError", "ValidationError"))
        for field, inner in schema.get("properties", {}).items()
        if not inner.get("description") and not name.endswith("Entry")
    ]
    assert bare == []


def test_errors_are_shown_by_examples_of_their_form(description: Json) -> None:
    """Each documented error has an example with its own status, as problem+json."""
    form = Draft202012Validator(
        {"$ref": "#/components/schemas/Problem", "components": description["components"]}
    )
    count = 0
    for name, operation in operations(description):
        for status, answer in operation["responses"].items():
            shown = answer.get("content", {}).get("application/problem+json")
            if shown is None:
                continue
            count += 1
            assert shown["example"]["status"] == int(status), name
            form.validate(shown["example"])
    assert count > 100


def test_no_text_of_people_goes_into_an_address(description: Json) -> None:
    """Parameters of paths and queries are ids, names and numbers; texts are in bodies."""
    named = {
        parameter["name"]
        for _, operation in operations(description)
        for parameter in operation.get("parameters", [])
        if parameter["in"] in {"path", "query"}
    }
    assert not named & {"text", "texts", "words", "idea", "prompt", "q", "query", "user_id"}
