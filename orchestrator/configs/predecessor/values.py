"""Values of the predecessor's files in our forms: texts in languages, parameters, templates."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from orchestrator.configs.languages import is_language
from orchestrator.configs.localized import FALLBACK_LANGUAGE
from orchestrator.configs.parameters import is_storable
from orchestrator.configs.templates import is_known_placeholder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.predecessor.reports import Notes
    from orchestrator.configs.values import Scalar

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_OTHER_NAMES = {"USER_INPUT": "INPUT_TEXT", "TEXT": "INPUT_TEXT", "INPUT": "INPUT_TEXT"}


def texts(value: Any, notes: Notes, what: str) -> dict[str, str] | None:
    """Read a text, a list of lines, or one of these per language.

    Args:
        value: As the file has it.
        notes: Told which languages were left out.
        what: What it is called, for notes.

    Returns:
        Texts by language, English always among them; None: there is no text.
    """
    if isinstance(value, dict):
        found = {}
        for language, text in value.items():
            if not is_language(language):
                notes.add(f'{what}: there is no language "{language}"; its text was left out.')
            elif joined := _joined(text):
                found[language] = joined
        if found and FALLBACK_LANGUAGE not in found:
            first = next(iter(found))
            notes.add(f"{what}: there is no English text; who reads neither gets that in {first}.")
            found[FALLBACK_LANGUAGE] = found[first]
        return found or None
    joined = _joined(value)
    return {FALLBACK_LANGUAGE: joined} if joined else None


def _joined(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    return value if isinstance(value, str) and value.strip() and is_storable(value) else ""


def parameters(value: Any, notes: Notes) -> dict[str, Scalar]:
    """Read parameters: names in upper and lower case are alike, and only single values count."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        notes.add("parameters: this is no object, and was not used.")
        return {}
    found: dict[str, Scalar] = {}
    for name, one in value.items():
        if _is_scalar(one):
            found[name.lower()] = one
        elif one is not None and name.lower() != "loras":
            notes.add(f"parameters.{name}: only numbers, texts, true and false are used.")
    return found


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | int | str)


def filled(template: str, values: Mapping[str, Scalar], notes: Notes) -> str:
    """Write parameters into a template; what a run brings stays a placeholder.

    Args:
        template: The text of a chunk.
        values: Parameters by lower-case name.
        notes: Told which names have no value.
    """

    def value(match: re.Match[str]) -> str:
        name = _OTHER_NAMES.get(match[1].upper(), match[1].upper())
        if name.lower() in values:
            return str(values[name.lower()])
        if is_known_placeholder(name):
            return f"{{{{{name}}}}}"
        notes.add(f"{{{{{match[1]}}}}} has no value in this folder and is left empty.")
        return ""

    return _PLACEHOLDER.sub(value, template)


def strings(value: Any) -> tuple[str, ...]:
    """Return the texts of a list, or of one text; nothing for anything else."""
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(one for one in listed if isinstance(one, str) and one.strip())


def section(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside of an object; an empty one where there is none."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}
