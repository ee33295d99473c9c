"""Figures of many executions: runs over time, what was blocked, how long runs took."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gateway.identity import Staff
from gateway.pages.charts import HEAD, HEIGHT, WIDTH, blocks_of, durations_of, timeline
from gateway.pages.rendering import pages_of
from gateway.pages.research_facets import Facets, day_begin
from gateway.routes.answers import Services
from servicekit.plain import plain_message
from stellwerk.tracker.v1 import tracker_service_pb2 as pb

if TYPE_CHECKING:
    from gateway.neighbours import Neighbours

router = APIRouter(prefix="/research", include_in_schema=False)

Day = Annotated[str, Query(max_length=10)]


@router.get("/charts")
async def charts(
    request: Request,
    staff: Staff,
    services: Services,
    config_name: Annotated[str, Query(max_length=128)] = "",
    first_day: Day = "",
    last_day: Day = "",
) -> Response:
    """Show figures of a config, or of all, in a span of days."""
    facets = Facets.read({"config_name": config_name, "first_day": first_day, "last_day": last_day})

    # Two calls, since how long a config's runs took does not follow from what each day's took.
    by_day, by_config = await asyncio.gather(
        _rows(services, facets, pb.STATISTICS_DIMENSION_DAY),
        _rows(services, facets, pb.STATISTICS_DIMENSION_CONFIG),
    )
    configs = [
        (row["config_name"], row["execution_count"]) for row in by_config if row.get("config_name")
    ]
    if facets != Facets():  # what can be chosen does not depend on what is
        usage = await services.tracker.ListConfigUsage(pb.ListConfigUsageRequest())
        configs = [(each.config_name, each.execution_count) for each in usage.configs]
    counts = {row["day"]: row["execution_count"] for row in by_day}
    return pages_of(request).page(
        request,
        "research/charts.html",
        facets=facets,
        configs=sorted(configs),
        execution_count=sum(counts.values()),
        output_count=sum(row.get("output_count", 0) for row in by_config),
        timeline=timeline(counts),
        blocks=blocks_of(by_config),
        durations=durations_of(by_config),
        width=WIDTH,
        height=HEIGHT,
        head=HEAD,
    )


async def _rows(
    services: Neighbours, facets: Facets, dimension: pb.StatisticsDimension.ValueType
) -> list[dict[str, Any]]:
    asked = pb.GetStatisticsRequest(
        config_name=facets.config_name,
        start_time_from=day_begin(facets.first_day),
        start_time_before=day_begin(facets.last_day, 1),
        dimensions=[dimension],
    )
    found = plain_message(await services.tracker.GetStatistics(asked))
    rows: list[dict[str, Any]] = found.get("rows", [])
    return rows
