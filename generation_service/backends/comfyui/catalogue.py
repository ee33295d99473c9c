"""What a worker says its nodes are: `/object_info` in one form, whichever form it came in.

Choices come in two forms, a plain list and COMBO with options; hidden inputs in two more. Custom
nodes may put anything here, so whatever cannot be read is taken as "anything goes".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from generation_service.backends.comfyui.answers import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMBO = "COMBO"
ANY = "*"
_NUMBERS = frozenset({"INT", "FLOAT"})
_LITERALS = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", COMBO})
_UPLOADS = ("image_upload", "audio_upload", "video_upload", "file_upload", "remote")


@dataclass(frozen=True)
class InputSpec:
    """One input of a node class.

    Attributes:
        name: Its name.
        kind: Its type, such as INT or MODEL; COMBO for choices of either form.
        required: Whether it must be there.
        options: Limits and the like.
        choices: What is allowed; None: no choice, or one that is only known later.
    """

    name: str
    kind: str
    required: bool
    options: Mapping[str, Any]
    choices: tuple[Any, ...] | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """Its types, several where it is a union such as "FLOAT,INT"."""
        return frozenset(self.kind.split(","))

    @property
    def is_literal(self) -> bool:
        """Whether it is known to take a value that is written there."""
        return bool(self.kinds & _LITERALS) and not self.options.get("forceInput")

    @property
    def is_number(self) -> bool:
        """Whether it is INT or FLOAT."""
        return self.kind in _NUMBERS

    @property
    def is_open(self) -> bool:
        """Whether nothing certain is known of what it takes.

        Types of newer servers that grow inputs of their own have names like this.
        """
        return self.kind in (ANY, "") or self.kind.startswith("COMFY_")


@dataclass(frozen=True)
class NodeClass:
    """A node class of a worker.

    Attributes:
        name: Its name.
        inputs: By name, without the hidden ones.
        outputs: Types by slot; None where it cannot be read.
        is_output: Whether it starts work, which a graph needs at least once.
        is_dynamic: It may take inputs that it does not declare.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    outputs: tuple[str | None, ...]
    is_output: bool
    is_dynamic: bool


class NodeCatalogue:
    """All node classes of a worker."""

    def __init__(self, object_info: Mapping[str, Any]) -> None:
        """Keep what the worker said; each class is read when it is asked for."""
        self._raw = object_info
        self._read: dict[str, NodeClass] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every class that the worker has."""
        return frozenset(self._raw)

    @cached_property
    def linked_kinds(self) -> frozenset[str]:
        """Types that some node gives; an input of another type must be some widget."""
        classes = filter(None, map(self.get, self.names))
        return frozenset(
            kind
            for node_class in classes
            for output in node_class.outputs
            if output is not None
            for kind in output.split(",")
        )

    def get(self, name: str) -> NodeClass | None:
        """Describe a class; None: the worker does not have it."""
        if name not in self._raw:
            return None
        if name not in self._read:
            self._read[name] = _read_class(name, mapping(self._raw[name]))
        return self._read[name]


def _read_class(name: str, raw: Mapping[str, Any]) -> NodeClass:
    inputs = {spec.name: spec for spec in _read_inputs(mapping(raw.get("input")))}
    output = raw.get("output")
    kinds = output if isinstance(output, list) else []
    return NodeClass(
        name=name,
        inputs=inputs,
        outputs=tuple(kind if isinstance(kind, str) else None for kind in kinds),
        is_output=bool(raw.get("output_node")),
        is_dynamic=not inputs or any(spec.kind.startswith("COMFY_") for spec in inputs.values()),
    )


def _read_inputs(raw: Mapping[str, Any]) -> Iterator[InputSpec]:
    for group in ("required", "optional"):
        for name, described in mapping(raw.get(group)).items():
            yield _read_input(name, described, required=group == "required")


def _read_input(name: str, described: Any, *, required: bool) -> InputSpec:
    parts = described if isinstance(described, list) else [described]
    kind = parts[0] if parts else ""
    options = mapping(parts[1] if len(parts) > 1 else None)
    choices: Any = None
    if isinstance(kind, list):
        kind, choices = COMBO, kind
    elif kind == COMBO:
        choices = options.get("options")
    known = isinstance(choices, list) and not any(options.get(key) for key in _UPLOADS)
    return InputSpec(
        name=name,
        kind=kind if isinstance(kind, str) else "",
        required=required,
        options=options,
        choices=tuple(choices) if known and not options.get("multiselect") else None,
    )
