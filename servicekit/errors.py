"""The failures a service may report, as exceptions without any gRPC in them.

Domain modules raise these; the error interceptor turns each into exactly one rich status. Keeping
the transport out lets domain code be read and tested without a server. `servicekit.status` holds
the conversions from and to the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc


class Code(StrEnum):
    """The status codes of gRPC that we use, by name."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


class ServiceError(Exception):
    """A failed call: becomes one status with an `ErrorInfo`. Raise a subclass.

    Attributes:
        code: The status, fixed per subclass.
        reason: UPPER_SNAKE, documented at the RPC; what programs branch on.
        message: One sentence for people: what is wrong and what to do. Never a prompt or a path.
        violations: Pairs (field path, what is wrong with it), one per faulty request field.
        retry_seconds: When to try again, in seconds; None where trying again is no help.
        resource: Pair (kind, name) of the thing that is missing or in the way.
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        field: str | None = None,
        violations: Sequence[tuple[str, str]] = (),
        retry_seconds: float | None = None,
        resource: tuple[str, str] | None = None,
    ) -> None:
        """Make the error.

        Args:
            reason: See the class.
            message: See the class.
            field: Short form of one violation whose text is `message`.
            violations: See the class.
            retry_seconds: See the class.
            resource: See the class.
        """
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.violations = (*(((field, message),) if field else ()), *violations)
        self.retry_seconds = retry_seconds
        self.resource = resource


class InvalidArgumentError(ServiceError):
    """The request is wrong whatever the state: empty, too long, unspecified, out of range."""

    code = Code.INVALID_ARGUMENT


class NotFoundError(ServiceError):
    """The thing is unknown, or not the caller's, which must look the same."""

    code = Code.NOT_FOUND


class AlreadyExistsError(ServiceError):
    """The same id is there with other content."""

    code = Code.ALREADY_EXISTS


class FailedPreconditionError(ServiceError):
    """The state does not allow this now, and trying again alone does not help."""

    code = Code.FAILED_PRECONDITION


class ResourceExhaustedError(ServiceError):
    """A queue or limit is full; give `retry_seconds`."""

    code = Code.RESOURCE_EXHAUSTED


class UnavailableError(ServiceError):
    """A backend or neighbour cannot be reached, or we are draining; give `retry_seconds`."""

    code = Code.UNAVAILABLE


class DeadlineExceededError(ServiceError):
    """Time ran out before there was an answer."""

    code = Code.DEADLINE_EXCEEDED


class CancelledError_(ServiceError):
    """The work was cancelled on request; the underscore tells it from asyncio's."""

    code = Code.CANCELLED


class UnauthenticatedError(ServiceError):
    """We do not know who calls."""

    code = Code.UNAUTHENTICATED


class PermissionDeniedError(ServiceError):
    """We know who calls, and they may not."""

    code = Code.PERMISSION_DENIED


class UnimplementedError(ServiceError):
    """A medium or format that this build lacks."""

    code = Code.UNIMPLEMENTED


class InternalError(ServiceError):
    """Our bug, or a backend's nonsense; the caller can do nothing about it."""

    code = Code.INTERNAL


@dataclass(eq=False)  # not frozen: contextlib assigns tracebacks
class RemoteError(Exception):
    """A status that another service answered with, taken apart.

    Attributes:
        code: Its status.
        reason: Its `ErrorInfo.reason`; empty when the status came from the transport.
        message: Its text.
        field: The first field it complains about, if any.
        violations: Pairs (field path, what is wrong with it).
        retry_seconds: When it wants to be asked again, in seconds.
    """

    code: Code
    reason: str
    message: str
    field: str | None = None
    violations: tuple[tuple[str, str], ...] = ()
    retry_seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message}".replace(" : ", ": ")


def remote_error(exc: grpc.RpcError) -> RemoteError:
    """Take apart what a call to another service raised.

    Args:
        exc: The exception of an aio or a blocking call.

    Returns:
        Its parts; `raise remote_error(exc) from exc` where the caller wants an exception.
    """
    # Imported here: whoever calls this has gRPC loaded, while domain modules need only the classes.
    from servicekit.status import read_status

    return read_status(exc)
