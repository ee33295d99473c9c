"""The HTTP edge against requests that nobody thought of, made from its own description."""

from __future__ import annotations

import asyncio
import random
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

from gateway.pages.research_facets import Facets
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
NONSENSE = (
    "",
    "x" * 5000,
    "2026-02-31",
    "9999-12-31",
    "ä\0\x01",
    "<script>",
    "-1",
    "zip",
    "💥" * 50,
)
FIELDS = [
    *Facets.model_fields,
    *("document", "document_type", "language", "template", "instructions", "way", "json", "remove"),
    *("base_version", "editing_seconds", "score", "field:/a", "add:/a", "name:", "value:"),
    *("next", "trail", "back", "format", "execution_id", "pseudonymise", "again", "name"),
]
ENDLESS = "/api/exports/{workflow_id}/events"
"""Waits for news that nothing here makes."""
FORMS = (
    "/research",
    "/research/exports",
    "/research/erase",
    "/research/import",
    "/research/executions/x/verify",
    "/workshop/drain",
    "/workshop/jobs/x/cancel",
    "/exports",
    "/exports/x/data",
    "/exports/x/regenerate",
    "/exports/x/rating",
)


def fuzz(url: str, known: dict[str, str], examples: int) -> list[str]:
    """Send `examples` requests to each operation; return what was wrong, first lines only.

    Args:
        url: The gateway.
        known: Path parameters that exist, taken every second time.
        examples: Requests for each operation.
    """
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json").exclude(path=ENDLESS)
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
        source = {"execution_id": begun["execution_id"]}
        workflow = (await browser.post("/api/exports", json=source)).json()["workflow"]
        known = {
            "execution_id": begun["execution_id"],
            "item_id": record.items[-2].item_id,
            "session_id": record.summary.session_id,
            "name": "dada",
            "workflow_id": workflow["export_workflow_id"],
        }
        faults = await asyncio.to_thread(fuzz, edge.url, known, examples)
    assert not faults, "\n\n".join(faults)


async def test_pages_bear_any_form(tmp_path: Path) -> None:
    """Whatever a form holds, a page says what is wrong with it."""
    choice = random.Random(SEED)
    async with (
        FakeOllama() as ollama,
        open_edge(tmp_path, ollama.url) as edge,
        edge.browser() as browser,
    ):
        for address in FORMS * 12:
            names = choice.sample(FIELDS, choice.randint(0, len(FIELDS)))
            form = {name: choice.choice(NONSENSE) for name in names}
            headers = choice.choice([{}, {"HX-Request": "true"}])
            answer = await browser.post(address, data=form, headers=headers)
            assert answer.status_code < 500, (address, form)
            assert "<script>" not in answer.text.replace("<script src", "")
