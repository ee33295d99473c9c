"""Erasing on the wire: who may, what is meant, and the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError, PermissionDeniedError
from servicekit.principals import Role
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tracker_service import converters
from tracker_service.access import EVERYTHING
from tracker_service.erasure import Wanted
from tracker_service.store.interface import ExecutionFilter

if TYPE_CHECKING:
    from servicekit.principals import Principal
    from tracker_service.eraser import Eraser
    from tracker_service.erasure import Erasure
    from tracker_service.store.interface import PageKey, Store

MAX_IDS: Final = 10_000
MAX_NAME: Final = 256
PAGE_SIZE: Final = 500
NOTICE: Final = (
    "Copies that somebody downloaded or backed up are out of reach and must be erased there."
)


async def erase_user(
    eraser: Eraser, request: pb.EraseUserRequest, principal: Principal
) -> pb.EraseUserResponse:
    """Erase a person.

    Raises:
        InvalidArgumentError: INVALID_ID.
        PermissionDeniedError: ERASURE_NOT_ALLOWED.
    """
    if not 0 < len(request.user_id) <= MAX_NAME:
        raise InvalidArgumentError(
            "INVALID_ID", f"Name a pseudonym of 1 to {MAX_NAME} characters.", field="user_id"
        )
    if request.user_id != principal.id:
        _check_admin(principal)
    erasure = await eraser.erase(Wanted(user_id=request.user_id))
    return pb.EraseUserResponse(receipt=receipt_message(erasure))


async def delete_executions(
    store: Store, eraser: Eraser, request: pb.DeleteExecutionsRequest, principal: Principal
) -> pb.DeleteExecutionsResponse:
    """Erase executions, or count them.

    Raises:
        InvalidArgumentError: FILTER_MISSING, STATE_UNSPECIFIED or TOO_MANY_IDS.
        PermissionDeniedError: ERASURE_NOT_ALLOWED.
    """
    _check_admin(principal)
    if len(request.execution_ids) > MAX_IDS:
        raise InvalidArgumentError(
            "TOO_MANY_IDS", "Name at most 10 000 executions.", field="execution_ids"
        )
    names = await matching(store, _read_filter(request))
    response = pb.DeleteExecutionsResponse(matched_count=len(names))
    if names and not request.dry_run:
        erasure = await eraser.erase(Wanted(execution_ids=tuple(names)))
        response.receipt.CopyFrom(receipt_message(erasure))
    return response


async def matching(store: Store, wanted: ExecutionFilter) -> list[str]:
    """Return the names of all executions that match."""
    names: list[str] = []
    after: PageKey | None = None
    while True:
        page = await store.page(wanted, EVERYTHING, PAGE_SIZE, after)
        names += [one.execution_id for one in page.executions]
        after = page.next
        if after is None:
            return names


def receipt_message(erasure: Erasure) -> pb.ErasureReceipt:
    """Write a receipt."""
    message = pb.ErasureReceipt(
        receipt_id=erasure.receipt_id,
        state=pb.ErasureState.Value(f"ERASURE_STATE_{erasure.state.name}"),
        execution_count=erasure.execution_count,
        item_count=erasure.item_count,
        pending_count=erasure.pending_count,
        notice=NOTICE,
    )
    converters.set_time(message.request_time, erasure.request_time_us)
    if erasure.done_time_us is not None:
        converters.set_time(message.done_time, erasure.done_time_us)
    return message


def _read_filter(request: pb.DeleteExecutionsRequest) -> ExecutionFilter:
    before = request.start_time_before
    wanted = ExecutionFilter(
        config_name=request.config_name,
        session_id=request.session_id,
        states=converters.read_states(request.states),
        start_before_us=(
            converters.bounded_us(before) if request.HasField("start_time_before") else None
        ),
        erased=False,
        execution_ids=tuple(request.execution_ids),
    )
    if wanted == ExecutionFilter(erased=False):
        raise InvalidArgumentError("FILTER_MISSING", "Say which executions are to be erased.")
    return wanted


def _check_admin(principal: Principal) -> None:
    if principal.role not in (Role.ADMIN, Role.SERVICE):
        raise PermissionDeniedError("ERASURE_NOT_ALLOWED", "Only an admin may erase others' data.")
