"""What can be chosen: configs, outputs, and the deployment itself."""

from __future__ import annotations

import asyncio
from typing import Annotated

import grpc
from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gateway.identity import Person
from gateway.neighbours import Neighbours
from gateway.problems import documented
from gateway.routes.answers import Services, answers_with, plain
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

router = APIRouter(prefix="/api", tags=["choices"])

PageToken = Annotated[str, Query(max_length=400, description="Of the page before. Empty: first.")]
_PAGE = answers_with(pb.ListConfigsResponse.DESCRIPTOR) | documented(400, 401, 422, 503)

ROLES = (
    "translation",
    "interception",
    "optimization",
    "coding",
    "summary",
    "text_guard",
    "image_guard",
    "image_analysis",
)
"""What models are asked for; a deployment may lack some."""


class RoleModel(BaseModel):
    """What a role means now."""

    role: str = Field(description="The role.", examples=["interception"])
    model: str = Field(
        description="The model that is asked first, `<backend>/<model>`.",
        examples=["ollama/gemma3:4b"],
    )
    backend: str = Field(description="`embedded`, `ollama` or `openai`.", examples=["ollama"])
    fallback_models: list[str] = Field(description="Asked in turn when the first cannot answer.")
    leaves_site: bool = Field(description="Whether texts leave the site with the first model.")


class Models(BaseModel):
    """The models of this deployment."""

    profile: str = Field(description="The profile in force.", examples=["local"])
    models: list[RoleModel] = Field(description="By role; roles without a model are left out.")


@router.get("/configs", responses=_PAGE, response_class=JSONResponse)
async def configs(person: Person, services: Services, page_token: PageToken = "") -> JSONResponse:
    """List how ideas can be rewritten."""
    return await _page(services, pb.CONFIG_KIND_INTERCEPTION, page_token)


@router.get("/outputs", responses=_PAGE, response_class=JSONResponse)
async def outputs(person: Person, services: Services, page_token: PageToken = "") -> JSONResponse:
    """List what can be made of them."""
    return await _page(services, pb.CONFIG_KIND_OUTPUT, page_token)


@router.get("/models", responses=documented(401, 503))
async def models(person: Person, services: Services) -> Models:
    """Tell which model each role means now."""
    return await models_of(services)


async def models_of(services: Neighbours) -> Models:
    """Ask which model each role means now."""
    found = await asyncio.gather(*(_resolved(services, role) for role in ROLES))
    known = [(role, one) for role, one in zip(ROLES, found, strict=True) if one is not None]
    return Models(
        profile=known[0][1].profile if known else "",
        models=[
            RoleModel(
                role=role,
                model=one.model,
                backend=one.backend,
                fallback_models=list(one.fallback_models),
                leaves_site=one.leaves_site,
            )
            for role, one in known
        ],
    )


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


async def _resolved(services: Neighbours, role: str) -> generation_pb.ResolveRoleResponse | None:
    try:
        return await services.generation.ResolveRole(generation_pb.ResolveRoleRequest(role=role))
    except grpc.aio.AioRpcError as exc:
        if exc.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
