"""One run seen from outside: its trace through all services, their numbers, their log lines.

And in none of them a word of what a learner or a model wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

import gateway.metrics
import generation_service.metrics
import orchestrator.metrics
import safety_service.metrics
import servicekit.metrics
import tracker_service.metrics
from stellwerk.orchestrator.v1.orchestrator_service_pb2 import WatchExecutionRequest
from tests.fakes.ollama import FakeOllama
from tests.fakes.otlp_sink import Taken, collecting
from tests.integration.http_edge import Edge, events_of, open_edge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    import pytest

WORDS = ("zarubilo", "kwentin", "morbelwicht")
"""Words that nobody else writes: two of a person, one of a model."""
WISH = {
    "config": "dada",
    "texts": ["Eine Blume namens Zarubilo auf der Wiese"],
    "safety_level": "kids",
    "language": "de",
    "parameters": {"width": 64, "height": 64},
}
PERSONAL = WISH | {"texts": ["Ich heiße Zarubilo und wohne in der Kwentinstraße 12"]}
FAILED = 500
SERVICES = {"gateway", "orchestrator", "safety", "generation", "tracker"}
DEFINED = {
    metric.name
    for module in (
        gateway.metrics,
        generation_service.metrics,
        orchestrator.metrics,
        safety_service.metrics,
        servicekit.metrics,
        tracker_service.metrics,
    )
    for metric in module.DEFINITIONS
}


@dataclass
class Seen:
    """What two runs left: one that became a picture, and one that was blocked.

    Attributes:
        ids: Of the executions.
        spans: Everything that reached the collector.
        metrics: The numbers of each service, as text.
        lines: Log lines of all services.
    """

    ids: tuple[str, str]
    spans: list[Taken]
    metrics: list[str]
    lines: list[Mapping[str, Any]]

    def named(self, name: str) -> list[Taken]:
        """Return the spans whose name ends so."""
        return [span for span in self.spans if span.name.endswith(name)]

    @property
    def trace_id(self) -> str:
        """The trace of the first run."""
        return next(
            span.trace_id
            for span in self.named("execution")
            if span.attributes["stellwerk.execution_id"] == self.ids[0]
        )

    def number(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over all services and labels that are not named."""
        return sum(
            sample.value
            for text in self.metrics
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """Two runs through a gateway and four services that count, trace and log."""
    with capture_logs() as lines, collecting() as (sink, endpoint):
        watched: dict[str, Any] = {"metrics_address": "127.0.0.1:0", "otlp_endpoint": endpoint}
        house = {f"{name}_settings": watched for name in ("generation", "safety", "tracker")}
        async with (
            FakeOllama("Ein Morbelwicht tanzt im Regen.") as ollama,
            open_edge(
                tmp_path_factory.mktemp("seen"),
                ollama.url,
                house_settings={**house, **watched},
                otlp_endpoint=endpoint,
            ) as edge,
            edge.browser() as browser,
        ):
            ids = (await _run(browser, WISH), await _run(browser, PERSONAL))
            await _say_it_everywhere(edge, browser)
            for execution_id in ids:
                await edge.house.record(execution_id)
            texts = [(await browser.get("/metrics")).raise_for_status().text]
            for address in edge.house.metrics:
                async with httpx.AsyncClient() as scraper:
                    texts.append((await scraper.get(f"http://{address}/metrics")).text)
        yield Seen(ids, sink.spans(), texts, list(lines))


async def _run(browser: httpx.AsyncClient, wish: Mapping[str, Any]) -> str:
    answer = await browser.post("/api/executions", json=wish)
    execution_id: str = answer.raise_for_status().json()["execution_id"]
    await events_of(browser, execution_id)
    return execution_id


async def _say_it_everywhere(edge: Edge, browser: httpx.AsyncClient) -> None:
    """Put words where they do not belong; each is refused or ignored."""
    said, also = WORDS[0], WORDS[1]
    referer = {"Referer": f"{edge.url}/{said}?{also}", "X-Filename": said, "User-Agent": also}
    for address in (
        f"/{said}/{also}?q={said}",
        f"/api/executions/{said}?view={also}",
        f"/api/executions/{said}/events",
        f"/api/media/{said}",
        f"/research/sessions/{said}?page_token={also}",
        f"/login?back=/{said}",
    ):
        assert (await browser.get(address, headers=referer)).status_code < FAILED
    for body in (b'{"texts": ["zarubilo', b'{"texts": ["x"], "config": "zarubilo"}', b"kwentin"):
        answer = await browser.post("/api/executions", content=body, headers=referer)
        assert answer.status_code < FAILED
    for odd_id in (said, f"{said} {also}"):
        call = edge.house.orchestrator.WatchExecution(WatchExecutionRequest(execution_id=odd_id))
        assert (await call.code()).name in ("INVALID_ARGUMENT", "NOT_FOUND")


def test_one_run_is_one_trace_over_all_services(seen: Seen) -> None:
    """From the request of the browser every span of the run hangs under another of it."""
    trace = [span for span in seen.spans if span.trace_id == seen.trace_id]
    assert {span.service for span in trace} == SERVICES
    known = {span.span_id for span in trace}
    [root] = [span for span in trace if span.parent not in known]
    assert (root.service, root.parent) == ("gateway", "")
    stages = {span.name for span in trace if span.name.startswith("stage")}
    assert stages == {"stage 1", "stage 2", "stage 3", "stage 4"}


def test_each_call_is_seen_from_both_sides(seen: Seen) -> None:
    """What a service answers hangs under the call of the one that asked; all calls end well."""
    spans = {span.span_id: span for span in seen.spans if span.trace_id == seen.trace_id}
    calls = [span for span in spans.values() if span.kind == "client"]
    answers = [span for span in spans.values() if span.kind == "server" and span.parent]
    assert {span.service for span in calls} == {"gateway", "orchestrator", "safety"}
    assert {span.service for span in answers} == SERVICES - {"gateway"}
    for answer in answers:
        call = spans[answer.parent]
        assert (call.kind, call.name) == ("client", answer.name)
        assert call.service != answer.service
        assert call.attributes["rpc.grpc.status_code"] in ("OK", "CANCELLED")
    assert all(spans[call.parent].service == call.service for call in calls)


def test_queue_and_spool_link_to_the_run(seen: Seen) -> None:
    """An attempt of a job and the storing of items come later, and say what they are about."""
    [attempt] = seen.named("job attempt")
    assert attempt.service == "generation"
    assert attempt.trace_id == seen.trace_id
    assert attempt.links == ((attempt.trace_id, attempt.parent),)
    linked = {trace for span in seen.named("store items") for trace, _ in span.links}
    assert seen.trace_id in linked
    assert {span.service for span in seen.named("store items")} == {"tracker"}


def test_what_happened_was_counted(seen: Seen) -> None:
    """Both runs, their stages, verdicts, the job, the answers and the items show in numbers."""
    number = seen.number
    assert number("stellwerk_execution_seconds_count", state="COMPLETED") == 1
    assert number("stellwerk_execution_seconds_count", state="BLOCKED") == 1
    assert number("stellwerk_stage_seconds_count", stage="1", outcome="blocked") == 1
    assert number("stellwerk_stage_seconds_count", stage="4", outcome="finished") == 1
    assert number("stellwerk_verdicts_total", decision="allow") >= 2
    assert number("stellwerk_verdict_reasons_total", category="personal_data") == 1
    assert number("stellwerk_jobs_total", backend="embedded", state="DONE") == 1
    assert number("stellwerk_text_seconds_count", outcome="answered") >= 1
    taken = number("stellwerk_recorder_items_taken_total")
    assert number("stellwerk_tracker_items_stored_total") == taken > 10
    assert number("stellwerk_recorder_items_dropped_total") == 0
    assert number("stellwerk_rpc_seconds_count", code="OK") > 10
    begun = {"route": "/api/executions", "method": "POST", "status": "201"}
    assert number("stellwerk_http_seconds_count", **begun) == 2
    events = {"route": "/api/executions/{execution_id}/events", "status": "200"}
    assert number("stellwerk_http_seconds_count", **events) == 2
    assert number("stellwerk_build_info") == len(SERVICES)


def test_services_show_what_is_defined_and_nothing_else(seen: Seen) -> None:
    """Every definition is shown by some service, and every metric shown is defined."""
    shown = {
        line.split()[2].removesuffix("_total")
        for line in "\n".join(seen.metrics).splitlines()
        if line.startswith("# TYPE stellwerk_")
    }
    unseen = {servicekit.metrics.CERTIFICATE_EXPIRY.name}  # there is none without TLS
    assert shown == {name.removesuffix("_total") for name in DEFINED - unseen}


def test_no_words_of_people_or_models_anywhere(seen: Seen) -> None:
    """Texts are in no span, no number and no line; ids are in no number."""
    for words in (*WORDS, *(word.capitalize() for word in WORDS)):
        assert not [text for text in seen.metrics if words in text]
        assert not [span for span in seen.spans if words in span.text]
        assert not [line for line in seen.lines if words in str(line)]
    assert not [one for one in seen.ids for text in seen.metrics if one in text]


def test_every_line_of_a_run_can_be_found(seen: Seen) -> None:
    """Calls, stages, the execution and the job leave one line each at their end."""
    events = [line["event"] for line in seen.lines]
    assert events.count("execution_finished") == 2
    assert events.count("job_finished") == 1
    stages = [line["stage"] for line in seen.lines if line["event"] == "stage_finished"]
    assert sorted(set(stages)) == [1, 2, 3, 4]
    assert stages.count(1) == 2
    assert events.count("rpc_finished") > 10
    assert events.count("request_finished") >= 4
