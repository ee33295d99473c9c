"""Calls to a server, and what a failed one means for the person and for the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import typer

from servicekit.errors import Code, RemoteError
from stellwerk_cli.console import complain
from stellwerk_cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

_USAGE_CODES = frozenset({Code.INVALID_ARGUMENT, Code.NOT_FOUND})
_NOBODY_CODES = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})


def run_remote(
    work: Callable[[], Coroutine[Any, Any, Exit]], *, server: str, as_json: bool
) -> None:
    """Run a command that talks to a server, and exit as it says.

    Args:
        work: The command; returns the exit code.
        server: The server, for messages.
        as_json: Print faults as JSON.

    Raises:
        typer.Exit: Always.
    """
    with reporting(server=server, as_json=as_json):
        raise typer.Exit(asyncio.run(work()))


@contextlib.contextmanager
def reporting(*, server: str, as_json: bool) -> Iterator[None]:
    """Turn a failed call into one sentence on stderr and an exit code."""
    try:
        yield
    except RemoteError as exc:
        complain_of(exc, server=server, as_json=as_json)
        raise typer.Exit(exit_code(exc)) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(Exit.CTRL_C) from exc
    except OSError as exc:
        complain(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
        raise typer.Exit(Exit.USAGE) from exc


def is_unreachable(error: RemoteError) -> bool:
    """Tell whether nobody of ours answered; a service that answers always gives a reason."""
    return error.code in _NOBODY_CODES and not error.reason


def exit_code(error: RemoteError) -> Exit:
    """Return the exit code for a failed call."""
    if is_unreachable(error):
        return Exit.UNREACHABLE
    return Exit.USAGE if error.code in _USAGE_CODES else Exit.FAILED


def complain_of(error: RemoteError, *, server: str, as_json: bool) -> None:
    """Say on stderr what went wrong with a call."""
    sentence = _sentence(error, server)
    if not as_json:
        complain(sentence)
        return
    fault = {
        "execution_id": "",
        "event": "error",
        "code": str(error.code),
        "reason": error.reason,
        "field": error.field,
        "message": sentence if is_unreachable(error) else error.message,
    }
    typer.echo(json.dumps(fault, ensure_ascii=False), err=True)


def _sentence(error: RemoteError, server: str) -> str:
    if is_unreachable(error):
        return (
            f"no Stellwerk server answers at {server}; "
            "start one with `stellwerk up`, or name another with --server"
        )
    fields = ", ".join(field for field, _ in error.violations if field)
    where = f"{fields}: " if fields else ""
    return f"{where}{error.message or 'the call failed'} ({error.reason or error.code})"
