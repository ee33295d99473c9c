"""What a parameter's value may be: one rule for config files and for callers."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NoReturn

from orchestrator.configs.model import ParameterSpec
from orchestrator.configs.values import FrozenMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.values import Scalar

# Parameters of chunks that a pipeline or an interception config may set for all its chunks.
CHUNK_PARAMETERS: Mapping[str, ParameterSpec] = FrozenMap(
    {
        "temperature": ParameterSpec(type="number", minimum=0, maximum=2),
        "top_p": ParameterSpec(type="number", minimum=0, maximum=1),
        "max_tokens": ParameterSpec(type="integer", minimum=1, maximum=32_768),
    }
)

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text in quotes",
}


def is_storable(text: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON's escapes allow halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode_json_scalar(text: str) -> Scalar:
    """Read one JSON value that is no list, object or null.

    Raises:
        ValueError: It is something else; the message says what is wanted.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise ValueError('It must be a JSON value such as 512, 0.5, true or "warm".') from exc
    if not isinstance(value, bool | int | float | str):
        raise ValueError("It must be a number, a text, true or false.")
    if isinstance(value, str) and not is_storable(value):
        raise ValueError("It holds half of a character.")
    return value


def complaint_about(value: object, spec: ParameterSpec) -> str | None:
    """Return why a value does not fit a parameter, as a sentence; None: it fits."""
    if not _has_kind(value, spec):
        return f"It must be {_KINDS[spec.type]}."
    if spec.choices and value not in spec.choices:
        return f"It must be one of: {', '.join(map(str, spec.choices))}."
    if isinstance(value, str):
        too_long = len(value) > spec.max_length
        return f"It must have at most {spec.max_length} characters." if too_long else None
    return _range_complaint(value, spec)


def _has_kind(value: object, spec: ParameterSpec) -> bool:
    if isinstance(value, bool):
        return spec.type == "boolean"
    if isinstance(value, int):
        return spec.type in {"integer", "number"}
    if isinstance(value, float):
        return spec.type == "number" and math.isfinite(value)
    return isinstance(value, str) and spec.type == "string"


def _range_complaint(value: object, spec: ParameterSpec) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if spec.minimum is not None and value < spec.minimum:
        return f"It must be at least {spec.minimum}."
    if spec.maximum is not None and value > spec.maximum:
        return f"It must be at most {spec.maximum}."
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
