"""Puts the HTTP app together: identity, security, endpoints, and the services behind them."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

from gateway.access_log import AccessLog
from gateway.bodies import BodyLimits
from gateway.contract import components
from gateway.identity import Identity
from gateway.neighbours import open_neighbours
from gateway.pages import research_care
from gateway.pages.failures import page_of
from gateway.pages.wiring import add_pages
from gateway.pages.works import Works
from gateway.problems import Problem, Unforeseen, add_handlers
from gateway.pseudonyms import Pseudonyms
from gateway.rights import Rights
from gateway.routes import choices, executions, exports, health, media, research, workshop
from gateway.security import SameOriginOnly, SecurityHeaders
from servicekit.version import software_version
from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.orchestrator.v1 import event_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.tracker.v1 import export_service_pb2 as export_pb2
from stellwerk.tracker.v1 import export_workflow_service_pb2 as workflow_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as tracker_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import GatewaySettings
    from servicekit.metrics import Meter
    from servicekit.spans import Tracer

COOKIE = "stellwerk"
_ROUTERS = (executions, choices, media, research, exports, workshop, health)
_ANSWERS = (
    event_pb2.Execution,
    event_pb2.ExecutionEvent,
    orchestrator_pb2.ListConfigsResponse,
    orchestrator_pb2.GetServerInfoResponse,
    MediaRef,
    tracker_pb2.ListExecutionsResponse,
    tracker_pb2.ListSessionsResponse,
    tracker_pb2.GetSessionResponse,
    tracker_pb2.GetStatisticsResponse,
    tracker_pb2.VerifyChainResponse,
    tracker_pb2.ErasureReceipt,
    export_pb2.ImportExecutionsResponse,
    workflow_pb2.StartExportWorkflowResponse,
    workflow_pb2.RecordUserModificationsResponse,
    workflow_pb2.ListExportHistoryResponse,
    workflow_pb2.CompareVersionsResponse,
    workflow_pb2.RateDeliverableResponse,
    workflow_pb2.GetExportInsightsResponse,
    generation_pb2.QueueStatus,
    generation_pb2.ListJobsResponse,
    generation_pb2.ListWorkersResponse,
    generation_pb2.DrainWorkerResponse,
    generation_pb2.UndrainWorkerResponse,
)


class _App(FastAPI):
    """An app whose description knows the contract's messages and the form of errors."""

    def openapi(self) -> dict[str, Any]:
        """Return the description."""
        schema = super().openapi()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, inner in problem.pop("$defs", {}).items():
            schemas.setdefault(name, inner)
        schemas.setdefault("Problem", problem)
        for name, message in components(*(answer.DESCRIPTOR for answer in _ANSWERS)).items():
            schemas.setdefault(name, message)
        return schema


def create_app(settings: GatewaySettings, meter: Meter, tracer: Tracer) -> FastAPI:
    """Build the app; the services are connected when it starts.

    Args:
        settings: Where the services are, who may come in.
        meter: Counts requests, and is shown at `/metrics`.
        tracer: Traces requests.

    Raises:
        ConfigurationError: The key file is missing or faulty.
        OSError: The cookies' secret cannot be kept.
    """
    app = _App(
        title="Stellwerk",
        summary="Creative-AI pipelines for schools and museums, with a record of every run.",
        version=software_version(),
        lifespan=_lifespan,
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.settings = settings
    app.state.meter = meter
    app.state.rights = rights = Rights()
    identity = Identity(settings)
    app.state.identity = identity
    app.state.stopping = asyncio.Event()
    for module in _ROUTERS:
        app.include_router(module.router)
    add_pages(app, identity, rights)
    add_handlers(app, page_of)
    _wrap(app, settings, meter, tracer)
    return app


def _wrap(app: FastAPI, settings: GatewaySettings, meter: Meter, tracer: Tracer) -> None:
    """Put around the endpoints what every request passes, innermost first.

    Raises:
        OSError: The cookies' secret cannot be kept.
    """
    secret = _secret(settings)
    app.add_middleware(Unforeseen, page_of=page_of)
    app.add_middleware(Pseudonyms, secret=secret, https_only=settings.secure_cookies)
    app.add_middleware(
        SessionMiddleware,
        secret_key=secret,
        session_cookie=COOKIE,
        max_age=settings.cookie_days * 24 * 3600,
        same_site="lax",
        https_only=settings.secure_cookies,
    )
    app.add_middleware(SameOriginOnly)
    app.add_middleware(
        BodyLimits,
        file_bytes=settings.max_upload_bytes,
        unlimited=[research.IMPORT_PATH, research_care.IMPORT_PATH],
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog, meter=meter, tracer=tracer)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    async with open_neighbours(state.settings, state.rights) as neighbours, Works() as works:
        state.neighbours = neighbours
        state.works = works
        yield


def _secret(settings: GatewaySettings) -> str:
    """The cookies' secret: as set, else the one in its file, which is made when it is missing."""
    if settings.cookie_secret is not None:
        return settings.cookie_secret.get_secret_value()
    path = settings.cookie_secret_file
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(file, "w", encoding="ascii") as opened:
        secret = secrets.token_urlsafe(48)
        opened.write(secret)
    return secret
