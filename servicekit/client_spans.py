"""The span of a call to another service: from its start until that has answered.

Beside the span of the other side it shows what the way took, and it is the only one where nobody
answered. Where nothing is traced it costs nothing.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.context import current_call, within_call
from servicekit.spans import Role, rpc_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_FAULTS = (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED)
"""Whoever has read enough of a stream cancels it."""


def spanned(method: str, start: Callable[[], Any]) -> Any:
    """Start a call, under a span of its own if the current one is collected.

    Args:
        method: `/package.Service/Rpc`.
        start: Starts it; what it asks of the context is the new span.

    Returns:
        The call.
    """
    here = current_call()
    if not here.span.is_sent:
        return start()
    with ExitStack() as begun:
        attributes = rpc_attributes(method)
        span = begun.enter_context(here.span.child(method[1:], attributes, Role.CLIENT))
        with within_call(replace(here, span=span)):
            call = start()
        end = begun.pop_all().close

    def ended(over: grpc.aio.Call) -> None:
        code = _code_of(over)
        span.note({"rpc.grpc.status_code": code.name})
        if code not in _NO_FAULTS:
            span.fail(code.name)
        end()

    call.add_done_callback(ended)
    return call


def _code_of(over: grpc.aio.Call) -> grpc.StatusCode:
    """Return the code of a call that is over: it is known, so that asking for it never waits."""
    asking = over.code().__await__()
    try:
        next(asking)
    except StopIteration as known:
        return grpc.StatusCode(known.value.value)
    return grpc.StatusCode.UNKNOWN
