"""Values that cannot change: the ground on which one generation of configs and a plan stand.

Many executions read the same configs at once, and a plan is stored under the digest of its content.
Both hold only while nothing in them, however deep, can be altered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WrapSerializer,
)

K = TypeVar("K")
V = TypeVar("V")


class FrozenMap(Mapping[K, V], Generic[K, V]):
    """A mapping that is made once; equal to any mapping with the same content."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        """Copy `items`; nothing given makes an empty one."""
        self._items: dict[K, V] = dict(items or {})

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"


def _dump(value: Mapping[Any, Any], handler: SerializerFunctionWrapHandler) -> object:
    """Hand pydantic the plain dict that its serializer expects."""
    return handler(dict(value))


def _frozen(value: Mapping[K, V]) -> FrozenMap[K, V]:
    return FrozenMap(value)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


# How a model declares a mapping field that stays as it is.
Frozen = (BeforeValidator(_plain), AfterValidator(_frozen), WrapSerializer(_dump))

# One value of a parameter; strict, so that `true` never turns into 1 nor "5" into 5.
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
ScalarMap = Annotated[Mapping[str, Scalar], *Frozen]


def freeze(value: object) -> object:
    """Return a JSON value that cannot change: objects become `FrozenMap`s, lists tuples."""
    if isinstance(value, Mapping):
        return FrozenMap({name: freeze(inner) for name, inner in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(inner) for inner in value)
    return value


def thaw(value: object) -> object:
    """Return what `freeze` was given, for `json` to write."""
    if isinstance(value, Mapping):
        return {name: thaw(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [thaw(inner) for inner in value]
    return value


# Any JSON object, kept as it is to the last digit: seeds have 64 bits.
FrozenJsonObject = Annotated[
    Mapping[str, Any], BeforeValidator(_plain), AfterValidator(freeze), PlainSerializer(thaw)
]


class FrozenModel(BaseModel):
    """Base of everything here: immutable, and a field that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def canonical_json(value: object) -> str:
    """Write JSON in the one form that is digested: sorted keys, no spaces, UTF-8 characters as is.

    Args:
        value: A model, or anything that `json` can write.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
