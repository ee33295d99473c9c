"""Writes docs/configuration.md from the settings classes; run by `make docs`.

The descriptions stand beside the fields in code, so that they are changed together; a test
compares this page with what the code says.
"""

from __future__ import annotations

import inspect
import types
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, SecretStr

from gateway.settings import GatewaySettings
from generation_service.settings import GenerationSettings
from orchestrator.settings import OrchestratorSettings
from safety_service.settings import SafetySettings
from servicekit.settings import ServiceSettings
from tracker_service.settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo

PAGE = Path(__file__).with_name("configuration.md")
ROOT = PAGE.resolve().parent.parent

SERVICES: tuple[type[ServiceSettings], ...] = (
    OrchestratorSettings,
    SafetySettings,
    GenerationSettings,
    TrackerSettings,
    GatewaySettings,
)

HEAD = """\
# Settings

<!-- Made by `make docs` from the settings classes; change the descriptions there. -->

Every service reads its settings once, at the start, from environment variables with its own prefix.
A faulty value stops it with exit code 78 and one message that names every fault.
"""


def page() -> str:
    """Returns the whole page."""
    shared = ServiceSettings.model_fields
    parts = [HEAD, "## Of every service\n\nWith the prefix of the service, e.g. `TRACKER_`.\n"]
    parts.append(_table((name.upper(), field) for name, field in shared.items()))
    for cls in SERVICES:
        prefix = cls.model_config["env_prefix"]
        parts.append(f"## {prefix.rstrip('_').capitalize()}\n\n{_summary(cls)}\n")
        parts.append(
            _table(
                (_variable(prefix, name, field), field)
                for name, field in cls.model_fields.items()
                if name not in shared or field.default != shared[name].default
            )
        )
    return "\n".join(parts)


def _variable(prefix: str, name: str, field: FieldInfo) -> str:
    """Return the variable of a setting: an alias has no prefix."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else prefix + name.upper()


def _summary(cls: type[ServiceSettings]) -> str:
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())


def _table(rows: Iterable[tuple[str, FieldInfo]]) -> str:
    lines = ["| variable | value | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {_kind(field.annotation)} | {_default(field)} | {_cell(field.description)} |"
        for name, field in rows
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", "\\|").split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ("", (), [], {}):
        return "–"
    if isinstance(value, SecretStr):
        return "secret"
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        value = value.relative_to(ROOT)  # what ships lies elsewhere on each machine
    if isinstance(value, Enum):
        value = value.value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(annotation: Any) -> str:
    """Says in words what a value may be."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(one) for one in arguments if one is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    names = {
        bool: "true, false",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
        SecretStr: "secret",
    }
    if annotation in names:
        return names[annotation]
    return "JSON"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
