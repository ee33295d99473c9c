"""Making: an idea, what becomes of it, and every step in between."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from gateway.identity import Person
from gateway.pages.choices import Choices, choices_of, missing_of
from gateway.pages.emblems import emblem
from gateway.pages.language import language_of
from gateway.pages.moment import present_moment
from gateway.pages.rendering import pages_of
from gateway.pages.run_view import RunView
from gateway.routes import executions, media
from gateway.routes.answers import Id, Services
from servicekit.errors import InvalidArgumentError
from stellwerk.common.v1.types_pb2 import MediaRef
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb

router = APIRouter(include_in_schema=False)

Json = dict[str, Any]

MAX_TEXT = executions.MAX_TEXT
MOST_PICTURES = 9
Words = Annotated[str, Form(max_length=4 * MAX_TEXT)]
Names = Annotated[list[Annotated[str, Form(max_length=128)]], Form(max_length=16)]
Changed = Annotated[list[Annotated[str, Form(max_length=4 * MAX_TEXT)]], Form(max_length=16)]
_SHORT = 64


@router.get("/")
async def start(request: Request, person: Person, services: Services) -> Response:
    """Ask for an idea."""
    return await _form(request, services, await choices_of(services), {})


@router.get("/make/{execution_id}/words")
async def other_words(
    execution_id: Id, request: Request, person: Person, services: Services
) -> Response:
    """Ask for other words for an idea of before."""
    choices, moment = await asyncio.gather(
        choices_of(services), present_moment(services, execution_id)
    )
    view = RunView(moment)
    seeds = [out["seed"] for out in view.outputs if "seed" in out]
    before = {
        "text": view.idea,
        "config": view.execution["config_name"],
        "level": view.execution.get("safety_level", ""),
        "outputs": [out["output_config"] for out in view.outputs],
        "seed": str(seeds[0]) if seeds else "",
        "state": view.state,
    }
    return await _form(request, services, choices, before)


@dataclass(frozen=True)
class Idea:
    """The form of an idea as it was filled in; fields that a style has no use for are left."""

    text: Words = ""
    second_text: Words = ""
    config: Annotated[str, Form(max_length=128)] = ""
    outputs: Names | None = None
    level: Annotated[str, Form(max_length=_SHORT)] = ""
    rule: Words = ""
    seed: Annotated[str, Form(pattern=r"^\d{0,20}$")] = ""
    way: Annotated[str, Form(max_length=_SHORT)] = "steps"


@router.post("/make")
async def make(
    request: Request,
    person: Person,
    services: Services,
    idea: Annotated[Idea, Depends()],
    pictures: list[UploadFile] | None = None,
) -> Response:
    """Begin."""
    choices = await choices_of(services)
    style = choices.style(idea.config) or {}
    sent = [file for file in pictures or [] if file.size] if style.get("image_count") else []
    images = [await media.store(file, services) for file in sent[:MOST_PICTURES]]
    wish = _wish(idea, style, choices, language_of(request), images)
    begun = await executions.start(wish, person, services)
    return _to(request, f"/make/{begun.execution_id}")


@router.get("/make/{execution_id}")
async def run(execution_id: Id, request: Request, person: Person, services: Services) -> Response:
    """Show a run."""
    return await _run(request, services, execution_id, "run.html")


@router.get("/make/{execution_id}/panel")
async def panel(
    execution_id: Id,
    request: Request,
    person: Person,
    services: Services,
    seen: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show where a run stands now; nothing when that is what the page shows already."""
    return await _run(request, services, execution_id, "_run.html", seen)


@router.post("/make/{execution_id}/step")
async def step(
    execution_id: Id,
    request: Request,
    person: Person,
    services: Services,
    way: Annotated[str, Form(max_length=_SHORT)],
    based_on: Annotated[str, Form(max_length=_SHORT)],
    item: Names = [],  # noqa: B006 - FastAPI copies it
    words: Changed = [],  # noqa: B006 - as above
    editing_seconds: Annotated[float, Form(ge=0)] = 0.0,
) -> Response:
    """Go on with the texts as the person has left them."""
    found = RunView(await present_moment(services, execution_id))
    stood = {draft.item_id: draft.text for draft in found.drafts}
    edits = [
        executions.Edit(
            of_item_id=item_id,
            text=_edited(changed),
            editing_seconds=min(editing_seconds, 86_400) or None,
        )
        for item_id, changed in zip(item, words, strict=False)
        if item_id in stood and _words(changed) != _words(stood[item_id])
    ]
    wanted = executions.Step(based_on_item_id=based_on, edits=edits)
    steps = {
        "intercept": executions.intercept,
        "optimize": executions.optimize,
        "render": executions.render,
    }
    await steps.get(way, executions.render)(execution_id, wanted, person, services)
    return await _after(request, services, execution_id)


