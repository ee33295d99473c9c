"""Commands that are imported when they are asked for.

Reading configs and judging texts take half a second to import, which nobody who lists their jobs
should wait for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    # What typer calls click is its own copy of it; the types of both are the same to us.
    Context = Any
    Command = Any


class LateGroup(TyperGroup):
    """A group whose commands stand in `places`: name to `module:attribute`.

    The attribute is a `typer.Typer` (a group) or a function (one command).
    """

    places: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the names, in their order in the table."""
        return [*self.places]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Import a command; None when there is none of that name."""
        if cmd_name not in self.places:
            return None
        module, attribute = self.places[cmd_name].split(":")
        found: Any = getattr(import_module(module), attribute)
        command: Command
        if isinstance(found, typer.Typer):
            command = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
            alone.command(cmd_name)(found)
            command = get_command(alone)
        command.name = cmd_name
        return command
