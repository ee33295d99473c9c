"""What can be chosen: configs, outputs, and the deployment itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from gateway.identity import Person
from gateway.problems import documented
from gateway.routes.answers import Services, answers_with, plain
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

router = APIRouter(prefix="/api", tags=["choices"])

PageToken = Annotated[str, Query(max_length=400, description="Of the page before. Empty: first.")]
_PAGE = answers_with(pb.ListConfigsResponse.DESCRIPTOR) | documented(400, 401, 422, 503)


@router.get("/configs", responses=_PAGE, response_class=JSONResponse)
async def configs(person: Person, services: Services, page_token: PageToken = "") -> JSONResponse:
    """List how ideas can be rewritten."""
    return await _page(services, pb.CONFIG_KIND_INTERCEPTION, page_token)


@router.get("/outputs", responses=_PAGE, response_class=JSONResponse)
async def outputs(person: Person, services: Services, page_token: PageToken = "") -> JSONResponse:
    """List what can be made of them."""
    return await _page(services, pb.CONFIG_KIND_OUTPUT, page_token)


@router.get(
    "/server",
    responses=answers_with(pb.GetServerInfoResponse.DESCRIPTOR) | documented(401, 503),
    response_class=JSONResponse,
)
async def server(person: Person, services: Services) -> JSONResponse:
    """Tell what this deployment is, and the laxest level that the caller can get."""
    info = await services.orchestrator.GetServerInfo(pb.GetServerInfoRequest())
    for name in ("safety_address", "generation_address", "tracker_address"):
        info.ClearField(name)  # nobody outside has use for them
    return plain(info)


async def _page(services: Services, kind: pb.ConfigKind.ValueType, page_token: str) -> JSONResponse:
    request = pb.ListConfigsRequest(kind=kind, page_token=page_token, page_size=500)
    return plain(await services.orchestrator.ListConfigs(request))
