"""What a caller sees when a handler raises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from structlog.testing import capture_logs

from servicekit import errors
from servicekit.errors import Code, RemoteError, ServiceError, remote_error
from tests.support import serving
from tests.unit.servicekit.probe import EVERY_KIND, probe, raising, unary_unary

if TYPE_CHECKING:
    from collections.abc import Callable

ERRORS = [
    errors.InvalidArgumentError,
    errors.NotFoundError,
    errors.AlreadyExistsError,
    errors.FailedPreconditionError,
    errors.ResourceExhaustedError,
    errors.UnavailableError,
    errors.DeadlineExceededError,
    errors.CancelledError_,
    errors.UnauthenticatedError,
    errors.PermissionDeniedError,
    errors.UnimplementedError,
    errors.InternalError,
]


async def failure(do: Any, call: Callable[..., Any] = unary_unary) -> RemoteError:
    """Return what a caller gets when the handler runs `do`."""
    async with serving(probe(do)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel)
        return remote_error(caught.value)


@pytest.mark.parametrize("error", ERRORS)
async def test_each_error_becomes_its_status(error: type[ServiceError]) -> None:
    """Each exception class arrives as its own status with reason and text."""
    seen = await failure(raising(error("SOME_REASON", "Something is wrong.")))
    assert (seen.code, seen.reason, seen.message) == (
        error.code,
        "SOME_REASON",
        "Something is wrong.",
    )


@pytest.mark.parametrize("call", EVERY_KIND)
async def test_every_kind_of_rpc_reports_errors(call: Any) -> None:
    """A handler of each kind may raise."""
    seen = await failure(raising(errors.NotFoundError("GONE", "It is gone.")), call)
    assert (seen.code, seen.reason) == (Code.NOT_FOUND, "GONE")


@pytest.mark.parametrize("call", EVERY_KIND)
async def test_unforeseen_exceptions_tell_nothing(call: Any) -> None:
    """An exception that nobody foresaw is INTERNAL without its text, and logged as an error."""
    with capture_logs() as lines:
        seen = await failure(raising(RuntimeError("secret prompt")), call)
    assert (seen.code, seen.reason, seen.message) == (Code.INTERNAL, "INTERNAL", "Internal error.")
    assert [line["error_type"] for line in lines if line["log_level"] == "error"] == [
        "RuntimeError"
    ]


async def test_details_arrive() -> None:
    """Fields and delay of an error reach the caller."""
    error = errors.InvalidArgumentError(
        "TEXT_INVALID",
        "The text is empty.",
        field="inputs[0].text",
        violations=[("level", "Choose one.")],
        retry_seconds=1.5,
        resource=("execution", "x"),
    )
    seen = await failure(raising(error))
    assert seen.field == "inputs[0].text"
    assert seen.violations == (("inputs[0].text", "The text is empty."), ("level", "Choose one."))
    assert seen.retry_seconds == 1.5


async def test_a_huge_error_is_cut_to_fit() -> None:
    """However much an error says, its status still arrives."""
    error = errors.InvalidArgumentError(
        "TOO_MUCH", "ü" * 10_000, violations=[(f"field{n}", "€" * 500) for n in range(500)]
    )
    seen = await failure(raising(error))
    assert (seen.code, seen.reason) == (Code.INVALID_ARGUMENT, "TOO_MUCH")
    assert len(seen.violations) > 3


async def test_an_abort_passes() -> None:
    """A library that aborts a call itself keeps its status."""

    async def abort(context: Any) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "from a library")

    seen = await failure(abort)
    assert (seen.code, seen.message) == (Code.DATA_LOSS, "from a library")


async def test_the_error_inside_a_task_group_counts() -> None:
    """A foreseen error of one of several tasks is what the caller sees."""

    async def fan_out(context: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(raising(errors.UnavailableError("DOWN", "Down."))(context))

    seen = await failure(fan_out)
    assert (seen.code, seen.reason) == (Code.UNAVAILABLE, "DOWN")


async def test_cancelled_work_does_not_leave_the_caller_waiting() -> None:
    """When something inside a call is cancelled, the caller gets a status and does not hang."""

    async def await_cancelled_task(context: Any) -> None:
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    seen = await failure(await_cancelled_task)
    assert (seen.code, seen.reason) == (Code.CANCELLED, "CANCELLED")


async def test_an_unreachable_neighbour_is_unavailable() -> None:
    """A neighbour that is away makes this service unavailable, not broken."""
    remote = RemoteError(Code.UNAVAILABLE, "", "connection refused")
    seen = await failure(raising(remote))
    assert (seen.code, seen.reason) == (Code.UNAVAILABLE, "NEIGHBOUR_UNAVAILABLE")
    assert seen.retry_seconds == 1.0


async def test_a_slow_neighbour_is_a_missed_deadline() -> None:
    """A neighbour that did not answer in time is reported as such."""
    seen = await failure(raising(RemoteError(Code.DEADLINE_EXCEEDED, "", "")))
    assert (seen.code, seen.reason) == (Code.DEADLINE_EXCEEDED, "NEIGHBOUR_TOO_SLOW")


async def test_other_answers_of_a_neighbour_are_our_fault() -> None:
    """What a neighbour finds wrong with our request is not the caller's business."""
    seen = await failure(raising(RemoteError(Code.INVALID_ARGUMENT, "BAD", "private detail")))
    assert (seen.code, seen.message) == (Code.INTERNAL, "Internal error.")
