"""What a person changed: the differences of two versions of data, field by field.

A library finds the differences. Before, list items get names instead of indexes, the same for those
that belong together, so that it compares what a person would compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deepdiff import DeepDiff

from tracker_service.export_workflow.alignment import matches, moved
from tracker_service.export_workflow.documents import count_fields
from tracker_service.export_workflow.model import ChangeType, FieldChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.paths import Step

    Path = tuple[Step, ...]


class _Place(NamedTuple):
    """The name of a list item: its index in both versions, -1 where it is not there."""

    before: int
    after: int


_KINDS: Final = {
    "values_changed": ChangeType.MODIFICATION,
    "type_changes": ChangeType.MODIFICATION,
    "dictionary_item_added": ChangeType.ADDITION,
    "dictionary_item_removed": ChangeType.DELETION,
}


def changes_between(before: JsonValue, after: JsonValue) -> tuple[FieldChange, ...]:
    """Return what differs.

    Args:
        before: A JSON value.
        after: Likewise.

    Returns:
        Modifications and additions in the order of `after`, with paths in that; then deletions in
        the order of `before`, with paths in that. Numbers are equal if their values are, whether
        they are written with a point or without. The order of keys does not matter.
    """
    alignment = _Alignment(before, after)
    changes = [*alignment.moves, *_differences(alignment, before, after)]
    orders = {False: _order_of(after), True: _order_of(before)}

    def place(change: FieldChange) -> tuple[bool, int, bool]:
        deleted = change.change_type is ChangeType.DELETION
        return deleted, orders[deleted][change.path], change.moved_from is None

    return tuple(sorted(changes, key=place))


def unchanged_share(data: JsonValue, changes: Iterable[FieldChange]) -> float | None:
    """Return which part of the fields of data was left as it was.

    Args:
        data: The version before.
        changes: What became of it. A moved item keeps its fields.

    Returns:
        0 to 1; None: the data have no field.
    """
    total = count_fields(data)
    if total == 0:
        return None
    changed = sum(
        total if not change.path else max(1, count_fields(change.old))
        for change in changes
        if change.change_type is not ChangeType.ADDITION and change.moved_from is None
    )
    return (total - changed) / total


def _differences(
    alignment: _Alignment, before: JsonValue, after: JsonValue
) -> Iterable[FieldChange]:
    found = DeepDiff(
        alignment.before,
        alignment.after,
        view="tree",
        ignore_private_variables=False,  # keys that begin with two underscores
        threshold_to_diff_deeper=0,  # objects are compared however little they share
    )
    for name, kind in _KINDS.items():
        for level in found.get(name, ()):
            labels = level.path(output_format="list")
            old_path, new_path = _path(labels, _BEFORE), _path(labels, _AFTER)
            yield FieldChange(
                path=old_path if kind is ChangeType.DELETION else new_path,
                change_type=kind,
                old=None if kind is ChangeType.ADDITION else _value_at(before, old_path),
                new=None if kind is ChangeType.DELETION else _value_at(after, new_path),
            )


_BEFORE: Final = 0
_AFTER: Final = 1


def _path(labels: Sequence[str | _Place], side: int) -> Path:
    return tuple(one[side] if isinstance(one, _Place) else one for one in labels)


def _value_at(value: JsonValue, path: Path) -> JsonValue:
    for step in path:
        value = value[step]
    return value


class _Alignment:
    """Two versions in which items that belong together have the same name.

    Attributes:
        before: The version before; lists became objects.
        after: The version after, likewise.
        moves: Items that stand in another order.
    """

    def __init__(self, before: JsonValue, after: JsonValue) -> None:
        self.moves: list[FieldChange] = []
        self.before, self.after = self._pair(before, after, (), ())

    def _pair(
        self, before: JsonValue, after: JsonValue, old_path: Path, new_path: Path
    ) -> tuple[JsonValue, JsonValue]:
        if isinstance(before, dict) and isinstance(after, dict):
            return self._objects(before, after, old_path, new_path)
        if isinstance(before, list) and isinstance(after, list):
            return self._lists(before, after, old_path, new_path)
        return _plain(before), _plain(after)

    def _objects(
        self, before: dict[str, Any], after: dict[str, Any], old_path: Path, new_path: Path
    ) -> tuple[JsonValue, JsonValue]:
        olds, news = dict(before), dict(after)
        for key in before.keys() & after.keys():
            olds[key], news[key] = self._pair(
                before[key], after[key], (*old_path, key), (*new_path, key)
            )
        return olds, news

    def _lists(
        self, before: list[Any], after: list[Any], old_path: Path, new_path: Path
    ) -> tuple[JsonValue, JsonValue]:
        pairs = matches(before, after)
        olds, news = dict(pairs), {new: old for old, new in pairs}
        labelled_old: dict[_Place, Any] = {
            _Place(index, -1): item for index, item in enumerate(before) if index not in olds
        }
        labelled_new: dict[_Place, Any] = {
            _Place(-1, index): item for index, item in enumerate(after) if index not in news
        }
        for old, new in pairs:
            place = _Place(old, new)
            labelled_old[place], labelled_new[place] = self._pair(
                before[old], after[new], (*old_path, old), (*new_path, new)
            )
        for old, new in moved(pairs):
            self.moves.append(
                FieldChange(
                    path=(*new_path, new),
                    change_type=ChangeType.MODIFICATION,
                    old=after[new],
                    new=after[new],
                    moved_from=(*old_path, old),
                )
            )
        return labelled_old, labelled_new


def _plain(value: JsonValue) -> JsonValue:
    """Return a number without a fraction as an integer: JSON knows only one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _order_of(value: JsonValue) -> dict[Path, int]:
    """Return the place of every path in the order of reading."""
    order: dict[Path, int] = {}
    waiting: list[tuple[Path, JsonValue]] = [((), value)]
    while waiting:
        path, one = waiting.pop()
        order[path] = len(order)
        entries: Iterable[tuple[Step, JsonValue]] = ()
        if isinstance(one, dict):
            entries = one.items()
        elif isinstance(one, list):
            entries = enumerate(one)
        waiting += reversed([((*path, step), child) for step, child in entries])
    return order
