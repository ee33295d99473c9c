"""What endpoints share: the services, and answers in the form of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Path, Request
from fastapi.responses import JSONResponse

from gateway.contract import reference
from gateway.neighbours import Neighbours
from gateway.problems import Answers
from gateway.settings import GatewaySettings
from servicekit.plain import plain_message

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message


def neighbours_of(request: Request) -> Neighbours:
    """Return the services behind this app."""
    found: Neighbours = request.app.state.neighbours
    return found


def settings_of(request: Request) -> GatewaySettings:
    """Return the settings of this app."""
    found: GatewaySettings = request.app.state.settings
    return found


Services = Annotated[Neighbours, Depends(neighbours_of)]
Settings = Annotated[GatewaySettings, Depends(settings_of)]
Id = Annotated[
    str, Path(min_length=1, max_length=64, pattern=r"^[!-~]+$", description="As it was given out.")
]


def plain(message: Message, status: int = 200) -> JSONResponse:
    """Answer with a message of the contract."""
    return JSONResponse(plain_message(message), status)


def answers_with(descriptor: Descriptor, status: int = 200) -> Answers:
    """Return what OpenAPI says about an answer that is a message of the contract."""
    content = {"application/json": {"schema": reference(descriptor)}}
    return {status: {"description": f"A {descriptor.name}.", "content": content}}
