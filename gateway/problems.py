"""Errors as RFC 9457 says (`application/problem+json`), with the reason that programs branch on."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from gateway.access_log import route_of
from servicekit.errors import Code, ServiceError, remote_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    PageOf = Callable[[Request, "Problem"], Response | None]

log = structlog.get_logger()

Answers = dict[int | str, dict[str, Any]]
"""What OpenAPI says about answers, by status."""

MEDIA_TYPE = "application/problem+json"
STATUS = {
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Code.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Code.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
"""What each status of a service is over HTTP; the others are a 502: a neighbour's fault."""


_Violations = tuple[tuple[str, str], ...]
_EXAMPLES: dict[int, tuple[str, str, _Violations]] = {
    400: (
        "TEXT_TOO_LONG",
        "A text may have at most 20000 characters.",
        (("texts[0]", "A text may have at most 20000 characters."),),
    ),
    401: ("LOGIN_NEEDED", "Log in with an API key first.", ()),
    403: ("ROLE_NOT_ALLOWED", "This is for teachers and researchers only.", ()),
    404: ("EXECUTION_NOT_FOUND", "There is no such execution.", ()),
    409: ("STEP_STALE", "Somebody has changed the text meanwhile; look again.", ()),
    413: ("MEDIA_TOO_LARGE", "A request may bring at most 20971520 bytes here.", ()),
    416: ("RANGE_NOT_SATISFIABLE", "The file has no such part.", ()),
    422: (
        "REQUEST_INVALID",
        "The request is not of the right form.",
        (("config", "Field required"),),
    ),
    429: ("TOO_MANY_EXECUTIONS", "Too many executions run; try again.", ()),
    503: ("SERVICE_UNAVAILABLE", "A part of Stellwerk does not answer. Try again.", ()),
}
"""What errors look like, by status."""


class FieldFault(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Path of the field, such as `texts[0]`.")
    message: str = Field(description="What is wrong, in one sentence.")


class Problem(BaseModel):
    """Why a request was not done."""

    type: str = Field("about:blank", description="Always `about:blank`; branch on `reason`.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do, in one sentence.")
    reason: str = Field(description="What programs branch on, such as `CONFIG_NOT_FOUND`.")
    faults: list[FieldFault] = Field(default=[], description="One for each faulty field.")


def problem(
    status: int,
    reason: str,
    detail: str,
    violations: Sequence[tuple[str, str]] = (),
    retry_seconds: float | None = None,
) -> JSONResponse:
    """Make the response.

    Args:
        status: The HTTP status.
        reason: What programs branch on.
        detail: One sentence for people.
        violations: Pairs of faulty fields and what is wrong with each.
        retry_seconds: When to try again; None: trying again is no help.
    """
    return _as_json(_content(status, reason, detail, violations), retry_seconds)


def _content(
    status: int, reason: str, detail: str, violations: Sequence[tuple[str, str]]
) -> Problem:
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        faults=[FieldFault(field=field, message=message) for field, message in violations],
    )


def _as_json(content: Problem, retry_seconds: float | None) -> JSONResponse:
    wait = {} if retry_seconds is None else {"Retry-After": str(max(1, math.ceil(retry_seconds)))}
    return JSONResponse(content.model_dump(), content.status, headers=wait, media_type=MEDIA_TYPE)


def documented(*codes: int) -> Answers:
    """Return what OpenAPI says about errors of these statuses."""
    return {
        code: {
            "description": HTTPStatus(code).phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _content(code, *_EXAMPLES[code]).model_dump(),
                }
            },
        }
        for code in codes
    }


def add_handlers(app: FastAPI, page_of: PageOf) -> None:
    """Let every failure of `app` end as a problem, or as the page of one."""

    def answer(
        request: Request,
        status: int,
        reason: str,
        detail: str,
        violations: Sequence[tuple[str, str]] = (),
        retry_seconds: float | None = None,
    ) -> Response:
        content = _content(status, reason, detail, violations)
        return page_of(request, content) or _as_json(content, retry_seconds)

    @app.exception_handler(grpc.aio.AioRpcError)
    async def of_a_service(request: Request, exc: grpc.aio.AioRpcError) -> Response:
        found = remote_error(exc)
        status = STATUS.get(found.code, HTTPStatus.BAD_GATEWAY)
        known = bool(found.reason) and status is not HTTPStatus.BAD_GATEWAY
        if not known:
            log.warning("neighbour_failed", code=found.code, route=route_of(request.scope))
        return answer(
            request,
            status,
            found.reason or "SERVICE_UNAVAILABLE",
            found.message if known else "A part of Stellwerk does not answer. Try again.",
            found.violations,
            found.retry_seconds,
        )

    @app.exception_handler(ServiceError)
    async def of_our_own(request: Request, exc: ServiceError) -> Response:
        status = STATUS.get(exc.code, HTTPStatus.INTERNAL_SERVER_ERROR)
        return answer(request, status, exc.reason, exc.message, exc.violations, exc.retry_seconds)

    @app.exception_handler(RequestValidationError)
    async def of_the_form(request: Request, exc: RequestValidationError) -> Response:
        # Pydantic's errors quote what came; ours name the field only.
        violations = [(_field(each["loc"]), each["msg"]) for each in exc.errors()]
        return answer(
            request,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "REQUEST_INVALID",
            "The request is not of the right form.",
            violations,
        )

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, exc: HTTPException) -> Response:
        status = HTTPStatus(exc.status_code)
        reason = getattr(exc, "reason", "") or status.name
        ours = bool(getattr(exc, "reason", ""))
        response = answer(request, status, reason, exc.detail if ours else f"{status.phrase}.")
        response.headers.update(exc.headers or {})
        return response


class Unforeseen:
    """Answers where nothing else did: inside of what adds headers to every answer."""

    def __init__(self, app: ASGIApp, page_of: PageOf) -> None:
        """Wrap an app."""
        self._app = app
        self._page_of = page_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as exc:
            log.error("request_failed", route=route_of(scope), exc_info=exc)
            if begun:
                raise  # the half that was sent must not look whole
            content = _content(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error.", ())
            response = self._page_of(Request(scope), content) or _as_json(content, None)
            await response(scope, receive, send)


def _field(location: Sequence[int | str]) -> str:
    parts = location[1:] if location and location[0] in {"body", "query", "path"} else location
    return ".".join(str(part) for part in parts) or str(location[0] if location else "")