@router.post("/make/{execution_id}/cancel")
async def cancel(
    execution_id: Id, request: Request, person: Person, services: Services
) -> Response:
    """End a run."""
    await services.orchestrator.CancelExecution(
        pb.CancelExecutionRequest(execution_id=execution_id)
    )
    return await _after(request, services, execution_id)


@router.post("/make/{execution_id}/resume")
async def resume(
    execution_id: Id, request: Request, person: Person, services: Services
) -> Response:
    """Go on with a run that was interrupted."""
    await executions.resume(execution_id, person, services)
    return await _after(request, services, execution_id)


@router.post("/make/{execution_id}/again")
async def again(
    execution_id: Id,
    request: Request,
    person: Person,
    services: Services,
    loop_iteration: Annotated[int, Form(ge=1, le=64)] = 1,
) -> Response:
    """Make an output once more, by another chance."""
    wish = executions.Again(loop_iteration=loop_iteration)
    begun = await executions.regenerate(execution_id, wish, person, services)
    return _to(request, f"/make/{begun.execution_id}")


def _wish(
    idea: Idea, style: Json, choices: Choices, language: str, images: list[MediaRef]
) -> executions.Wish:
    """Read a form as a wish, the same that programs send.

    Raises:
        RequestValidationError: A field is missing or too long.
    """
    texts = [_words(text) for text in (idea.text, idea.second_text)]
    context = _words(idea.rule) if style.get("accepts_context") else ""
    try:
        return executions.Wish.model_validate(
            {
                "config": idea.config,
                "texts": texts[: int(style.get("text_count", 0))],
                "images": [{"sha256": image.sha256} for image in images],
                "safety_level": idea.level if idea.level in choices.levels else choices.level,
                "outputs": idea.outputs or [],
                "context": context or None,
                "seed": int(idea.seed) if idea.seed else None,
                "language": language,
                "step_by_step": idea.way == "steps",
            }
        )
    except ValidationError as exc:
        raise RequestValidationError(exc.errors()) from exc


async def _form(
    request: Request, services: Services, choices: Choices, before: dict[str, Any]
) -> Response:
    missing = await missing_of(services, choices)
    return pages_of(request).page(
        request, "make.html", choices=choices, missing=missing, before=before, emblem=emblem
    )


async def _run(
    request: Request, services: Services, execution_id: str, template: str, seen: str = ""
) -> Response:
    moment, choices = await asyncio.gather(
        present_moment(services, execution_id), choices_of(services)
    )
    view = RunView(moment)
    if seen and seen == view.version:
        return Response(status_code=204)
    return pages_of(request).page(
        request, template, run=view, names=choices.names(), runners=choices.runners()
    )


async def _after(request: Request, services: Services, execution_id: str) -> Response:
    """Show a run after a step: its part of the page, or the page for a browser without scripts."""
    if "hx-request" in request.headers:
        return await _run(request, services, execution_id, "_run.html")
    return _to(request, f"/make/{execution_id}")


def _to(request: Request, address: str) -> Response:
    if "hx-request" in request.headers:
        return Response(headers={"hx-redirect": address})
    return RedirectResponse(address, 303)


def _words(text: str) -> str:
    """A text as it was written: forms end their lines in two characters."""
    return text.replace("\r\n", "\n").strip()


def _edited(text: str) -> str:
    words = _words(text)
    if not words:
        raise InvalidArgumentError("EMPTY_TEXT", "A text may not be empty.", field="edits")
    if len(words) > MAX_TEXT:
        raise InvalidArgumentError("TEXT_TOO_LONG", "A text is too long.", field="edits")
    return words
