"""What a call can fail with, in the words of the contract.

Failed calls are servicekit's `RemoteError`, so that code which handles that goes on working.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import grpc

from servicekit.errors import Code, RemoteError, remote_error

if TYPE_CHECKING:
    from collections.abc import Iterator


class StellwerkError(RemoteError):
    """A service refused a call or failed at it.

    Attributes:
        code: The status, such as `INVALID_ARGUMENT`.
        reason: What programs branch on, such as `CONFIG_NOT_FOUND`.
        message: One sentence for people.
        field: The first field that is at fault; None when none is.
        violations: Pairs of all faulty fields and what is wrong with each.
        retry_seconds: When trying again makes sense, in seconds; None = not told.
    """


class ServerNotReachableError(StellwerkError):
    """Nobody answers at the address: not running, not reachable, or gone in the middle."""


class DownloadBrokenError(Exception):
    """A file did not arrive as the server described it; it is not kept."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what gRPC raises into our errors.

    Raises:
        StellwerkError: The call failed.
        ServerNotReachableError: There was no service to fail it.
    """
    try:
        yield
    except grpc.aio.AioRpcError as exc:
        raise _error(remote_error(exc)) from exc


def _error(remote: RemoteError) -> StellwerkError:
    # What one of our services answers always names a reason; the transport never does.
    unreachable = remote.code is Code.UNAVAILABLE and not remote.reason
    kind = ServerNotReachableError if unreachable else StellwerkError
    return kind(
        remote.code,
        remote.reason,
        remote.message,
        remote.field,
        remote.violations,
        remote.retry_seconds,
    )
