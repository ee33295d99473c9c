"""`stellwerk keys`: who may call a deployment. Works on the key file itself, without a server."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.api_keys import create_key, list_keys, revoke_key
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
DEFAULT_FILE = Path("stellwerk-keys.json")


@app.command()
def new(
    user: Annotated[str, typer.Option(help="Whose key it is: a pseudonym, never a real name.")],
    role: Annotated[Role, typer.Option(help="What the holder is.")] = Role.LEARNER,
    session: Annotated[str, typer.Option(help="Session of all its calls. Empty: its own.")] = "",
    group: Annotated[str, typer.Option(help="Class or workshop.")] = "",
    file: FileOption = DEFAULT_FILE,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it. It is stored as a hash only and cannot be shown again."""
    with _faults():
        key = create_key(file, role=role, user=user, session=session, group=group)
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
) -> None:
    """Revoke a key; running services notice at once."""
    with _faults():
        found = revoke_key(file, key_id)
    if not found:
        complain(f"{file} has no key {key_id}; `stellwerk keys list` shows them")
        raise typer.Exit(Exit.USAGE)
    say(f"revoked {key_id}")


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
