"""Checking documents against the published JSON Schemas, in words for authors.

The schemas in configs/schema/ are the ones that editors use, so an editor and `configs check` say
the same. Their descriptions serve as hints.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from orchestrator.configs.documents import Kind
from orchestrator.configs.hints import did_you_mean, one_of

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError

    from orchestrator.configs.documents import Document
    from orchestrator.configs.faults import Fault
    from orchestrator.configs.positions import Path

_FILES = {
    Kind.INTERCEPTION: "interception.json",
    Kind.USER: "interception.json",
    Kind.OUTPUT: "output.json",
    Kind.PIPELINE: "pipeline.json",
    Kind.CHUNK: "chunk.json",
    Kind.WORKFLOW: "workflow.json",
    Kind.OUTPUT_DEFAULTS: "output_defaults.json",
    Kind.NODE_CLASSES: "node_classes.json",
}
_TYPES = {
    "string": "a text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object in braces",
    "null": "null",
}
_LIMITS = {
    "minimum": "It must be at least {}.",
    "maximum": "It must be at most {}.",
    "minLength": "It must not be empty.",
    "maxLength": "It must have at most {} characters.",
    "minItems": "It must have at least {} entries.",
    "maxItems": "It must have at most {} entries.",
    "minProperties": "It must have at least {} entries.",
    "maxProperties": "It must have at most {} entries.",
    "uniqueItems": "Its entries must differ.",
    "pattern": "It is not written as it should be.",
}


class Schemas:
    """The published schemas, ready to check documents."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Read them.

        Args:
            folder: Holds the schema files.
        """
        contents = {
            path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in folder.glob("*.json")
        }
        registry: Registry[Any] = Registry().with_resources(
            [(name, Resource.from_contents(content)) for name, content in contents.items()]
        )
        self._validators = {
            kind: Draft202012Validator({"$ref": name}, registry=registry)
            for kind, name in _FILES.items()
        }

    def faults(self, document: Document) -> list[Fault]:
        """Return everything in which a document differs from its schema."""
        errors = self._validators[document.kind].iter_errors(document.data)
        return list(dict.fromkeys(fault for error in errors for fault in _explain(document, error)))


def _explain(document: Document, error: ValidationError) -> Iterator[Fault]:
    path: Path = tuple(error.absolute_path)
    rule = error.schema if isinstance(error.schema, dict) else {}
    if "propertyNames" in error.absolute_schema_path:
        yield _about_key(document, path, error, rule)
    elif error.validator == "additionalProperties":
        yield from _unknown_keys(document, path, error, rule)
    elif error.validator == "required":
        yield from _missing_keys(document, path, error, rule)
    elif error.validator == "dependentRequired":
        yield from _missing_companions(document, path, error)
    elif error.validator == "not":
        hint = rule.get("description", "")
        yield document.fault(path, "It does not belong here.", hint, at_key=True)
    else:
        yield document.fault(path, _message(error), _hint(error, rule))


def _about_key(
    document: Document, path: Path, error: ValidationError, rule: dict[str, Any]
) -> Fault:
    name = str(error.instance)
    message = f'The key "{name}" is not possible here.'
    return document.fault((*path, name), message, _hint(error, rule), at_key=True)


def _unknown_keys(
    document: Document, path: Path, error: ValidationError, rule: dict[str, Any]
) -> Iterator[Fault]:
    known = set(rule.get("properties", ()))
    instance: Any = error.instance
    for name in instance:
        if name not in known:
            hint = did_you_mean(name, known) or one_of(known - {"$schema", "id"})
            yield document.fault(
                (*path, name), f'The key "{name}" is not known.', hint, at_key=True
            )


def _missing_keys(
    document: Document, path: Path, error: ValidationError, rule: dict[str, Any]
) -> Iterator[Fault]:
    instance: Any = error.instance
    wanted: Any = error.validator_value
    for name in wanted:
        if name not in instance:
            about = rule.get("properties", {}).get(name, {})
            hint = about.get("description", "")
            message = f'The key "{name}" is missing.'
            if name == "en" and "properties" not in rule:
                hint = "An English text is always needed: others fall back to it."
            yield document.fault((*path, name), message, hint)


def _missing_companions(document: Document, path: Path, error: ValidationError) -> Iterator[Fault]:
    instance: Any = error.instance
    wanted: Any = error.validator_value
    for name, companions in wanted.items():
        for companion in companions:
            if name in instance and companion not in instance:
                message = f'With "{name}", the key "{companion}" is needed too.'
                yield document.fault((*path, name), message, at_key=True)


def _message(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"It must be {' or '.join(_TYPES[kind] for kind in kinds)}."
    if error.validator in {"enum", "const"}:
        return f'"{error.instance}" is not possible here.'
    if error.validator in _LIMITS:
        return _LIMITS[error.validator].format(wanted)
    return error.message


def _hint(error: ValidationError, rule: dict[str, Any]) -> str:
    guess = ""
    wanted: Any = error.validator_value
    if error.validator == "enum" and isinstance(error.instance, str):
        known = [word for word in wanted if word != "$schema"]
        guess = did_you_mean(error.instance, known) or one_of(known)
    return " ".join(part for part in (guess, str(rule.get("description", ""))) if part)
