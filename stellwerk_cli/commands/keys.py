"""`stellwerk keys`: who may call a deployment. Works on the key file itself, without a server."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.api_keys import KEY_PREFIX, create_key, list_keys, revoke_key
from servicekit.audit import Act, AuditLog
from servicekit.principals import Role
from servicekit.settings import ConfigurationError
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

FileOption = Annotated[
    Path, typer.Option("--file", envvar="STELLWERK_API_KEYS", help="The key file.", dir_okay=False)
]
AuditOption = Annotated[
    Path | None,
    typer.Option(
        envvar="STELLWERK_AUDIT_FILE",
        help="The audit log. Unset: `audit.jsonl` beside the key file.",
        dir_okay=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
DEFAULT_FILE = Path("stellwerk-keys.json")


@app.command()
def new(
    user: Annotated[str, typer.Option(help="Whose key it is: a pseudonym, never a real name.")],
    role: Annotated[Role, typer.Option(help="What the holder is.")] = Role.LEARNER,
    session: Annotated[str, typer.Option(help="Session of all its calls. Empty: its own.")] = "",
    group: Annotated[str, typer.Option(help="Class or workshop.")] = "",
    file: FileOption = DEFAULT_FILE,
    audit_file: AuditOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it. It is stored as a hash only and cannot be shown again."""
    with _faults():
        key = create_key(file, role=role, user=user, session=session, group=group)
        made = {"key": key.removeprefix(KEY_PREFIX).partition("_")[0], "user": user, "role": role}
        _note(file, audit_file, Act("NewKey", _operator(), details=made))
    say(json.dumps({"key": key, "user": user, "role": role.value}) if as_json else key)


@app.command("list")
def list_(file: FileOption = DEFAULT_FILE, as_json: JsonOption = False) -> None:
    """List the keys of the file, without the keys themselves."""
    with _faults():
        entries = list_keys(file)
    for entry in entries:
        if as_json:
            say(json.dumps(entry.model_dump(mode="json", exclude={"hash"}), ensure_ascii=False))
        else:
            made = f"{entry.created:%Y-%m-%d %H:%M}"
            say(f"{entry.id}  {entry.role:<10}  {entry.user:<20}  {entry.session:<20}  {made}")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as listed.")],
    file: FileOption = DEFAULT_FILE,
    audit_file: AuditOption = None,
) -> None:
    """Revoke a key; running services notice at once."""
    with _faults():
        found = revoke_key(file, key_id)
        outcome = "OK" if found else "KEY_NOT_FOUND"
        _note(file, audit_file, Act("RevokeKey", _operator(), "", outcome, {"key": key_id}))
    if not found:
        complain(f"{file} has no key {key_id}; `stellwerk keys list` shows them")
        raise typer.Exit(Exit.USAGE)
    say(f"revoked {key_id}")


def _note(file: Path, audit_file: Path | None, act: Act) -> None:
    AuditLog("keys", audit_file or file.with_name("audit.jsonl")).note_now(act)


def _operator() -> str:
    """Return who is at this machine: a number, since the name of a login may be a person's."""
    return f"uid-{os.getuid()}"


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (ConfigurationError, ValueError) as exc:
        complain(str(exc))
        raise typer.Exit(Exit.USAGE) from exc
    except OSError as exc:
        complain(f"{exc.filename}: {exc.strerror}")
        raise typer.Exit(Exit.FAULTS) from exc
