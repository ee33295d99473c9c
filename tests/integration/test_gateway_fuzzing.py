"""The HTTP edge against requests that nobody thought of, made from its own description."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fakes.ollama import FakeOllama
from tests.integration.http_edge import open_edge
from tests.integration.test_gateway_api import WISH

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SEED = 20_261_120


def fuzz(url: str, known: dict[str, str], examples: int) -> list[str]:
    """Send `examples` requests to each operation; return what was wrong, first lines only.

    Args:
        url: The gateway.
        known: Path parameters that exist, taken every second time.
        examples: Requests for each operation.
    """
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    faults = []
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]

        @hypothesis.seed(SEED)
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            print_blob=False,
        )
        @hypothesis.given(case=operation.as_strategy(), exists=st.booleans())
        def send(case: Any, exists: bool) -> None:
            if exists and case.path_parameters:
                case.path_parameters = {
                    name: known.get(name, value) for name, value in case.path_parameters.items()
                }
            case.call_and_validate(base_url=url, checks=CHECKS, timeout=30)

        try:
            send()
        except (Exception, BaseExceptionGroup) as exc:
            faults.append(f"{operation.label}: {exc}"[:1500])
    return faults


@pytest.mark.parametrize(
    "examples", [4, pytest.param(300, marks=[pytest.mark.drill, pytest.mark.timeout(1200)])]
)
async def test_answers_are_as_described(tmp_path: Path, examples: int) -> None:
    """Whatever is sent, the answer is one that the description names, and never a 500."""
    async with (
        FakeOllama("Ein Turm aus Seife singt leise.") as ollama,
        open_edge(tmp_path, ollama.url) as edge,
        edge.browser() as browser,
    ):
        begun = (await browser.post("/api/executions", json=WISH)).json()
        record = await edge.house.record(begun["execution_id"])
        known = {
            "execution_id": begun["execution_id"],
            "item_id": record.items[-2].item_id,
            "session_id": record.summary.session_id,
            "name": "dada",
        }
        faults = await asyncio.to_thread(fuzz, edge.url, known, examples)
    assert not faults, "\n\n".join(faults)
