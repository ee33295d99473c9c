"""Conversion between our errors and rich gRPC statuses, in both directions.

Statuses travel in a header of bounded size (gRPC drops calls whose trailing metadata passes about
8 KiB), so whatever a status carries is cut to fit here, in one place.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from servicekit.errors import Code, RemoteError, ServiceError

DOMAIN = "stellwerk"
"""`ErrorInfo.domain` of every status that is ours."""

MAX_MESSAGE_BYTES = 400
"""The text travels twice, once percent-encoded at up to three times its size."""
MAX_VIOLATIONS_BYTES = 3_000
"""With base64 (x 4/3) and the text, a status stays below the 8 KiB that every peer accepts."""


def to_wire(error: ServiceError) -> grpc.Status:
    """Make the one status that a caller sees for `error`."""
    code = grpc.StatusCode[error.code]
    status = status_pb2.Status(code=code.value[0], message=_cut(error.message, MAX_MESSAGE_BYTES))
    for detail in _details(error):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    wire: grpc.Status = rpc_status.to_status(status)
    return wire


def _details(error: ServiceError) -> list[Any]:  # the packages of the details ship no types
    details: list[Any] = [details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if error.violations:
        details.append(_bad_request(error.violations))
    if error.retry_seconds is not None:
        whole, fraction = divmod(max(0.0, error.retry_seconds), 1)
        delay = Duration(seconds=int(whole), nanos=int(fraction * 1e9))
        details.append(details_pb2.RetryInfo(retry_delay=delay))
    if error.resource is not None:
        kind, name = error.resource
        details.append(
            details_pb2.ResourceInfo(resource_type=_cut(kind, 60), resource_name=_cut(name, 240))
        )
    return details


def _bad_request(violations: tuple[tuple[str, str], ...]) -> Any:
    bad = details_pb2.BadRequest()
    for field, description in violations:
        bad.field_violations.add(field=_cut(field, 200), description=_cut(description, 400))
        if bad.ByteSize() > MAX_VIOLATIONS_BYTES:
            del bad.field_violations[-1]
            break
    return bad


def _cut(text: str, limit_bytes: int) -> str:
    return text.encode()[:limit_bytes].decode(errors="ignore")


def read_status(exc: grpc.RpcError) -> RemoteError:
    """Take a status apart; see `servicekit.errors.remote_error`."""
    call: Any = exc  # a blocking RpcError is a Call as well, which the stubs do not say
    code = Code(call.code().name)
    reason = ""
    retry_seconds = None
    violations: tuple[tuple[str, str], ...] = ()
    for detail in _received_details(call):
        if detail.Is(details_pb2.ErrorInfo.DESCRIPTOR):
            info = details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason = info.reason
        elif detail.Is(details_pb2.BadRequest.DESCRIPTOR):
            bad = details_pb2.BadRequest()
            detail.Unpack(bad)
            violations = tuple((one.field, one.description) for one in bad.field_violations)
        elif detail.Is(details_pb2.RetryInfo.DESCRIPTOR):
            retry = details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return RemoteError(
        code=code,
        reason=reason,
        message=call.details() or "",
        field=violations[0][0] if violations else None,
        violations=violations,
        retry_seconds=retry_seconds,
    )


def _received_details(call: Any) -> list[AnyMessage]:
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return []
