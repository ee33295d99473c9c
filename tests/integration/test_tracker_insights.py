"""Search, sessions, statistics and patterns through the front door."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from servicekit.errors import Code
from stellwerk.common.v1 import types_pb2
from stellwerk.tracker.v1 import execution_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tests.integration.tracker import (
    ANNA,
    BERTA,
    STRANGER,
    TEACHER,
    failure,
    make_run,
    running_tracker,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from tests.integration.tracker import Tracker


async def listed(tracker: Tracker, metadata: Any = (), **filters: Any) -> list[str]:
    """Return the executions that match."""
    request = pb.ListExecutionsRequest(**filters)
    response = await tracker.stub.ListExecutions(request, metadata=metadata)
    return [one.execution_id for one in response.executions]


async def test_executions_are_found_by_text_and_facets(tmp_path: Path) -> None:
    """Soon after their end executions are found by words, model, type, person and level."""
    async with running_tracker(tmp_path) as tracker:
        items = make_run("a", user="anna")
        items[1].content = "Ein Gänseblümchen"
        items[2].model_used = "ollama/gemma"
        await tracker.record(*items)
        await tracker.record(*make_run("b", user="berta", safety_level="adult"))

        async def found() -> bool:
            return await listed(tracker, text="gansebl") == ["a"]

        await eventually(found)
        assert await listed(tracker, model_used="ollama/gemma") == ["a"]
        assert await listed(tracker, user_id="berta") == ["b"]
        assert await listed(tracker, safety_level=types_pb2.SAFETY_LEVEL_ADULT) == ["b"]
        assert await listed(tracker, item_type="user_input_text") == ["b", "a"]
        oldest = {"order": pb.EXECUTION_ORDER_OLDEST_FIRST, "item_type": "user_input_text"}
        assert await listed(tracker, **oldest) == ["a", "b"]
        assert await listed(tracker, BERTA, text="gansebl") == []
        assert await listed(tracker, TEACHER, text="gansebl") == ["a"]
        for text in ("?!", "x " * 101, "a b c d e f g h i j k"):
            request = pb.ListExecutionsRequest(text=text)
            status = await failure(tracker.stub.ListExecutions(request))
            assert (status.reason, status.field) == ("TEXT_INVALID", "text")


async def test_sessions_show_what_a_caller_may_see(tmp_path: Path) -> None:
    """Sessions are listed and read by their members, their teacher, and nobody else."""
    async with running_tracker(tmp_path) as tracker:
        for name in ("a1", "a2"):
            await tracker.record(*make_run(name, user="anna"))
        await tracker.record(*make_run("b1", user="berta"))

        async def sessions(metadata: Any, **fields: Any) -> pb.ListSessionsResponse:
            request = pb.ListSessionsRequest(**fields)
            return await tracker.stub.ListSessions(request, metadata=metadata)

        first = await sessions(TEACHER, page_size=1)
        rest = await sessions(TEACHER, page_size=1, page_token=first.next_page_token)
        assert [one.session_id for one in (*first.sessions, *rest.sessions)] == [
            "s-berta",
            "s-anna",
        ]
        assert rest.next_page_token == ""
        assert [one.session_id for one in (await sessions(ANNA)).sessions] == ["s-anna"]
        assert not (await sessions(STRANGER)).sessions
        own = await tracker.stub.GetSession(
            pb.GetSessionRequest(session_id="s-anna"), metadata=ANNA
        )
        assert [one.execution_id for one in own.executions] == ["a1", "a2"]
        assert (own.session.execution_count, own.session.user_count) == (2, 1)
        completed = execution_pb2.EXECUTION_STATE_COMPLETED
        assert list(own.session.states) == [pb.StateCount(state=completed, count=2)]
        for name, metadata in (("s-anna", BERTA), ("none", ANNA), ("", TEACHER)):
            request = pb.GetSessionRequest(session_id=name)
            status = await failure(tracker.stub.GetSession(request, metadata=metadata))
            assert (status.code, status.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")


async def test_statistics_and_patterns_are_counted(tmp_path: Path) -> None:
    """Figures come split as asked, by day, config and level, with states and durations."""
    async with running_tracker(tmp_path) as tracker:
        for number in range(3):
            await tracker.record(*make_run(f"a{number}", 5))
        await tracker.record(*make_run("b", config_name="bauhaus", safety_level="adult"))
        dimensions = [
            pb.STATISTICS_DIMENSION_CONFIG,
            pb.STATISTICS_DIMENSION_DAY,
            pb.STATISTICS_DIMENSION_LEVEL,
        ]
        request = pb.GetStatisticsRequest(dimensions=dimensions)
        rows = (await tracker.stub.GetStatistics(request)).rows
        day = datetime.datetime.fromtimestamp(1_700_000_001, datetime.UTC).date().isoformat()
        assert [(row.day, row.config_name, row.execution_count) for row in rows] == [
            (day, "bauhaus", 1),
            (day, "dada", 3),
        ]
        assert rows[1].safety_level == types_pb2.SAFETY_LEVEL_KIDS
        assert rows[1].duration_p50.seconds == 4
        assert not rows[1].HasField("model_used")
        request = pb.GetStatisticsRequest(config_name="dada")
        (total,) = (await tracker.stub.GetStatistics(request)).rows
        assert (total.day, total.execution_count) == ("", 3)
        usage = (await tracker.stub.ListConfigUsage(pb.ListConfigUsageRequest())).configs
        assert [(one.config_name, one.completed_count) for one in usage] == [
            ("dada", 3),
            ("bauhaus", 1),
        ]
        patterns = await tracker.stub.GetPatterns(pb.GetPatternsRequest(session_id="s-anna"))
        assert (patterns.prompt_changes.pair_count, patterns.prompt_changes.same_count) == (3, 3)


async def test_nonsense_is_refused(tmp_path: Path) -> None:
    """Dimensions that do not exist, foreign tokens and page sizes are INVALID_ARGUMENT."""
    async with running_tracker(tmp_path) as tracker:
        calls: dict[str, Awaitable[Any]] = {
            "DIMENSION_UNSPECIFIED": tracker.stub.GetStatistics(
                pb.GetStatisticsRequest(dimensions=[pb.STATISTICS_DIMENSION_UNSPECIFIED])
            ),
            "PAGE_TOKEN_INVALID": tracker.stub.ListSessions(pb.ListSessionsRequest(page_token="x")),
            "PAGE_SIZE_INVALID": tracker.stub.ListSessions(pb.ListSessionsRequest(page_size=1001)),
        }
        for reason, call in calls.items():
            status = await failure(call)
            assert (status.code, status.reason) == (Code.INVALID_ARGUMENT, reason)
