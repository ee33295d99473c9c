"""What was made from what: the chain from every output back to the person's input.

Items do not name their sources; their order and their numbers do. This module alone knows that
order, and every format that tells of provenance asks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracker_service.metadata import read_metadata, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker_service.items import ExecutionItem

INPUTS: Final = frozenset(
    {"user_input_text", "user_input_image", "user_input_audio", "user_input_video"}
)
_PREPARED: Final = frozenset({"stage1_correction"})
_INTERCEPTED: Final = frozenset(
    {
        "interception_iteration",
        "interception_final",
        "interception_image_transformation",
        "interception_style_transfer",
    }
)
_CHECKS: Final = ("_safety_check", "_safety_check_image", "_blocked")


def is_input(item: ExecutionItem) -> bool:
    """Tell whether `item` came from the person."""
    return item.item_type in INPUTS


def is_output(item: ExecutionItem) -> bool:
    """Tell whether `item` is something that a stage 4 made."""
    return item.item_type.startswith("output_")


def is_verdict(item: ExecutionItem) -> bool:
    """Tell whether `item` judges another one."""
    return item.item_type.endswith(_CHECKS)


def sources_of(items: Iterable[ExecutionItem]) -> dict[str, tuple[ExecutionItem, ...]]:
    """Return what each item was made from.

    Args:
        items: The items of one execution, in their order.

    Returns:
        By `item_id`, the items it was made from or, for a verdict, those it judges; only items
        that have any. Every item that is a text or a file leads back to an input if the record
        holds one.
    """
    trail = _Trail()
    sources: dict[str, tuple[ExecutionItem, ...]] = {}
    for item in items:
        found = trail.step(item)
        if found:
            sources[item.item_id] = found
    return sources


class _Trail:
    """Where the work stands while one reads along.

    Attributes of the whole execution are the inputs and what became of them; every output has a
    branch of its own, which begins where the shared way ended.
    """

    def __init__(self) -> None:
        self._inputs: list[ExecutionItem] = []
        self._shared: tuple[ExecutionItem, ...] = ()
        self._branches: dict[int, tuple[ExecutionItem, ...]] = {}
        self._known: dict[str, ExecutionItem] = {}

    def step(self, item: ExecutionItem) -> tuple[ExecutionItem, ...]:
        """Take an item and return its sources."""
        self._known[item.item_id] = item
        if is_input(item):
            self._inputs.append(item)
            self._shared = tuple(self._inputs)
            return ()
        if is_verdict(item):
            return self._present(item.loop_iteration)
        if not _is_work(item):
            return ()
        sources = self._named(item) or self._present(item.loop_iteration)
        self._advance(item)
        return sources

    def _present(self, loop_iteration: int | None) -> tuple[ExecutionItem, ...]:
        if loop_iteration is None:
            return self._shared
        return self._branches.get(loop_iteration, self._shared)

    def _named(self, item: ExecutionItem) -> tuple[ExecutionItem, ...]:
        """An edit says which item it changed."""
        if item.item_type != "user_edit":
            return ()
        edited = self._known.get(text_of(read_metadata(item.metadata_json), "of_item"))
        return (edited,) if edited is not None and edited is not item else ()

    def _advance(self, item: ExecutionItem) -> None:
        if item.loop_iteration is None:
            self._shared = (item,)
            if item.stage <= 2:
                self._branches.clear()  # a new text for all outputs
        else:
            self._branches[item.loop_iteration] = (item,)


def _is_work(item: ExecutionItem) -> bool:
    """Tell whether `item` is a text or a file that the work goes through."""
    name = item.item_type
    return (
        name in _INTERCEPTED
        or name in _PREPARED
        or name in ("translation_result", "optimization_result", "user_edit")
        or name.startswith(("pipeline_input_", "output_"))
    )
